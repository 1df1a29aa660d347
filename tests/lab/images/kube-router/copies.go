package main

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
)

// copyPrefix marks a set that is a copy on its way.
const copyPrefix = "TMP-"

// copies turns what `ipset save` printed into what `ipset restore` must be told
// to put a fresh copy in the place of every set.
func copies(saved string) string {
	var b strings.Builder
	var names []string
	for line := range strings.Lines(saved) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, options, _ := strings.Cut(rest, " ")
		if name == "" || strings.HasPrefix(name, copyPrefix) {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s\n", word, copyName(name), options)
		if word == "create" {
			fmt.Fprintf(&b, "flush %s\n", copyName(name))
			names = append(names, name)
		}
	}
	for _, name := range names {
		fmt.Fprintf(&b, "swap %[1]s %[2]s\nflush %[1]s\ndestroy %[1]s\n", copyName(name), name)
	}
	return b.String()
}

// copyName is the name of the set's copy: a set's name has 31 characters at
// most, so the copy's is a digest.
func copyName(set string) string {
	sum := sha256.Sum256([]byte(set))
	return copyPrefix + base32.StdEncoding.EncodeToString(sum[:])[:16]
}

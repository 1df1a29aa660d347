package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// ownPrefix marks the sets that belong to Calico.
const ownPrefix = "cali40"

// ownSet is a set that Felix keeps, with all that must be in it.
type ownSet struct{ name, typ, member string }

// ownSets are the sets that Felix keeps on every node.
func ownSets(podNetwork, address string) []ownSet {
	return []ownSet{
		{"cali40all-ipam-pools", "hash:net", podNetwork},
		{"cali40masq-ipam-pools", "hash:net", podNetwork},
		{"cali40this-host", "hash:ip", address},
	}
}

// ipsets reads and keeps the IP sets of the node through the container's ipset.
type ipsets struct {
	version string // of Calico
	own     []ownSet
	log     logger
}

// listsAllSets says whether a version reads sets that are not its own: 3.27.0
// was the last that did.
func listsAllSets(version string) bool {
	major, minor, patch := parseVersion(version)
	return major != 0 && (major < 3 || major == 3 && (minor < 27 || minor == 27 && patch == 0))
}

func parseVersion(version string) (major, minor, patch int) {
	if _, err := fmt.Sscanf(version, "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return 0, 0, 0
	}
	return major, minor, patch
}

// complainsAt is the source line from which that version of Felix says that
// ipset has failed.
func complainsAt(version string) string {
	switch major, minor, patch := parseVersion(version); {
	case major == 3 && minor == 27 && patch == 0:
		return "felix/ipsets.go 599"
	case major == 3 && minor < 27:
		return "felix/ipsets.go 569"
	}
	return "felix/ipsets.go 656"
}

// resync reads the sets back from the kernel.
func (s ipsets) resync() error {
	if listsAllSets(s.version) {
		return s.read("list")
	}
	out, _, err := s.run("", "list", "-name")
	if err != nil {
		return err
	}
	for name := range strings.Lines(out) {
		name = strings.TrimSpace(name)
		if !strings.HasPrefix(name, ownPrefix) {
			continue
		}
		if err := s.read("list", name); err != nil {
			return err
		}
	}
	return nil
}

func (s ipsets) read(args ...string) error {
	_, stderr, err := s.run("", args...)
	if err != nil {
		s.log.line("ERROR", complainsAt(s.version), fmt.Sprintf(`Bad return code from 'ipset %s'. error=%v family="inet" stderr=%q`, strings.Join(args, " "), err, stderr))
	}
	return err
}

// ensureOwn makes Calico's sets and puts their members in, where they are not.
func (s ipsets) ensureOwn() error {
	_, stderr, err := s.run(wanted(s.own), "restore", "-exist")
	if err != nil {
		return fmt.Errorf("restore: %w: %s", err, stderr)
	}
	return nil
}

// wanted is what `ipset restore` is told.
func wanted(sets []ownSet) string {
	var b strings.Builder
	for _, set := range sets {
		fmt.Fprintf(&b, "create %s %s family inet maxelem 1048576\n", set.name, set.typ)
		if set.member != "" {
			fmt.Fprintf(&b, "add %s %s\n", set.name, set.member)
		}
	}
	return b.String()
}

func (s ipsets) run(stdin string, args ...string) (stdout, stderr string, err error) {
	var out, said bytes.Buffer
	cmd := exec.Command("/usr/sbin/ipset", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// ownPrefix marks the sets that belong to Calico.
const ownPrefix = "cali40"

// ownSets are the sets that Felix keeps on every node, with their types.
var ownSets = []struct{ name, typ string }{
	{"cali40all-ipam-pools", "hash:net"},
	{"cali40masq-ipam-pools", "hash:net"},
	{"cali40this-host", "hash:ip"},
}

// ipsets reads and keeps the IP sets of the node through an ipset binary.
type ipsets struct {
	root    string // the root filesystem that the binary is in
	listAll bool   // read every set, not only Calico's own
	log     logger
}

// listsAllSets says whether a version reads sets that are not its own: 3.27.0
// was the last that did.
func listsAllSets(version string) bool {
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "v%d.%d.%d", &major, &minor, &patch); err != nil {
		return false
	}
	return major < 3 || major == 3 && (minor < 27 || minor == 27 && patch == 0)
}

// resync reads the sets back from the kernel.
func (s ipsets) resync() error {
	if s.listAll {
		return s.read("felix/ipsets.go 599", "list")
	}
	out, _, err := s.run("list", "-name")
	if err != nil {
		return err
	}
	for name := range strings.Lines(out) {
		name = strings.TrimSpace(name)
		if !strings.HasPrefix(name, ownPrefix) {
			continue
		}
		if err := s.read("felix/ipsets.go 656", "list", name); err != nil {
			return err
		}
	}
	return nil
}

func (s ipsets) read(where string, args ...string) error {
	_, stderr, err := s.run(args...)
	if err != nil {
		s.log.line("ERROR", where, fmt.Sprintf(`Bad return code from 'ipset %s'. error=%v family="inet" stderr=%q`, strings.Join(args, " "), err, stderr))
	}
	return err
}

func (s ipsets) ensureOwn() error {
	for _, set := range ownSets {
		if _, stderr, err := s.run("create", "-exist", set.name, set.typ); err != nil {
			return fmt.Errorf("create %s: %w: %s", set.name, err, stderr)
		}
	}
	return nil
}

func (s ipsets) run(args ...string) (stdout, stderr string, err error) {
	var out, said bytes.Buffer
	cmd := exec.Command("/usr/sbin/ipset", args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if s.root != "" && s.root != "/" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.root}
		cmd.Dir = "/"
	}
	err = cmd.Run()
	return out.String(), said.String(), err
}

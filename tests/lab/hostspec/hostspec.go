// Package hostspec is what the lab tells a host's first process: the words that
// both sides of that pipe share.
package hostspec

// Host is everything a host of the lab is made of.
type Host struct {
	Name     string
	Root     string // an empty folder; the root filesystem is mounted here
	Lower    string // the Debian tree that all hosts share, never written to
	Upper    string // what this host has changed
	Work     string // overlayfs needs it, on the same filesystem as Upper
	Mounts   []Mount
	Setup    [][]string // commands, run in order inside the host before any service
	Services []Service
}

// Mount is one mount below the host's root. Without a Type it is a bind mount.
type Mount struct {
	Source   string
	At       string // inside the host
	Type     string
	Options  string
	ReadOnly bool
	Shared   bool // later mounts below it reach containers, as kubelet needs
}

// Service is a program that is kept running. Its output goes to
// /var/log/lab/NAME.log.
type Service struct {
	Name  string
	Args  []string
	After string // a path inside the host that must exist before it starts; empty: at once
}

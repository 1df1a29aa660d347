// Package hostspec is what the lab tells a host's first process: the words that
// both sides of that pipe share.
package hostspec

import (
	"io/fs"
	"syscall"
)

// Host is everything a host of the lab is made of.
type Host struct {
	Name     string
	Root     string // an empty folder; the root filesystem is mounted here
	Lower    string // the Debian tree that all hosts share, never written to; layers from the top down, with ":" between
	Upper    string // what this host has changed
	Work     string // overlayfs needs it, on the same filesystem as Upper
	Mounts   []Mount
	Files    []File     // written when all is mounted
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
	After []string // paths inside the host that must exist before it starts
	Until string   // a path inside the host: while it exists, the service is not started; empty: none
}

// File is a file inside the host.
type File struct {
	Path string
	Mode fs.FileMode
	Data []byte
}

// TrapUname is the argument that has process 1 set a trap for uname(2), as
// package uname does, over the socket that it has as file 3.
const TrapUname = "trap-uname"

// The signals by which process 1 is asked to end the host, as busybox's has
// them, and the status that it ends with then. With any other status it was not
// asked.
const (
	RebootSignal   = syscall.SIGTERM
	PowerOffSignal = syscall.SIGUSR2

	Rebooted   = 10
	PoweredOff = 11
)

//go:build linux

// Command dpkglock holds dpkg's lock as a running apt does, with fcntl, until it
// standard input ends. It prints one line when it has the lock.
//
//	dpkglock PATH
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dpkglock PATH")
		os.Exit(1)
	}
	if err := hold(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dpkglock:", err)
		os.Exit(1)
	}
}

func hold(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &lock); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

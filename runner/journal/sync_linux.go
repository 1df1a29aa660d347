package journal

import (
	"os"
	"syscall"
)

// datasync makes what was written durable, and the file's size with it, but not
// its times.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != syscall.EINTR { // interrupted says nothing of the disk
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

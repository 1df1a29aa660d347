// Package kernel makes and reads what stands for a kernel and its initial
// ramdisk on a host of the lab: two files that say which release they are. The
// hosts all run on this machine's kernel; a stand-in decides what they are told
// of it, and whether they come up.
package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	imageHead   = "stand-in for a kernel, release "
	ramdiskHead = "stand-in for an initial ramdisk, release "
)

// Panics is a line that keeps a kernel from coming up when it is in its image or
// its ramdisk.
const Panics = "panics\n"

// ErrPanic is what becomes of a kernel that does not come up.
var ErrPanic = errors.New("kernel panic")

// Image is the file vmlinuz-RELEASE.
func Image(release string) []byte { return []byte(imageHead + release + "\n") }

// Ramdisk is the file initrd.img-RELEASE.
func Ramdisk(release string) []byte { return []byte(ramdiskHead + release + "\n") }

// Start reads the image and the ramdisk, and says which release has come up. As
// a real kernel it panics without the ramdisk that was made for it.
func Start(disk fs.FS, image, ramdisk string) (release string, err error) {
	lines, err := read(disk, image)
	if err != nil {
		return "", err
	}
	release, ok := strings.CutPrefix(lines[0], imageHead)
	if !ok || release == "" {
		return "", fmt.Errorf("%s: a kernel is wanted, found %q", image, lines[0])
	}
	if slices.Contains(lines, strings.TrimSpace(Panics)) {
		return "", fmt.Errorf("%w: %s", ErrPanic, image)
	}
	lines, err = read(disk, ramdisk)
	if err != nil {
		return "", fmt.Errorf("%w: unable to mount the root: %w", ErrPanic, err)
	}
	if lines[0] != ramdiskHead+release || slices.Contains(lines, strings.TrimSpace(Panics)) {
		return "", fmt.Errorf("%w: %s", ErrPanic, ramdisk)
	}
	return release, nil
}

// read is the lines of a file, at least one.
func read(disk fs.FS, path string) ([]string, error) {
	if path == "" {
		return nil, fmt.Errorf("none is loaded: %w", os.ErrNotExist)
	}
	data, err := fs.ReadFile(disk, path)
	return strings.Split(string(data), "\n"), err
}

// RebootsAfter is what panic=SECONDS on a kernel's command line says: how long
// after a panic the machine boots again; not ok: never. A negative number is at
// once. The last one counts.
func RebootsAfter(args []string) (wait time.Duration, ok bool) {
	for _, a := range args {
		value, is := strings.CutPrefix(a, "panic=")
		if !is {
			continue
		}
		seconds, err := strconv.Atoi(value)
		wait, ok = max(0, time.Duration(seconds)*time.Second), err == nil && seconds != 0
	}
	return wait, ok
}

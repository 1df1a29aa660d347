//go:build linux

package hostspec

import (
	"fmt"
	"syscall"
)

// MountRoot mounts the host's root filesystem, and nothing below it yet.
func MountRoot(h Host) error {
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", h.Lower, h.Upper, h.Work)
	if err := syscall.Mount("overlay", h.Root, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount the root of %s (%s): %w", h.Name, layers, err)
	}
	return nil
}

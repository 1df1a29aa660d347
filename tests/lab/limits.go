//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

const (
	// watchersLimit is where the kernel has how many inotify instances root may
	// have, on the whole machine.
	watchersLimit = "/proc/sys/fs/inotify/max_user_instances"
	// watchers is what labs need: one's kubelets and containerds have 60, and
	// Debian allows 128 to all programs together.
	watchers = 512
)

// raise has the kernel allow at least this much. It writes into kept, before,
// what the limit was; nothing if that is enough.
func raise(limit, kept string, least int) error {
	was, err := os.ReadFile(limit)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(was)))
	if err != nil {
		return fmt.Errorf("%s: %w", limit, err)
	}
	if n >= least {
		return nil
	}
	if err := os.WriteFile(kept, was, 0o600); err != nil {
		return err
	}
	return os.WriteFile(limit, []byte(strconv.Itoa(least)), 0o644)
}

// lower puts back what raise has kept. Whoever is within the new limit by then
// keeps what they have.
func lower(limit, kept string) error {
	was, err := os.ReadFile(kept)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(was) == 0 {
		return nil // it was enough, or a crash came before it was raised
	}
	if err != nil {
		return err
	}
	return os.WriteFile(limit, was, 0o644)
}

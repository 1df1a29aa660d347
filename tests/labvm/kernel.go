//go:build linux

package labvm

import (
	"context"
)

// breakHook is run last of all that Debian runs for a kernel that has been
// installed, when its initrd has been made and GRUB told. It leaves the kernel
// that runs alone, and so little of any other's initrd that there is no way to
// the root filesystem: that kernel panics.
const breakHook = `#!/bin/sh -e
[ "$1" = "$(uname -r)" ] && exit 0
truncate --size=4096 "/boot/initrd.img-$1"
`

// BreakInitrd arranges that the initrd of the next kernel that is installed on
// the machine is broken: the package manager is content, and the kernel panics
// when it is booted.
func (l *Lab) BreakInitrd(ctx context.Context, host string) error {
	_, err := l.SSH(ctx, host, `hook=/etc/kernel/postinst.d/zzz-lab-break
cat >$hook <<'EOF'
`+breakHook+`EOF
chmod 755 $hook`)
	return err
}

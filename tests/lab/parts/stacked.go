package parts

import (
	"context"
	"os/exec"
)

// finishStacked makes a host of a stacked lab out of the tree of the others. $1
// is the folder with the packages of its kernels.
//
// All of GRUB's tools are Debian's own, but for grub-probe: it says on which
// device a file is, and the root of a host is on none. What stands in for it
// answers as it would for a disk with one ext4 filesystem and no partitions.
// What reads the result at boot is the lab's own package grub.
const finishStacked = `set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq -o APT::Update::Error-Mode=any
apt-get install -y -qq --no-install-recommends etcd-server etcd-client grub-common grub2-common
dpkg-divert --local --rename --add /usr/sbin/grub-probe
cat >/usr/sbin/grub-probe <<'END'
#!/bin/sh
# Stands in for grub-probe, which finds no device under the root of this host.
target=fs
while [ $# -gt 0 ]; do
	case $1 in
	--target=*) target=${1#--target=} ;;
	-t | --target) target=$2; shift ;;
	esac
	shift
done
case $target in
device) echo /dev/vda ;;
fs) echo ext2 ;;
fs_uuid) echo 5f5b7a0e-6f3f-4c57-9c1d-3a3e0c9a7f10 ;;
drive) echo '(hd0)' ;;
compatibility_hint) echo hd0 ;;
esac
END
chmod 755 /usr/sbin/grub-probe
cp /usr/share/grub/default/grub /etc/default/grub
mkdir -p /boot/grub
grub-editenv /boot/grub/grubenv create
update-grub
dpkg --install "$1"/*_` + OldVersion + `.deb
apt-mark auto linux-image-` + KernelOld + `
apt-get clean
rm -rf /var/lib/apt/lists/*
`

// stacked is the Debian tree of a stacked lab's hosts: base, with what they have
// beside it.
func (c Cache) stacked(ctx context.Context, base, kernels string) (string, error) {
	return c.once("stacked-"+key(base, kernels, finishStacked), func(dir string) error {
		// What is mounted here is gone when the command ends.
		_, err := run(exec.CommandContext(ctx, "unshare", "--mount", "sh", "-ec", `
cp -a "$1/." "$0"
cp /etc/resolv.conf "$0/etc/resolv.conf"
mount -t proc proc "$0/proc"
mount --bind /dev "$0/dev"
mount --bind "$2" "$0/mnt"
exec chroot "$0" sh -c "$3" sh /mnt`, dir, base, kernels, finishStacked))
		return err
	})
}

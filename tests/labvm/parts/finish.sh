# Runs in the fresh tree: what all machines share, and GRUB's own files. Units
# that only cost time are masked.
set -e
rm -f /etc/ssh/ssh_host_*
apt-get clean
rm -rf /var/lib/apt/lists/*
useradd --create-home --shell /bin/bash --uid 1000 ops
echo 'ops ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/ops
mkdir -p /var/lib/lab
echo "UUID=$ROOT_UUID / ext4 errors=remount-ro 0 1" >/etc/fstab
# Each machine finds an id of its own; D-Bus' would be taken for it.
rm -f /var/lib/dbus/machine-id
: >/etc/machine-id

systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
	fstrim.timer systemd-pstore.service getty@tty1.service systemd-networkd-wait-online.service systemd-network-generator.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
	modprobe@drm.service modprobe@fuse.service modprobe@dm_mod.service modprobe@loop.service
systemctl --quiet enable systemd-networkd.service lab-seed.service lab-seal.service kubelet.service

grub=/boot/grub/i386-pc
mkdir -p $grub
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst /usr/lib/grub/i386-pc/boot.img $grub/
grub-mkimage --format=i386-pc --output=$grub/core.img --prefix='(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2
grub-editenv /boot/grub/grubenv create

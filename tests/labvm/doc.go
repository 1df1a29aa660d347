// Package labvm brings up three virtual machines that boot their own kernels by
// their own GRUB, as the workers of a real cluster, on one Linux machine without
// KVM: what a rolling kernel upgrade is tried on. Everything is a Debian package
// or a Go module; nothing is left behind when it goes down.
package labvm

//go:build linux

// Package uname lets programs be told another release of the kernel than the
// one that runs, by uname(2) itself, so that it is the same for every program in
// whatever language. A filter has the call wait, and another process answers it.
package uname

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arches are what the kernel calls the machines that the lab runs on.
var arches = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// Offsets of what a filter looks at: struct seccomp_data.
const (
	callNumber = 0
	callArch   = 4
)

// Trap has uname(2) wait for an answer, in the calling thread and in all that it
// starts from now on, and sends the end that answers over the socket. The caller
// must have locked its thread, and needs CAP_SYS_ADMIN. It cannot be undone.
func Trap(socket *os.File) error {
	arch, ok := arches[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("uname: no filter for %s", runtime.GOARCH)
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: callArch},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: callNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_UNAME, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Without SPEC_ALLOW some kernels slow the whole host down for the filter's sake.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("uname: install the filter: %w", errno)
	}
	defer unix.Close(int(listener))
	if err := unix.Sendmsg(int(socket.Fd()), []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("uname: send the listener: %w", err)
	}
	return nil
}

// Receive takes what Trap has sent on the other end of the socket. It waits for
// as long as the other end is open.
func Receive(socket *os.File) (listener *os.File, err error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(socket.Fd()), make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("uname: receive the listener: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return nil, fmt.Errorf("uname: receive the listener: %w", err)
	}
	if len(messages) != 1 {
		return nil, errors.New("uname: a listener is wanted, the other end sent none")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("uname: receive the listener: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "uname listener"), nil
}

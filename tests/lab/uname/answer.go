//go:build linux

package uname

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is a call that waits: struct seccomp_notif.
type call struct {
	id    uint64
	pid   uint32 // of the thread, as this process sees it
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// reply is what the call returns: struct seccomp_notif_resp.
type reply struct {
	id    uint64
	value int64
	errno int32 // negative
	flags uint32
}

// Answer answers every call until no process is left that could make one, which
// is no error, and closes the listener. All but the release is as the caller's
// own namespace has it.
func Answer(listener *os.File, release string) error {
	defer listener.Close()
	// The thread goes from namespace to namespace, so it must not be used again:
	// it ends with the goroutine, as it stays locked.
	runtime.LockOSThread()
	fd := int(listener.Fd())
	for {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("uname: wait for calls: %w", err)
		}
		switch {
		case ready[0].Revents&unix.POLLIN != 0:
			if err := answerOne(fd, release); err != nil {
				return err
			}
		case ready[0].Revents != 0:
			return nil
		}
	}
}

// answerOne answers one call. A caller that has ended, or whose call was
// interrupted, needs no answer.
func answerOne(fd int, release string) error {
	var c call
	if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&c)); err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
			return nil
		}
		return fmt.Errorf("uname: receive a call: %w", err)
	}
	r := reply{id: c.id}
	if err := tell(fd, c, release); err != nil {
		r.errno = -int32(unix.EFAULT)
	}
	if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("uname: answer a call: %w", err)
	}
	return nil
}

// tell writes the answer to where the caller wants it.
func tell(fd int, c call, release string) error {
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", c.pid), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	names, err := namesAt(c.pid)
	if err != nil {
		return err
	}
	// Both were opened by a number. If the call still waits, it was the caller's.
	if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&c.id)); err != nil {
		return err
	}
	names.Release = [len(names.Release)]byte{}
	copy(names.Release[:len(names.Release)-1], release)
	_, err = mem.WriteAt(unsafe.Slice((*byte)(unsafe.Pointer(&names)), unsafe.Sizeof(names)), int64(c.args[0]))
	return err
}

// namesAt is what uname(2) says where a process is: a pod has a host name of
// its own.
func namesAt(pid uint32) (names unix.Utsname, err error) {
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/uts", pid))
	if err != nil {
		return names, err
	}
	defer space.Close()
	if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWUTS); err != nil {
		return names, err
	}
	return names, unix.Uname(&names)
}

func control(fd int, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

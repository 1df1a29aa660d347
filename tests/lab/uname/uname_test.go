//go:build linux

package uname

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// trapped tells this program, started once more, to set the trap and to become
// the command that its arguments are.
const trapped = "RUNBOOK_UNAME_TEST_TRAPPED"

func TestMain(m *testing.M) {
	if os.Getenv(trapped) == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	if err := Trap(os.NewFile(3, "socket")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	panic(syscall.Exec("/bin/sh", []string{"sh", "-c", os.Args[1]}, os.Environ()))
}

// in runs a script under the trap and returns what it printed.
func in(t *testing.T, release, script string) string {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	ours, theirs := os.NewFile(uintptr(ends[0]), "ours"), os.NewFile(uintptr(ends[1]), "theirs")
	defer ours.Close()
	cmd := exec.Command(os.Args[0], script)
	cmd.Env = append(os.Environ(), trapped+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	require.NoError(t, theirs.Close())
	listener, err := Receive(ours)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- Answer(listener, release) }()
	require.NoError(t, cmd.Wait(), out.String())
	require.NoError(t, <-ended, "it ends with the last process")
	return out.String()
}

func TestEveryProgramIsTold(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Skip("the filter needs root")
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, "6.1.0-40-lab\n"+host+"\nLinux\n", in(t, "6.1.0-40-lab", "uname -r; uname -n; uname -s"))
	require.Equal(t, "x\npod\n", in(t, "x", "unshare --uts sh -c 'uname -r; hostname pod; uname -n'"), "a caller's own host name")
	require.Equal(t, "100\n", in(t, "x", "for i in $(seq 100); do uname -r & done | wc -l"), "side by side")

	// A release that is too long for the kernel's structure is cut, and what
	// follows it is whole.
	long := strings.Repeat("y", 100)
	require.Equal(t, strings.Repeat("y", 64)+"\n"+runtimeMachine(t)+"\n", in(t, long, "uname -r; uname -m"))
}

func runtimeMachine(t *testing.T) string {
	t.Helper()
	var names unix.Utsname
	require.NoError(t, unix.Uname(&names))
	return unix.ByteSliceToString(names.Machine[:])
}

func TestReceiveNothing(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(ends[1]))
	ours := os.NewFile(uintptr(ends[0]), "ours")
	defer ours.Close()
	_, err = Receive(ours)
	require.ErrorContains(t, err, "the other end sent none")
}

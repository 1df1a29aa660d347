package tests

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// terminal is a pseudo terminal: what a person looks at, and what the program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	const lock, number = 0x40045431, 0x80045430 // TIOCSPTLCK, TIOCGPTN
	var n int32
	for _, request := range []uintptr{lock, number} {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(&n)))
		require.Zero(t, errno)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return person, program
}

func TestATerminalThatIsClosedLetsTheTaskEnd(t *testing.T) {
	person, tty := terminal(t)
	p := beginWith(t, "", func(p *program) {
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	require.NoError(t, tty.Close())
	require.NoError(t, person.Close()) // the kernel sends SIGHUP
	p.until("the signal is delivered", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		return err == nil && strings.Contains(string(status), "\nShdPnd:\t0000000000000000\n")
	})
	p.file("go-on")
	require.Equal(t, 130, p.code())
	require.Equal(t, "slow\n", p.log())
	require.Equal(t, []string{"Slow one changed"}, p.outcomes())
	p.resume()
	require.Equal(t, "slow\nnext\n", p.log())
}

package tests

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
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

func TestNobodyIsKeptOutWhileAQuestionIsOpen(t *testing.T) {
	person, tty := terminal(t)
	p := &program{t: t, dir: t.TempDir(), stderr: &lines{want: `Only "yes" goes on`, found: make(chan struct{})}}
	p.file("go-on")
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "site.yaml"), []byte(slow), 0o600))
	p.cmd = p.command("apply", "site.yaml", "-i", "localhost,")
	p.cmd.Stdin, p.cmd.Stderr = tty, p.stderr
	require.NoError(t, p.cmd.Start())
	p.told()
	require.Empty(t, p.log())
	out, err := p.command("apply", "--yes", "site.yaml", "-i", "localhost,").CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	require.Equal(t, "slow\nnext\n", p.log())
	_, err = person.WriteString("yes\n")
	require.NoError(t, err)
	require.Equal(t, 0, p.code(), p.stderr.String())
	require.Equal(t, "slow\nnext\nslow\nnext\n", p.log())
}

func TestAnInterruptedQuestionIsNoAnswer(t *testing.T) {
	_, tty := terminal(t)
	p := &program{t: t, dir: t.TempDir(), stderr: &lines{want: `Only "yes" goes on`, found: make(chan struct{})}}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "site.yaml"), []byte(slow), 0o600))
	p.cmd = p.command("apply", "site.yaml", "-i", "localhost,")
	p.cmd.Stdin, p.cmd.Stderr = tty, p.stderr
	require.NoError(t, p.cmd.Start())
	p.told()
	p.signal(os.Interrupt)
	require.Equal(t, 130, p.code(), p.stderr.String())
	require.False(t, p.has("begun"))
}

func TestDoubtIsAskedAboutOnATerminal(t *testing.T) {
	p := begin(t, "no new tasks", io.Discard)
	p.signal(os.Interrupt)
	p.told()
	p.signal(os.Interrupt)
	require.Equal(t, 130, p.code(), p.stderr.String())

	person, tty := terminal(t)
	_, err := person.WriteString("skip\n")
	require.NoError(t, err)
	resume := p.command("resume")
	resume.Stdin = tty
	out, err := resume.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	require.Contains(t, string(out), "Nobody knows whether this command ran:")
	require.Contains(t, string(out), "Slow one")
	require.Equal(t, "next\n", p.log())
}

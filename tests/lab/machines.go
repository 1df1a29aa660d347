//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/machine"
	"runbook/tests/lab/proc"
)

// The commands by which a host ends its own life. They stand in for systemd's:
// process 1 takes the signals that busybox's does, and goes down a moment after
// the command has returned.
const (
	rebootCommand   = "#!/bin/sh\nkill -s TERM 1\n"
	powerOffCommand = "#!/bin/sh\nkill -s USR2 1\n"
	shutdownCommand = `#!/bin/sh
# shutdown [-r | -h | -P] now | +0 [MESSAGE]: what comes later is not known here.
signal=USR2 when=
for arg; do
	case $when$arg in
	now?*) ;;
	-r | --reboot) signal=TERM ;;
	-h | -P | --poweroff) signal=USR2 ;;
	now | +0) when=now ;;
	*) echo "shutdown: '$arg' is not known on this host, only -r, -h and -P with now or +0" >&2; exit 1 ;;
	esac
done
[ "$when" ] || { echo "shutdown: now or +0 is wanted" >&2; exit 1; }
kill -s $signal 1
`
)

// bootHost starts one host for the first time and returns when its sshd answers.
func (l *Lab) bootHost(ctx context.Context, h Host) error {
	if err := l.furnish(h); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if err := l.startMachine(h); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return l.awaitSSH(ctx, h)
}

func (l *Lab) awaitSSH(ctx context.Context, h Host) error {
	if err := waitForPort(ctx, net.JoinHostPort(h.Address, "22"), sshWithin); err != nil {
		return fmt.Errorf("%s: sshd does not answer: %w (see %s)", h.Name, err, l.Path("logs", h.Name+".log"))
	}
	return nil
}

// startMachine starts what a host runs on. The machine boots at once.
func (l *Lab) startMachine(h Host) error {
	host, err := l.spec(h)
	if err != nil {
		return err
	}
	return l.startMachineWith(h, l.Stacked, host)
}

// startMachineWith starts a machine for a host that was described.
func (l *Lab) startMachineWith(h Host, loader bool, host hostspec.Host) error {
	spec := machine.Spec{
		Name: h.Name, Dir: l.Path("hosts", h.Name), Procs: l.Path("procs"),
		Init: filepath.Join(l.Parts.Programs, "hostinit"), Group: l.net.cgroup() + "/" + h.Name,
		Link: h.link, Bridge: l.net.name, MAC: h.mac,
		Loader: loader, Host: host,
	}
	if l.hasEtcd(h) {
		// etcd loses its leader when its disk is slow, and the disk of this machine
		// is that of eight hosts at once.
		spec.Memory = []string{l.Path("hosts", h.Name, "etcd")}
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	path := l.Path("hosts", h.Name, "machine.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(l.Parts.Programs, "machine"), path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return l.daemon(h.Name, cmd)
}

// ask asks the machine of a host.
func (l *Lab) ask(ctx context.Context, h Host, request machine.Request) (machine.State, error) {
	return machine.Ask(ctx, l.Path("hosts", h.Name), request)
}

// process1 is the first process of a host that is up.
func (l *Lab) process1(host string) (proc.Record, error) {
	r, err := l.Process(machine.InitOf(host))
	if err != nil {
		return r, fmt.Errorf("%s is not up: its power is off, it boots, or there is no lab; `labctl power %[1]s` says which", host)
	}
	return r, nil
}

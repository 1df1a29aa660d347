package modules

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bootScript boots systemd in namespaces and a control group of its own, with an
// overlay over this machine's root, and units to play with.
const bootScript = `cgroup=$2/cgroup/$3; mkdir "$2/cgroup"; mount -t cgroup2 cgroup2 "$2/cgroup"; mkdir "$cgroup"; echo $$ >"$cgroup/cgroup.procs"
exec unshare -m -p -f --kill-child -u -i -n -C --propagation private sh -ec "$1" sh "$2"`

const bootedScript = `mount -t tmpfs tmpfs "$1"; cd "$1"; mkdir up work root; mount -t overlay -o lowerdir=/,upperdir=up,workdir=work overlay root; cd root
mount -t proc proc proc; mount -t sysfs sysfs sys; mount -t cgroup2 cgroup2 sys/fs/cgroup; mount --rbind /dev dev; mount -t tmpfs tmpfs run
rm -rf etc/systemd/system/*; cd usr/lib/systemd/system
printf '[Unit]\nAllowIsolate=yes\nDefaultDependencies=no\nWants=ready.service ends.service\n' >test.target
unit() { printf '[Unit]\nDefaultDependencies=no\n[Service]\n%b\n[Install]\nWantedBy=test.target\n' "$2" >"$1.service"; }
unit ready 'Type=oneshot\nExecStart=/bin/sh -c "echo ready >/ready"'
unit runs 'ExecStart=/bin/sleep 3600\nExecReload=/bin/true'
unit plain 'ExecStart=/bin/sleep 3600'
unit ends 'Type=oneshot\nExecStart=/bin/true'
unit fails 'Type=oneshot\nExecStart=/bin/false'
printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep 3600\n' >fixed.service
cd ../../../..; mkfifo ready; cat ready & exec chroot . env -i container=test PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --system --unit=test.target --log-target=null --show-status=0`

// bootWithin is for a slow and busy machine; seconds are enough elsewhere.
const bootWithin = time.Minute

// needsInotify ends a test where systemd would end at once and not say why: it
// watches files, and so do the containers of a lab, all as one user.
func needsInotify(t *testing.T) {
	t.Helper()
	const wanted = 8 // by systemd
	for range wanted {
		fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC)
		if err != nil {
			cannot(t, fmt.Sprintf("fs.inotify.max_user_instances is used up (%v): end what uses it, such as a running lab, or raise it with sysctl", err))
		}
		defer syscall.Close(fd)
	}
}

// newBooted is a target on which systemd really runs.
func newBooted(t *testing.T) within {
	needsRoot(t, "/lib/systemd/systemd", "unshare", "nsenter", "pgrep")
	needsInotify(t)
	dir := t.TempDir()
	group := "runbook-test-" + strconv.Itoa(os.Getpid()) + "-" + filepath.Base(filepath.Dir(dir))
	boot := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-ec", bootScript, "sh", bootedScript, dir, group)
	boot.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	boot.Stderr = &said
	stdout, err := boot.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, boot.Start())
	t.Cleanup(func() {
		assert.NoError(t, exec.Command("unshare", "-m", "--propagation", "private", "sh", "-ec",
			`mkdir -p "$1"; mount -t cgroup2 cgroup2 "$1"; find "$1/$2" -depth -type d -exec rmdir {} +`, "sh", dir+"/cgroup", group).Run())
	})
	bound := time.AfterFunc(bootWithin, func() { _ = boot.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	bound.Stop()
	if err != nil {
		ended := boot.Wait()
		cannot(t, fmt.Sprintf("systemd does not boot here within %v: %v %s", bootWithin, ended, said.String()))
	}
	require.Equal(t, "ready\n", line)
	children, err := exec.Command("pgrep", "-P", strconv.Itoa(boot.Process.Pid)).Output()
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(children)))
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		_ = boot.Wait() // its child was killed
	})
	return within{here: &here{t: t}, enter: []string{"nsenter", "-t", strconv.Itoa(pid), "-m", "-p", "-n", "-r", "-w"}}
}

func TestServiceConfirmed(t *testing.T) {
	host := newBooted(t)
	for _, c := range []struct {
		title string
		m     func() Module
		steps []string
		again bool // a second run does it once more
	}{
		{"stopped already", func() Module { return &service{Name: "runs", State: "stopped"} }, nil, false},
		{"start", func() Module { return &service{Name: "runs", State: "started"} }, []string{"systemctl start runs"}, false},
		{"reload", func() Module { return &service{Name: "runs", State: "reloaded"} }, []string{"systemctl reload runs"}, true},
		{"restart", func() Module { return &service{Name: "runs", State: "restarted"} }, []string{"systemctl restart runs"}, true},
		{"stop", func() Module { return &service{Name: "runs", State: "stopped"} }, []string{"systemctl stop runs"}, false},
		{"reload starts", func() Module { return &service{Name: "runs", State: "reloaded"} }, []string{"systemctl start runs"}, true},
		{"restart starts", func() Module { return &service{Name: "plain", State: "restarted"} }, []string{"systemctl restart plain"}, true},
		{"runs to its end", func() Module { return &service{Name: "ends", State: "started"} }, []string{"systemctl start ends"}, true},
		{"enable and stop", func() Module { return &service{Name: "runs", State: "stopped", Enabled: new(true)} }, []string{"systemctl enable runs", "systemctl stop runs"}, false},
		{"disable", func() Module { return &service{Name: "runs", Enabled: new(false)} }, []string{"systemctl disable runs"}, false},
		{"static", func() Module { return &service{Name: "fixed", Enabled: new(true)} }, nil, false},
		{"mask", func() Module { return &systemd{Name: "runs", Masked: new(true)} }, []string{"systemctl mask runs"}, false},
		{"unmask and start", func() Module { return &systemd{Name: "runs", Masked: new(false), State: "started"} }, []string{"systemctl unmask runs", "systemctl start runs"}, false},
	} {
		t.Run(c.title, func(t *testing.T) {
			m := c.m()
			change := check(t, m, host)
			assert.ElementsMatch(t, c.steps, stepLines(change))
			host.take(change)
			assert.Empty(t, check(t, m, host).Diffs)
			assert.Equal(t, c.again, len(check(t, c.m(), host).Diffs) > 0)
		})
	}
}

func TestSystemdConfirmed(t *testing.T) {
	host := newBooted(t)
	host.sh("systemctl start plain")
	reread := func() []*systemd { return []*systemd{{DaemonReload: true}, {Name: "plain", DaemonReload: true}} }
	for title, change := range map[string]string{
		"a changed unit": "echo '#' >>/usr/lib/systemd/system/plain.service",
		"a new addition": "mkdir -p /etc/systemd/system/plain.service.d; printf '[Service]\\nNice=1\\n' >/etc/systemd/system/plain.service.d/x.conf",
	} {
		for _, m := range reread() {
			assert.Empty(t, check(t, m, host).Diffs, title)
		}
		host.sh(change)
		for _, m := range reread() {
			assert.Equal(t, []string{"systemctl daemon-reload"}, stepLines(check(t, m, host)), title)
		}
		host.take(check(t, reread()[0], host))
	}
	for _, m := range reread() {
		assert.Empty(t, check(t, m, host).Diffs)
	}
	host.sh("echo '#' >>/usr/lib/systemd/system/plain.service")
	assert.Len(t, check(t, &service{Name: "plain", State: "restarted"}, host).Notes, 1)

	host.sh("systemctl mask runs")
	for name, want := range map[string]string{"runs": `"runs" is masked`, "nosuch": `no unit "nosuch"`, "plain": "no ExecReload"} {
		_, err := (&service{Name: name, State: "reloaded"}).Check(t.Context(), host)
		assert.ErrorContains(t, err, want)
	}
	failing := &service{Name: "fails", State: "restarted"}
	out, err := host.Query(t.Context(), check(t, failing, host).Steps[0].(Run))
	require.NoError(t, err)
	assert.NotZero(t, out.Code)
	_, err = failing.Check(t.Context(), host)
	assert.ErrorContains(t, err, "has failed after its restart (exit-code)")
}

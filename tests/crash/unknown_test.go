package crash

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// left are the processes that the project's runs have on the targets.
func (p *project) left() []int {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is good
	var pids []int
	for _, name := range environs {
		data, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(data, []byte("RUNBOOK_RUNS="+p.runs+"\x00")) {
			continue // it has ended meanwhile, or is another's
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// quiet requires that nothing of the project's runs stays on the targets.
func (p *project) quiet() {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return len(p.left()) == 0 }, 20*time.Second, 20*time.Millisecond, "these processes stay: %v", p.left())
}

// TestNobodyKnows: where everything is killed, on the controller and on the
// targets, what was under way is reported as unknown, and only that; it is done
// again only where the operator says so.
func TestNobodyKnows(t *testing.T) {
	p, l := slowly(t, false)
	l.signal(syscall.SIGKILL)
	require.Equal(t, -1, l.end())
	for _, pid := range p.left() {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	p.quiet()
	code, out := p.run("resume")
	require.Equal(t, 2, code, out)
	require.Equal(t, slowHosts, reported(out), out)
	lost, doubled := compare(slowEffects(true), p.effects())
	require.Empty(t, doubled)
	require.NotEmpty(t, lost)
	code, out = p.run("resume", "--unknown=rerun")
	require.Zero(t, code, out)
	lost, doubled = compare(slowEffects(true), p.effects())
	require.Empty(t, lost)
	require.Equal(t, onAll("two"), doubled, "what was asked for")
	p.quiet()
}

// TestWhatMindsACommandIsKilled, while the program lives: it does not say of the
// command that it failed, for then the resumption would do it again.
func TestWhatMindsACommandIsKilled(t *testing.T) {
	p, l := slowly(t, false)
	for _, pid := range p.left() {
		if pid != l.cmd.Process.Pid {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
	require.NotZero(t, l.end(), l.printed())
	code, out := p.run("resume")
	require.Equal(t, 2, code, out)
	require.Equal(t, slowHosts, reported(out), out)
	_, doubled := compare(slowEffects(true), p.effects())
	require.Empty(t, doubled)
	code, out = p.run("resume", "--unknown=skip")
	require.Zero(t, code, out)
	lost, doubled := compare(slowEffects(false), p.effects())
	require.Empty(t, lost)
	require.Empty(t, doubled)
	for _, r := range p.listed() {
		require.Zero(t, r.Pending)
	}

}

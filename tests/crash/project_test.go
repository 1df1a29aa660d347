package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lifeLimit bounds one life of the program: far longer than any of these takes.
const lifeLimit = 2 * time.Minute

// project is a project of a user, the targets' logs, and the directory where the
// targets keep what runs on them.
type project struct {
	t    testing.TB
	dir  string // of the project
	logs string // of the targets: a file for each host
	runs string // RUNBOOK_RUNS
	n    int    // lives so far
}

// newProject writes the playbook, and an inventory of as many hosts, all of them
// this machine.
func newProject(t testing.TB, playbook string, hosts int) *project {
	dir, err := os.MkdirTemp("", "crash")
	require.NoError(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir)
			return
		}
		t.Logf("left for a look: %s", dir)
	})
	p := &project{t: t, dir: filepath.Join(dir, "project"), logs: filepath.Join(dir, "logs"), runs: filepath.Join(dir, "runs")}
	for _, d := range []string{p.dir, p.logs, p.runs} {
		require.NoError(t, os.Mkdir(d, 0o755))
	}
	inventory := "[web]\n"
	for _, h := range hostNames(hosts) {
		inventory += h + " ansible_connection=local\n"
	}
	inventory += "[web:vars]\nlogs=" + p.logs + "\n"
	p.write("hosts", inventory)
	p.write("site.yaml", playbook)
	return p
}

func hostNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("h%03d", i+1))
	}
	return names
}

func (p *project) write(name, text string) {
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600))
}

// life is one process of the program. What it prints goes to a file, which
// nothing that it leaves behind can hold open.
type life struct {
	t    testing.TB
	args []string
	cmd  *exec.Cmd
	out  string
	over chan struct{} // closed when it has ended
}

// start begins a life of a program in the project's directory.
func (p *project) start(program string, env []string, args ...string) *life {
	return p.startTo(nil, program, env, args...)
}

// startTo is start with the standard output somewhere else.
func (p *project) startTo(stdout *os.File, program string, env []string, args ...string) *life {
	p.n++
	l := &life{t: p.t, args: args, out: filepath.Join(filepath.Dir(p.dir), fmt.Sprintf("out%d", p.n)), over: make(chan struct{})}
	out, err := os.Create(l.out)
	require.NoError(p.t, err)
	l.cmd = exec.Command(program, args...)
	l.cmd.Dir, l.cmd.Stdout, l.cmd.Stderr = p.dir, out, out
	if stdout != nil {
		l.cmd.Stdout = stdout
	}
	l.cmd.Env = slices.Concat(os.Environ(), []string{"RUNBOOK_RUNS=" + p.runs, "HOME=" + p.dir}, env)
	require.NoError(p.t, l.cmd.Start())
	p.write("pid", fmt.Sprint(l.cmd.Process.Pid)) // for playbooks that signal it
	require.NoError(p.t, out.Close())
	go func() {
		_ = l.cmd.Wait() // how it ended is in its state
		close(l.over)
	}()
	return l
}

func (l *life) signal(s syscall.Signal) { _ = l.cmd.Process.Signal(s) } // one that has ended hears nothing

// within says whether the life ends by itself within that time.
func (l *life) within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.over:
		return true
	case <-timer.C:
		return false
	}
}

// end is the exit code of the life, or -1 where it was killed.
func (l *life) end() int {
	if !l.within(lifeLimit) {
		l.signal(syscall.SIGQUIT) // with its goroutines
		<-l.over
		l.t.Fatalf("%v does not end:\n%s", l.args, l.printed())
	}
	return l.cmd.ProcessState.ExitCode()
}

func (l *life) printed() string {
	data, err := os.ReadFile(l.out)
	require.NoError(l.t, err)
	return string(data)
}

// run is a whole life of the program as users have it: its exit code and what it
// printed.
func (p *project) run(args ...string) (int, string) {
	l := p.start(program, nil, args...)
	return l.end(), l.printed()
}

// apply is the command that begins a run.
var apply = []string{"apply", "site.yaml", "-i", "hosts"}

// goOn goes on with the run in a life that nobody kills.
func (p *project) goOn() (int, string) {
	args := p.next()
	if args == nil {
		return 0, ""
	}
	return p.run(args...)
}

// next is the command that brings the run nearer to its end: a first life where
// nothing began, and nil where it is done.
func (p *project) next() []string {
	runs := p.listed()
	if len(runs) == 0 {
		require.Empty(p.t, p.effects(), "something happened in a run that nobody knows of")
		return apply
	}
	if runs[len(runs)-1].State == "done" {
		return nil
	}
	return []string{"resume"}
}

// listed is a run as `runbook runs` has it.
type listed struct {
	Run, State string
	Lives      int
	Pending    int
}

func (p *project) listed() []listed {
	if _, err := os.Stat(filepath.Join(p.dir, ".runbook")); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lifeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "runs", "--output", "json")
	cmd.Dir = p.dir
	out, err := cmd.Output()
	require.NoError(p.t, err, "%s", out)
	var runs []listed
	require.NoError(p.t, json.Unmarshal(out, &runs), "%s", out)
	return runs
}

// effects is what the targets have seen, a line for each effect, sorted.
func (p *project) effects() []string {
	files, err := filepath.Glob(filepath.Join(p.logs, "h???"))
	require.NoError(p.t, err)
	var all []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(p.t, err)
		for line := range strings.Lines(string(data)) {
			all = append(all, filepath.Base(f)+": "+strings.TrimSuffix(line, "\n"))
		}
	}
	slices.Sort(all)
	return all
}

// compare is the oracle: what never happened, and what happened too often.
func compare(want, got []string) (lost, doubled []string) {
	count := map[string]int{}
	for _, g := range got {
		count[g]++
	}
	for _, w := range want {
		count[w]--
	}
	for line, n := range count {
		switch {
		case n < 0:
			lost = append(lost, line)
		case n > 0:
			doubled = append(doubled, line)
		}
	}
	slices.Sort(lost)
	slices.Sort(doubled)
	return lost, doubled
}

// settled holds the project to what must be true at the end, however often and
// in whatever way the run has died: everything has happened once, every handler
// that was notified has run, the run is done, and nothing is left to be planned.
func (p *project) settled(want []string, how string) {
	p.t.Helper()
	lost, doubled := compare(want, p.effects())
	require.Empty(p.t, lost, "%s: these effects are lost", how)
	require.Empty(p.t, doubled, "%s: these effects happened twice", how)
	runs := p.listed()
	require.NotEmpty(p.t, runs, how)
	for _, r := range runs {
		require.Zero(p.t, r.Pending, "%s: handlers of run %s are pending", how, r.Run)
	}
	require.Equal(p.t, "done", runs[len(runs)-1].State, how)
}

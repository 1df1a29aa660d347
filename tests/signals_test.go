package tests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
)

// slow is a playbook whose first task waits until somebody lets it go on, and
// says in a file that it is at work.
const slow = `
- name: Slow
  hosts: localhost
  gather_facts: false
  vars: {here: "{{ playbook_dir }}"}
  tasks:
    - name: Slow one
      shell: touch {{ here }}/begun; until test -e {{ here }}/go-on; do sleep 0.1; done; echo slow >> {{ here }}/log
    - name: Next one
      shell: echo next >> {{ here }}/log
`

// program is a runbook at work in a directory of its own.
type program struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	stderr *lines
}

// lines collects what is written, and lets one wait for a part of it.
type lines struct {
	text  bytes.Buffer
	want  string
	found chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.text.Write(p)
	if l.want != "" && strings.Contains(l.text.String(), l.want) {
		l.want = ""
		close(l.found)
	}
	return n, err
}

// String is what was written; not before the program has ended.
func (l *lines) String() string { return l.text.String() }

// bound is for a program that does not do what is waited for.
const bound = 30 * time.Second

// begin starts an apply of the slow playbook and returns when its first task is
// at work. When its errors have the words, told returns.
func begin(t *testing.T, words string, stdout io.Writer) *program {
	t.Helper()
	return beginWith(t, words, func(p *program) { p.cmd.Stdout, p.cmd.Stderr = stdout, p.stderr })
}

func beginWith(t *testing.T, words string, streams func(*program)) *program {
	t.Helper()
	p := &program{t: t, dir: t.TempDir(), stderr: &lines{want: words, found: make(chan struct{})}}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "site.yaml"), []byte(slow), 0o600))
	p.cmd = p.command("apply", "--yes", "site.yaml", "-i", "localhost,")
	streams(p)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.file("go-on") }) // whatever is left at work ends
	p.until("the task begins", func() bool { return p.has("begun") })
	return p
}

func (p *program) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	p.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "runbook", args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "HOME="+p.dir, "RUNBOOK_RUNS="+p.dir)
	return cmd
}

func (p *program) file(name string) { _ = os.WriteFile(filepath.Join(p.dir, name), nil, 0o600) }

func (p *program) has(name string) bool {
	_, err := os.Stat(filepath.Join(p.dir, name))
	return err == nil
}

func (p *program) until(what string, holds func() bool) {
	p.t.Helper()
	require.Eventually(p.t, holds, bound, 20*time.Millisecond, what)
}

func (p *program) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// told waits for the words that begin was given.
func (p *program) told() {
	p.t.Helper()
	select {
	case <-p.stderr.found:
	case <-time.After(bound):
		require.Fail(p.t, "the words were not said")
	}
}

// code waits for the end.
func (p *program) code() int {
	p.t.Helper()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(p.t, err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// records are what the one run has in its journal, which must be whole.
func (p *program) records() []runner.Record {
	p.t.Helper()
	runs, err := filepath.Glob(filepath.Join(p.dir, ".runbook/runs/*"))
	require.NoError(p.t, err)
	require.Len(p.t, runs, 1)
	c, err := journal.Read(runs[0])
	require.NoError(p.t, err)
	return c.Records()
}

// outcomes are the tasks that came to one, with their status.
func (p *program) outcomes() []string {
	var all []string
	for _, r := range p.records() {
		if o, ok := r.(runner.Outcome); ok {
			all = append(all, o.Name+" "+string(o.Status))
		}
	}
	return all
}

func (p *program) resume() {
	p.t.Helper()
	p.file("go-on")
	out, err := p.command("resume").CombinedOutput()
	require.NoErrorf(p.t, err, "%s", out)
}

func (p *program) log() string {
	data, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(p.t, err)
	}
	return string(data)
}

func TestTheFirstSignalLetsTheTaskEnd(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			p := begin(t, "localhost is at work and may end its task", io.Discard)
			p.signal(s)
			p.told()
			p.file("go-on")
			require.Equal(t, 130, p.code(), p.stderr.String())
			require.Contains(t, p.stderr.String(), "runbook resume 2")
			require.Equal(t, "slow\n", p.log())
			require.Equal(t, []string{"Slow one changed"}, p.outcomes())
			p.resume()
			require.Equal(t, "slow\nnext\n", p.log())
		})
	}
}

func TestTheSecondSignalEndsTheTask(t *testing.T) {
	for decision, log := range map[string]string{"rerun": "slow\nnext\n", "skip": "next\n"} {
		t.Run(decision, func(t *testing.T) {
			p := begin(t, "no new tasks", io.Discard)
			p.signal(os.Interrupt)
			p.told()
			p.signal(os.Interrupt)
			require.Equal(t, 130, p.code(), p.stderr.String())
			require.Contains(t, p.stderr.String(), "ending what is at work")
			require.Empty(t, p.log())
			require.NotContains(t, p.outcomes(), "Slow one changed")

			p.file("go-on")
			undecided := p.command("resume")
			out, err := undecided.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, 2, undecided.ProcessState.ExitCode())
			require.Contains(t, string(out), "resume with --unknown=rerun or --unknown=skip")
			require.Empty(t, p.log())
			out, err = p.command("resume", "--unknown", decision).CombinedOutput()
			require.NoErrorf(t, err, "%s", out)
			require.Equal(t, log, p.log())
		})
	}
}

func TestAKilledRunIsResumedAndItsCommandNotRunTwice(t *testing.T) {
	p := begin(t, "", io.Discard)
	p.signal(syscall.SIGKILL)
	require.Equal(t, -1, p.code())
	require.Empty(t, p.outcomes())
	p.resume()
	require.Equal(t, "slow\nnext\n", p.log())
}

func TestAReaderThatGoesAwayDoesNotStopTheRun(t *testing.T) {
	in, out, err := os.Pipe()
	require.NoError(t, err)
	p := begin(t, "", out)
	require.NoError(t, out.Close())
	_, err = bufio.NewReader(in).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, in.Close())
	p.file("go-on")
	require.Equal(t, 0, p.code(), p.stderr.String())
	require.Equal(t, "slow\nnext\n", p.log())
	require.Equal(t, []string{"Slow one changed", "Next one changed"}, p.outcomes())
}

func TestTwoRunsOfOneProject(t *testing.T) {
	p := begin(t, "", io.Discard)
	second := p.command("apply", "site.yaml", "-i", "localhost,")
	out, err := second.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 5, second.ProcessState.ExitCode())
	require.Contains(t, string(out), "another run has the lock of this project: run ")
	require.Contains(t, string(out), "--lock-timeout")

	patient := p.command("apply", "site.yaml", "-i", "localhost,", "--lock-timeout", "30s")
	said := &lines{want: "waiting up to 30s for ", found: make(chan struct{})}
	patient.Stderr = said
	require.NoError(t, patient.Start())
	select {
	case <-said.found:
	case <-time.After(bound):
		require.Fail(t, "nobody waits")
	}
	p.file("go-on")
	require.Equal(t, 0, p.code())
	require.NoError(t, patient.Wait())
	require.Equal(t, "slow\nnext\nslow\nnext\n", p.log())
}

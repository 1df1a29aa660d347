package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// here is this machine as a target: queries really run, and steps can be taken,
// so that the shell text of a module is tested by the shells that will read it.
type here struct {
	t   *testing.T
	sh  []string // the shell, up to and without -c
	env []string
}

// shells are the targets that a module must behave the same on.
func shells(t *testing.T) map[string]*here {
	t.Helper()
	plain := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + t.TempDir(), "LC_ALL=C"}
	targets := map[string]*here{"sh": {t: t, sh: []string{"/bin/sh"}, env: plain}}
	box, err := exec.LookPath("busybox")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "busybox must be installed")
		t.Log("busybox is not installed: checked with /bin/sh only")
		return targets
	}
	applets := t.TempDir()
	require.NoError(t, exec.Command(box, "--install", "-s", applets).Run())
	targets["busybox"] = &here{
		t: t, sh: []string{box, "sh"},
		env: []string{"PATH=" + applets, "HOME=" + t.TempDir(), "LC_ALL=C"},
	}
	return targets
}

func (h *here) Query(ctx context.Context, r Run) (Output, error) {
	argv := r.Argv
	if r.Shell != "" {
		argv = append(append([]string{}, h.sh...), "-c", r.Shell)
		if r.Exe != "" {
			argv = []string{r.Exe, "-c", r.Shell}
		}
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Env = h.env
	for k, v := range r.Env {
		c.Env = append(c.Env, k+"="+v)
	}
	c.Dir = r.Dir
	c.Stdin = bytes.NewReader([]byte(r.Stdin))
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Output{}, err
	}
	return Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: c.ProcessState.ExitCode()}, nil
}

func (h *here) ReadFile(_ context.Context, path string) (File, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	if err != nil {
		return File{}, err
	}
	f := File{Exists: true, Size: info.Size(), Mode: info.Mode(), ModTime: info.ModTime()}
	if info.Mode().IsRegular() {
		f.Data, err = os.ReadFile(path)
	}
	return f, err
}

func (h *here) Fetch(context.Context, Request) (Response, error) {
	return Response{}, errors.New("this target fetches nothing")
}

func (h *here) Cluster(context.Context) (Cluster, error) { return nil, ErrNoCluster }

func (h *here) Run() RunName { return RunName{} }

func (h *here) Predicted(Thing, string) (Effect, bool) { return Effect{}, false }

// take does what the engine does with the steps of a change.
func (h *here) take(c Change) []Output {
	h.t.Helper()
	var outputs []Output
	for _, s := range c.Steps {
		switch s := s.(type) {
		case Run:
			out, err := h.Query(context.Background(), s)
			require.NoError(h.t, err)
			outputs = append(outputs, out)
			if out.Code != 0 {
				return outputs
			}
		case Write:
			require.NoError(h.t, h.write(s), s)
		case Remove:
			require.NoError(h.t, h.remove(s), s)
		default:
			require.Failf(h.t, "unexpected step", "%T %s", s, s)
		}
	}
	return outputs
}

func (h *here) write(w Write) error {
	mode := w.Mode
	if mode == 0 {
		mode = 0o644
		if info, err := os.Stat(w.Path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	old, err := os.ReadFile(w.Path)
	if w.Backup && err == nil {
		if err := os.WriteFile(w.Path+".backup", old, 0o600); err != nil {
			return err
		}
	}
	temp := filepath.Join(filepath.Dir(w.Path), ".new")
	if err := os.WriteFile(temp, w.Data, mode); err != nil {
		return err
	}
	if err := os.Chmod(temp, mode); err != nil {
		return err
	}
	return os.Rename(temp, w.Path)
}

func (h *here) remove(r Remove) error {
	if r.Recursive {
		return os.RemoveAll(r.Path)
	}
	return os.Remove(r.Path)
}

// settle checks, takes the steps and checks again: what is left must be
// nothing. It returns the first change.
func (h *here) settle(m Module) Change {
	h.t.Helper()
	change := check(h.t, m, h)
	for i, out := range h.take(change) {
		require.Zero(h.t, out.Code, fmt.Sprintf("step %d: %s%s", i+1, out.Stdout, out.Stderr))
	}
	left := check(h.t, m, h)
	require.Empty(h.t, left.Diffs)
	require.Empty(h.t, stepLines(left))
	return change
}

//go:build failpoint

package journal

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner/failpoint"
)

// TestMain is also the process that dies.
func TestMain(m *testing.M) {
	dir := os.Getenv("JOURNAL_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := doomed(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// doomed lives the lives in the folder, and says a word for each record that the
// journal has acknowledged as durable.
func doomed(dir string) error {
	for i, life := range lives() {
		var w *Writer
		var err error
		if i == 0 {
			w, err = Create(dir, life[0].record.(Header))
		} else {
			w, _, err = Reopen(dir, life[0].record.(Resumed))
		}
		if err != nil {
			return err
		}
		fmt.Print("x")
		told := ""
		for _, s := range life[1:] {
			if err := put(w, s); err != nil {
				return err
			}
			if told += "x"; s.durable {
				fmt.Print(told)
				told = ""
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		fmt.Print(told)
	}
	return nil
}

// ours are the journal's own points; the engine's are met elsewhere (tests/crash).
func ours() []string {
	return slices.DeleteFunc(failpoint.Names(), func(name string) bool { return !strings.HasPrefix(name, "journal.") })
}

func TestDeathAtEveryPoint(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	seen := filepath.Join(t.TempDir(), "seen")
	var told []any
	for _, life := range lives() {
		for _, s := range life {
			told = append(told, s.record)
		}
	}
	deaths := 0
	for _, point := range ours() {
		for n := 1; ; n++ {
			at := fmt.Sprintf("%s@%d", point, n)
			dir := filepath.Join(t.TempDir(), "x")
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "JOURNAL_TEST_DIR="+dir, "RUNBOOK_FAILPOINT="+at, "RUNBOOK_FAILPOINTS_FILE="+seen)
			acked, err := cmd.Output()
			if err == nil {
				require.Greater(t, n, 1, "%s is never hit", point)
				break
			}
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			require.True(t, status.Signaled() && status.Signal() == syscall.SIGKILL, "%s: %v", at, err)
			deaths++
			c, err := Read(dir)
			if len(acked) == 0 && strings.HasPrefix(point, "journal.header.before") {
				require.ErrorIs(t, err, ErrNeverBegan, at)
				continue
			}
			require.NoError(t, err, at)
			got := flat(t, c)
			require.GreaterOrEqual(t, len(got), len(acked), at)
			require.Equal(t, told[:len(got)], got, at)
			has := 0 // records of the point's kind
			kind, when, _ := strings.Cut(strings.TrimPrefix(point, "journal."), ".")
			for _, r := range got {
				if strings.HasPrefix(strings.ToLower(reflect.TypeOf(r).Name()), kind) {
					has++
				}
			}
			switch when {
			case "before":
				require.Equal(t, n-1, has, at)
			case "written", "durable":
				require.GreaterOrEqual(t, has, n, at)
			}
			w, _, err := Reopen(dir, aResumption(9))
			require.NoError(t, err, at)
			require.NoError(t, w.Close())
		}
	}
	require.Greater(t, deaths, len(ours()))
	names, err := os.ReadFile(seen)
	require.NoError(t, err)
	for _, point := range ours() {
		require.Contains(t, strings.Split(string(names), "\n"), point)
	}
	t.Logf("%d deaths at %d points", deaths, len(ours()))
}

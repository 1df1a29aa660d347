package project

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/runner"
	"runbook/runner/journal"
)

// many is a project with runs of 50 hosts and 20 tasks.
func many(b *testing.B, runs int) *Project {
	b.Helper()
	p, err := Create(b.TempDir() + "/" + Name)
	require.NoError(b, err)
	unlock, err := p.Lock(b.Context(), Info{}, 0, nil)
	require.NoError(b, err)
	b.Cleanup(func() { _ = unlock() })
	for range runs {
		j, _, err := p.Begin(journal.Header{Playbook: "site.yaml"})
		require.NoError(b, err)
		require.NoError(b, j.Put(b.Context(), begun(1, "web"), false))
		for task := range 20 {
			for host := range 50 {
				name := fmt.Sprintf("node%d", host)
				o := changes(1, name)
				o.Task, o.At = fmt.Sprintf("tasks/%d", task), time.Now()
				require.NoError(b, j.Put(b.Context(), runner.Intent{Key: o.Key, Name: o.Name, Of: 1, Command: "apt-get install -y ipset"}, false))
				require.NoError(b, j.Put(b.Context(), o, false))
			}
		}
		require.NoError(b, j.Put(b.Context(), ended(runner.Summary{}), true))
		require.NoError(b, j.Close())
		require.NoError(b, p.Checkpoint())
	}
	return p
}

func BenchmarkRuns20(b *testing.B) {
	p := many(b, 20)
	for b.Loop() {
		_, err := p.Runs()
		require.NoError(b, err)
	}
}

func BenchmarkState20(b *testing.B) {
	p := many(b, 20)
	for b.Loop() {
		_, err := p.State()
		require.NoError(b, err)
	}
}

func BenchmarkCheckpointAfterARun(b *testing.B) {
	p := many(b, 1)
	require.NoError(b, p.save(&checkpoint{}, false))
	for b.Loop() {
		f, err := p.fold()
		require.NoError(b, err)
		require.Equal(b, 1, f.Turn)
	}
}

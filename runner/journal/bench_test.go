package journal

import (
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

// The three are to be read side by side: what an event costs in the journal at
// 50 writers, each durable before Put returns; what its line costs to write
// without any of that; and what it costs with a sync for each.

func BenchmarkPut50Writers(b *testing.B) {
	w, err := Create(filepath.Join(b.TempDir(), "x"), aHead())
	require.NoError(b, err)
	var n atomic.Int64
	b.SetParallelism((50 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := benchRecord()
		r.Step = int(n.Add(1))
		for pb.Next() {
			if err := w.Put(ctx, r, true); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	require.NoError(b, w.Close())
}

func BenchmarkPlainWrite(b *testing.B) { benchFile(b, false) }

func BenchmarkFsyncEach(b *testing.B) { benchFile(b, true) }

func benchFile(b *testing.B, sync bool) {
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "x"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(b, err)
	record, err := marshal(benchRecord())
	require.NoError(b, err)
	line := appendLine(nil, 1, anIntent, record, noLine)
	for b.Loop() {
		if _, err := f.Write(line); err != nil {
			b.Fatal(err)
		}
		if sync {
			if err := datasync(f); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(line)), "B/line")
	require.NoError(b, f.Close())
}

func benchRecord() runner.Intent { return anIntention("web1.example.com", 1) }

func BenchmarkRead(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "x")
	w, err := Create(dir, aHead())
	require.NoError(b, err)
	const lines = 10_000
	for n := range lines {
		require.NoError(b, w.Put(ctx, aResult("web1", n), false))
	}
	require.NoError(b, w.Close())
	for b.Loop() {
		_, err := Read(dir)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}

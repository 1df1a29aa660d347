package shell

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

func BenchmarkRoundTrip(b *testing.B) {
	b.Setenv("TMPDIR", "/dev/shm") // memory, as /run is
	for name, open := range shells(b) {
		s := start(b, open)
		b.Run(name+"/builtin", func(b *testing.B) { // what the protocol itself costs
			for b.Loop() {
				p := &pending{acks: make(chan string, 2)}
				mark := newMark()
				s.expect(mark, p)
				s.tell("printf '%s done\\n' " + mark + "\n")
				require.Equal(b, "done", <-p.acks)
				s.forget(mark)
			}
		})
		b.Run(name+"/command", func(b *testing.B) {
			for b.Loop() {
				_, err := s.Query(b.Context(), modules.Command("true"))
				require.NoError(b, err)
			}
		})
		b.Run(name+"/do", func(b *testing.B) { // and how often that of a command which nobody minds
			var minded, alone time.Duration
			for b.Loop() {
				begin := time.Now()
				_, err := s.do(b.Context(), modules.Command("true"))
				require.NoError(b, err)
				middle := time.Now()
				_, err = s.run(b.Context(), request{Run: modules.Command("true"), kind: step, keep: maxOutput})
				require.NoError(b, err)
				minded += middle.Sub(begin)
				alone += time.Since(middle)
			}
			b.ReportMetric(float64(minded)/float64(b.N), "do-ns/op")
			b.ReportMetric(float64(minded)/float64(alone), "do/step")
		})
	}
	b.Run("a process of its own", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, exec.Command("/bin/sh", "-c", "true").Run())
		}
	})
}

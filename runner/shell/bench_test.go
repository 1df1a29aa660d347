package shell

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
)

func BenchmarkRoundTrip(b *testing.B) {
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
	}
	b.Run("a process of its own", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, exec.Command("/bin/sh", "-c", "true").Run())
		}
	})
}

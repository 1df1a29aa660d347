//go:build linux

package maintenance

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lives"
)

// mostLives bounds a chain of lives: a roll over one node has not so many tasks.
const mostLives = 120

// TestDeathAtEveryTask rolls a worker and a node of the control plane, and kills the
// program with SIGKILL at the first task, resumes it and kills it at the second, and
// so on; at a reboot it dies several times. In the end each node has been taken out,
// booted and given back once, as by a run that nobody disturbed.
func TestDeathAtEveryTask(t *testing.T) {
	hosts := []string{"node005", "node002"}
	o := fresh(t, "kills", hosts...)
	before, began := map[string]int{}, time.Now()
	for _, host := range hosts {
		before[host] = o.boots(host)
	}
	r := rand.New(rand.NewPCG(seed(t), 0))
	vars, limit := map[string]any{"canary": hosts[0]}, []string{"-l", strings.Join(hosts, ",")}
	args := o.args("apply", upgrade, vars, limit...)
	atTheReboot := 0
	for n, life := 1, 1; life <= mostLives; life++ {
		end := &lives.Death{Task: n, Of: time.Second, When: lives.Moments[r.IntN(len(lives.Moments))], Part: r.Float64()}
		if atTheReboot > 0 { // of which there are many moments: before the order, while it is down, before the API agrees
			end.When, end.Of, end.Part = lives.Amid, 9*time.Second, float64(atTheReboot)/5
		}
		l := o.live(args, end)
		if !l.Killed {
			t.Logf("%d lives, %.0f s\n%s", life, time.Since(began).Seconds(), l.Failures())
			require.Equal(t, 0, l.Code, l.Printed())
			require.GreaterOrEqual(t, n, l.Begun(), "it died at every task")
			break
		}
		t.Logf("life %d: killed after %.1f s, %s task %d, %s", life, l.Took.Seconds(), end.When, n, end.At)
		args = []string{"resume", "--lock-timeout", "20s"}
		if o.journal().Ended() != nil {
			break // it had nothing left to do but to say so
		}
		if end.At == "It starts anew, and its cluster says so" && atTheReboot < 4 {
			atTheReboot++
			continue
		}
		atTheReboot = 0
		n++
	}
	require.NotNil(t, o.journal().Ended())
	require.False(t, o.journal().Ended().Summary.Failed)
	require.Equal(t, hosts, inOrder(t, o.turns(began), 1))
	for _, host := range hosts {
		require.Equal(t, before[host]+1, o.boots(host), host)
		o.upgraded(host)
	}
	vars["lease_timeout"] = 30 // one that died with its last word has not given its lease back
	again := o.call(o.args("apply", upgrade, vars, limit...)...)
	require.Equal(t, 0, again.Code)
	unchanged(t, again)
}

// seed is EVERYTASK_SEED, or the one of every run in CI.
func seed(t *testing.T) uint64 {
	n := uint64(1)
	if asked := os.Getenv("EVERYTASK_SEED"); asked != "" {
		var err error
		n, err = strconv.ParseUint(asked, 10, 64)
		require.NoError(t, err, "EVERYTASK_SEED")
	}
	t.Logf("EVERYTASK_SEED=%d", n)
	return n
}

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	moments = 1000 // at which the program is killed, unless CRASH_KILLS says another number
	// killsARun is how many lives one run is to have, so that there is hardly a
	// task in whose middle none ends.
	killsARun = 250
	// oneInShells is in how many lives a control shell is killed before the program.
	oneInShells = 8
)

// atOnce is how many hosts a life has at once. Most have few: what a life costs is
// the shells that it starts, and those who have many are long in starting them.
var atOnce = []string{"2", "2", "3", "3", "4", "6", "6", "32"}

// TestDeathAtRandomMoments kills the program at random moments of runs of twenty
// tasks on fifty hosts, and resumes them, until it has been killed often enough
// and every run has come to its end, under fire to the last. In some lives control shells are killed too.
func TestDeathAtRandomMoments(t *testing.T) {
	kills := number(t, "CRASH_KILLS", moments)
	c := &campaign{t: t, want: bigEffects(), seed: seed(t), left: kills, each: min(killsARun, kills/workers+1), reach: 400 * time.Millisecond}
	began := time.Now()
	var all sync.WaitGroup
	for worker := range workers {
		r := rand.New(rand.NewPCG(c.seed, uint64(worker)))
		all.Go(func() {
			for c.more() && c.run(r) {
			}
		})
	}
	all.Wait()
	c.report(time.Since(began))
}

// campaign is the many runs that are killed many times.
type campaign struct {
	t    *testing.T
	want []string
	seed uint64

	mu     sync.Mutex
	left   int           // kills yet to be
	each   int           // kills that a run is to have
	reach  time.Duration // lives are killed before they are as old
	ended  int           // runs that came to their end
	lives  int
	kills  int
	shells int     // control shells that were killed
	when   [10]int // kills by how far the run had come, in tenths
	out    int     // lives that a killed control shell made fail
	used   time.Duration
}

// more says whether another run is wanted.
func (c *campaign) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left > 0
}

// run is one run from its beginning to its end, in as many lives as it takes. It
// reports false where the oracle was not content.
func (c *campaign) run(r *rand.Rand) (good bool) {
	return c.t.Run(fmt.Sprintf("run %x", r.Uint32()), func(t *testing.T) {
		p := newProject(t, big(), bigHosts)
		before := 0
		for args, lives := apply, 0; args != nil; lives++ {
			require.Less(t, lives, 20*killsARun, "the run does not come to its end")
			args = c.life(p, r, args)
			before = c.learn(p, before)
		}
		how := fmt.Sprintf("CRASH_SEED=%d", c.seed)
		p.settled(c.want, how)
		code, out := p.run("plan", "site.yaml", "-i", "hosts", "--output", "json")
		require.Zero(t, code, out)
		assert.NotContains(t, out, `"pending":[{`, "the next plan has handlers that were left")
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended++
	})
}

// life is one life, killed if it lives long enough, and the command for the next
// one; nil where the run is done.
func (c *campaign) life(p *project, r *rand.Rand, args []string) []string {
	c.mu.Lock()
	moment := time.Duration(r.Int64N(int64(c.reach)))
	c.lives++
	c.mu.Unlock()
	l := p.start(program, nil, append(args[:len(args):len(args)], "--forks", atOnce[r.IntN(len(atOnce))])...)
	shells := 0
	if r.IntN(oneInShells) == 0 {
		for early := moment / 2; shells == 0 && early > 0 && !l.within(early); early /= 2 {
			shells = killShells(l.cmd.Process.Pid, r) // none while the program is young
			moment -= early
		}
	}
	killed := !l.within(moment)
	if killed {
		l.signal(syscall.SIGKILL)
	}
	code := l.end()
	state := l.cmd.ProcessState
	killed = killed && code == -1
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used += state.UserTime() + state.SystemTime()
	c.shells += shells
	switch {
	case killed:
		c.kills++
		c.left--
		return c.next(p)
	case code == 0:
		return nil
	case code == 1 && strings.Contains(l.printed(), "nothing to resume"):
		return p.next() // it was done before it was killed, or had never begun
	case shells > 0:
		c.out++
		require.Contains(p.t, []int{2, 4}, code, l.printed())
		return []string{"resume"}
	}
	require.Fail(p.t, "a life failed", "CRASH_SEED=%d: exit code %d: %s", c.seed, code, l.printed())
	return nil
}

// next is the command that follows a killed life: that of a user who sees that
// something has begun.
func (c *campaign) next(p *project) []string {
	if journals, err := filepath.Glob(filepath.Join(p.dir, ".runbook", "runs", "*", "journal.jsonl")); err != nil || len(journals) == 0 {
		return p.next()
	}
	return []string{"resume"}
}

// learn notes how far the run has come, and lets lives grow older or not so old,
// so that each brings the run forward as much as it should.
func (c *campaign) learn(p *project, before int) (now int) {
	now = len(p.effects())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.when[min(9, 10*now/len(c.want))]++
	switch gain, due := now-before, len(c.want)/c.each; {
	case gain > due:
		c.reach = max(c.reach*9/10, 20*time.Millisecond)
	default:
		c.reach = min(c.reach*21/20, 20*time.Second)
	}
	return now
}

func (c *campaign) report(took time.Duration) {
	if c.t.Failed() {
		return
	}
	c.t.Logf("%d kills of the program and %d of control shells in %d lives of %d runs, %d effects: 0 lost, 0 doubled, 0 unknown; "+
		"kills by tenths of a run: %v; %d lives failed as their shells were killed; lives were killed before they were %v old, and used %v each; %v",
		c.kills, c.shells, c.lives, c.ended, c.ended*len(c.want), c.when, c.out, c.reach.Round(time.Millisecond),
		(c.used / time.Duration(max(1, c.lives))).Round(time.Millisecond), took.Round(time.Second))
	if c.kills < moments/2 {
		return // chance rules over few
	}
	for tenth, n := range c.when {
		require.GreaterOrEqual(c.t, 50*n, c.kills/2, "hardly a kill in the tenth %d of the run: they are not spread", tenth)
	}
}

// TestLostShells kills control shells, now and then, of a run that otherwise lives:
// it asks other shells what became of its commands, and goes on.
func TestLostShells(t *testing.T) {
	p := newProject(t, big(), bigHosts)
	r := rand.New(rand.NewPCG(seed(t), 0))
	lives, shells := 0, 0
	for args := apply; args != nil; args = p.next() {
		require.Less(t, lives, 10, "the run does not come to its end")
		l := p.start(program, nil, args...)
		for n := 0; n < 40 && !l.within(time.Duration(r.Int64N(int64(400*time.Millisecond)))); {
			killed := killShells(l.cmd.Process.Pid, r)
			n += killed
			shells += killed
		}
		code := l.end()
		require.Contains(t, []int{0, 2, 4}, code, l.printed())
		lives++
	}
	p.settled(bigEffects(), "lost shells")
	require.Greater(t, shells, 20)
	t.Logf("%d control shells were killed in %d lives, %d effects: 0 lost, 0 doubled", shells, lives, len(bigEffects()))
}

// killShells kills up to three of the control shells of the program, and says
// how many.
func killShells(program int, r *rand.Rand) int {
	below := processes()
	shells := below[program] // they mind the shells themselves, which have sessions of their own
	for _, pid := range below[program] {
		shells = append(shells, below[pid]...)
	}
	r.Shuffle(len(shells), func(i, j int) { shells[i], shells[j] = shells[j], shells[i] })
	n := 0
	for _, pid := range shells[:min(len(shells), 1+r.IntN(3))] {
		if syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}

// processes are those that live, by their parents.
func processes() map[int][]int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	below := map[int][]int{}
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		text := string(data)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parent, bad := strconv.Atoi(fields[1])
		if err == nil && bad == nil {
			below[parent] = append(below[parent], pid)
		}
	}
	return below
}

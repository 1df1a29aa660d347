package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mostHits is at how many of the hits of one point the program dies, beside those
// by which the last hit is found.
const mostHits = 8

// scene is a situation in which the program can die: what happened before, and
// the command that dies. Afterwards the run is resumed.
type scene struct {
	name  string
	hosts int
	text  string
	want  func() []string
	// before brings about what the command then meets, and says which it is.
	before func(p *project) (args []string)
	// after, if there is one, is what the user does next, before all goes on.
	after func(p *project)
}

// scenes are the situations by which every point must be met.
var scenes = []scene{
	{"apply", smallHosts, small, smallEffects, func(*project) []string { return apply }, nil},
	{"resume", smallHosts, small, smallEffects, func(p *project) []string {
		l := p.start(doomed, []string{"RUNBOOK_FAILPOINT=engine.step.after@7"}, apply...)
		require.Equal(p.t, -1, l.end(), l.printed())
		return []string{"resume"}
	}, nil},
	{"a plan", smallHosts, calmer, calmerEffects, func(p *project) []string {
		code, out := p.run("plan", "site.yaml", "-i", "hosts", "-o", "site.plan")
		require.Zero(p.t, code, out)
		return []string{"apply", "site.plan"}
	}, nil},
	{"left by another run", smallHosts, owing, owedEffects, func(p *project) []string {
		p.owes()
		return apply
	}, nil},
	{"dropped", smallHosts, owing, undueEffects, func(p *project) []string {
		p.owes()
		return drop
	}, func(p *project) {
		if p.listed()[0].Pending > 0 {
			code, out := p.run(drop...)
			require.Zero(p.t, code, out)
		}
	}},
	{"interrupted", smallHosts, interrupting, interruptedEffects, func(*project) []string { return apply }, nil},
}

// calmer is small without the handler that only the rescue notifies: no plan
// foresees that one.
var calmer = strings.Replace(small, "}} >> {{ log }}\", notify: restart}\n    always", "}} >> {{ log }}\"}\n    always", 1)

func calmerEffects() []string {
	all := smallEffects()
	for _, h := range hostNames(smallHosts)[1:] {
		i := slices.Index(all, h+": restart")
		all = slices.Delete(all, i, i+1)
	}
	return all
}

// owing fails after a notification, the first time that it is run.
const owing = `
- name: owing
  hosts: web
  gather_facts: false
  vars: {log: "{{ logs }}/{{ inventory_hostname }}"}
  handlers:
  - {name: restart, shell: "echo restart >> {{ log }}"}
  tasks:
  - {name: file, copy: {content: "x", dest: "{{ log }}.file"}, notify: restart}
  - {name: breaks, command: "test -e {{ playbook_dir }}/mended", changed_when: false}
  - {name: last, shell: "echo last >> {{ log }}"}
`

var drop = []string{"runs", "drop", "restart"}

// owes lets the first run of owing fail, and mends why it does.
func (p *project) owes() {
	code, out := p.run(apply...)
	require.Equal(p.t, 2, code, out)
	p.write("mended", "")
}

func owedEffects() []string  { return onAll("last", "restart") }
func undueEffects() []string { return onAll("last") }

// onAll is effects on every host of a small playbook, sorted.
func onAll(effects ...string) []string {
	var all []string
	for _, h := range hostNames(smallHosts) {
		all = append(all, of(h, effects)...)
	}
	slices.Sort(all)
	return all
}

// interrupting sends the program the operator's first signal.
const interrupting = `
- name: interrupting
  hosts: h001
  gather_facts: false
  vars: {log: "{{ logs }}/{{ inventory_hostname }}"}
  handlers:
  - {name: restart, shell: "echo restart >> {{ log }}"}
  tasks:
  - {name: one, shell: "echo one >> {{ log }}; kill -INT $(cat {{ playbook_dir }}/pid) || true", notify: restart}
  - {name: two, shell: "echo two >> {{ log }}"}
`

func interruptedEffects() []string { return of("h001", []string{"one", "restart", "two"}) }

// every failpoint of the program, sorted.
func everyPoint(t testing.TB) []string {
	out, err := exec.Command(points).Output()
	require.NoError(t, err)
	names := strings.Fields(string(out))
	require.Greater(t, len(names), 15)
	return names
}

// TestDeathAtEveryPoint kills the program at every failpoint, at about a dozen of
// its hits, in every scene that comes to it, and often once more in the
// resumption. A point that no scene comes to fails the test.
func TestDeathAtEveryPoint(t *testing.T) {
	names := everyPoint(t)
	seed := seed(t)
	d := &deaths{names: names, seed: seed, met: map[string]int{}}
	began := time.Now()
	work := make(chan func())
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for w := range work {
				w()
			}
		})
	}
	for _, s := range scenes {
		for _, point := range s.points(t) {
			work <- func() { t.Run(s.name+"/"+point, func(t *testing.T) { d.at(t, s, point) }) }
		}
	}
	close(work)
	all.Wait()
	for _, name := range names {
		require.NotZero(t, d.met[name], "no test ever comes to the point %s: add a scene, or take it away", name)
	}
	if t.Failed() {
		return
	}
	t.Logf("%d deaths at %d points in %d scenes, %d of them in a resumption: nothing lost, nothing doubled; %v",
		d.deaths.Load(), len(names), len(scenes), d.again.Load(), time.Since(began).Round(time.Second))
}

// deaths counts them.
type deaths struct {
	names         []string
	seed          uint64
	mu            sync.Mutex
	met           map[string]int // hits of each point that were died at
	deaths, again atomic.Int64
}

// points are those that the scene comes to, in the order in which it does.
func (s scene) points(t *testing.T) []string {
	p := newProject(t, s.text, s.hosts)
	args := s.before(p)
	met := filepath.Join(filepath.Dir(p.dir), "met")
	l := p.start(doomed, []string{"RUNBOOK_FAILPOINTS_FILE=" + met}, args...)
	require.Contains(t, []int{0, 130}, l.end(), l.printed())
	data, err := os.ReadFile(met)
	require.NoError(t, err)
	return strings.Fields(string(data))
}

// at lets the program die at the hits of one point in one scene: at the first,
// the second, the fourth ... until there are no more, and in the plainest scene
// also in between.
func (d *deaths) at(t *testing.T, s scene, point string) {
	tried := map[int]bool{}
	die := func(n int) bool {
		tried[n] = true
		if !d.once(t, s, point, n) {
			return false
		}
		d.mu.Lock()
		d.met[point]++
		d.mu.Unlock()
		return true
	}
	last, beyond := 0, 1
	for die(beyond) {
		last, beyond = beyond, beyond*2
	}
	require.NotZero(t, last, "the scene came to the point before, and does not now")
	if s.name != "apply" {
		return
	}
	for beyond-last > 1 {
		if n := (last + beyond) / 2; die(n) {
			last = n
		} else {
			beyond = n
		}
	}
	for i := range mostHits {
		if n := 1 + i*last/mostHits; !tried[n] {
			require.True(t, die(n), "%s is hit %d times, but not %d", point, last, n)
		}
	}
}

// once lets the program die at the n-th hit of a point, goes on from there, and
// asks the oracle. It reports false where there is no such hit.
func (d *deaths) once(t *testing.T, s scene, point string, n int) bool {
	p := newProject(t, s.text, s.hosts)
	args := s.before(p)
	at := fmt.Sprintf("%s@%d", point, n)
	l := p.start(doomed, []string{"RUNBOOK_FAILPOINT=" + at}, args...)
	died := l.end() == -1
	how := s.name + ", died at " + at
	if died && s.after != nil {
		d.deaths.Add(1)
	} else if died {
		d.deaths.Add(1)
		how += d.resumption(p, rand.New(rand.NewPCG(d.seed, uint64(n))))
	}
	if s.after != nil {
		s.after(p)
	}
	for range 3 {
		args := p.next()
		if args == nil {
			break
		}
		code, out := p.run(args...)
		require.Contains(t, []int{0, 130}, code, "%s: %s", how, out)
	}
	p.settled(s.want(), how)
	_ = os.RemoveAll(filepath.Dir(p.dir)) // there are many
	return died
}

// resumption lets the next life die too, at a point that it may or may not come to.
func (d *deaths) resumption(p *project, r *rand.Rand) string {
	args := p.next()
	if args == nil {
		return ""
	}
	at := fmt.Sprintf("%s@%d", d.names[r.IntN(len(d.names))], 1+r.IntN(6))
	l := p.start(doomed, []string{"RUNBOOK_FAILPOINT=" + at}, args...)
	if code := l.end(); code != -1 {
		require.Contains(p.t, []int{0, 130}, code, "%s: %s", at, l.printed())
		return ""
	}
	require.Equal(p.t, syscall.SIGKILL, l.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), l.printed())
	d.deaths.Add(1)
	d.again.Add(1)
	return ", resumed, died at " + at
}

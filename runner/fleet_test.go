package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/inventory"
	"runbook/modules"
	"runbook/playbooks"
	"runbook/playbooks/vars"
	"runbook/runner/source"
)

// fleet is hosts whose commands mean something: "false" fails, "lost" is a
// connection that dies, "untold" is killed together with what minds it, "only h1 ..." fails anywhere else, "hang" does not end by
// itself, and everything else is written down.
type fleet struct {
	mu        sync.Mutex
	did       []string // "host: command", sorted by whoever asks
	away      []string // hosts that cannot be reached
	mended    bool     // "lost" is a command as any other
	tries     map[string]int
	became    []string
	passwords []string                  // of those who became somebody else
	hung      func()                    // called when a command hangs, which ends with its context
	kept      map[string]modules.Output // what came of commands, by their id
}

type fleetHost struct {
	*world
	fleet *fleet
	name  string
}

type gone struct{}

func (gone) Error() string     { return "connect to 192.0.2.1:22: no route" }
func (gone) Unreachable() bool { return true }

type untold struct{}

func (untold) Error() string   { return "how it ended is not known" }
func (untold) Unsettled() bool { return true }

func (f *fleet) dial(_ context.Context, a Address) (Machine, error) {
	if slices.Contains(f.away, a.Name) {
		return nil, gone{}
	}
	return &fleetHost{world: &world{}, fleet: f, name: a.Name}, nil
}

func (h *fleetHost) As(_ context.Context, b Become) (Machine, error) {
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	if who := h.name + ":" + b.User; !slices.Contains(h.fleet.became, who) {
		h.fleet.became = append(h.fleet.became, who)
		h.fleet.passwords = append(h.fleet.passwords, b.Password)
	}
	return h, nil
}

func (h *fleetHost) Query(ctx context.Context, r modules.Run) (modules.Output, error) {
	return h.Do(ctx, "", r)
}

// Do carries a command out once, as a real machine does.
func (h *fleetHost) Do(ctx context.Context, id string, r modules.Run) (modules.Output, error) {
	h.fleet.mu.Lock()
	out, known := h.fleet.kept[id]
	h.fleet.mu.Unlock()
	if known {
		return out, nil
	}
	out, err := h.carryOut(ctx, r)
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	if h.fleet.kept == nil {
		h.fleet.kept = map[string]modules.Output{}
	}
	if err == nil && id != "" {
		h.fleet.kept[id] = out
	}
	return out, err
}

func (h *fleetHost) Collect(_ context.Context, id string) (Fate, modules.Output, error) {
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	if out, known := h.fleet.kept[id]; known {
		return Finished, out, nil
	}
	return Never, modules.Output{}, nil
}

func (h *fleetHost) Forget(_ context.Context, ids []string) error {
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	for _, id := range ids {
		delete(h.fleet.kept, id)
	}
	return nil
}

func (h *fleetHost) carryOut(ctx context.Context, r modules.Run) (modules.Output, error) {
	if r.String() == "hang" {
		h.fleet.hung()
		<-ctx.Done()
		return modules.Output{}, ctx.Err()
	}
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	text := r.String()
	if r.Env["STAGE"] != "" {
		text += " STAGE=" + r.Env["STAGE"]
	}
	h.fleet.did = append(h.fleet.did, h.name+": "+text)
	words := strings.Fields(text)
	switch {
	case words[0] == "lost" && !h.fleet.mended:
		return modules.Output{}, gone{}
	case words[0] == "untold":
		return modules.Output{}, untold{}
	case words[0] == "false", words[0] == "only" && words[1] != h.name:
		return modules.Output{Stdout: "out", Stderr: "bad\n", Code: 1}, nil
	case words[0] == "third":
		h.fleet.tries[h.name]++
		return modules.Output{Stdout: fmt.Sprint(h.fleet.tries[h.name])}, nil
	}
	return modules.Output{Stdout: strings.Join(words[1:], " ") + "\n"}, nil
}

// ran is what came of a playbook.
type ran struct {
	fleet   *fleet
	events  []Event
	summary Summary
	err     error
}

// lines are the results as "task host status", those of one task sorted by host.
func (r ran) lines() []string {
	var out []string
	from := 0
	for _, e := range r.events {
		switch e := e.(type) {
		case TaskStarted:
			from = len(out)
		case PlayStopped:
			out = append(out, e.Reason)
			from = len(out)
		case TaskDone:
			line := e.Task + " " + e.Host + " " + string(e.Result.Status)
			if e.Item != nil {
				line += " " + *e.Item
			}
			if e.Result.Ignored {
				line += " ignored"
			}
			out = append(out, line)
			slices.Sort(out[from:])
		}
	}
	return out
}

// result is that of one task on one host.
func (r ran) result(task, host string) Result {
	for _, e := range r.events {
		if d, ok := e.(TaskDone); ok && d.Task == task && d.Host == host {
			return d.Result
		}
	}
	return Result{}
}

func (r ran) recap(t *testing.T, host string) Recap {
	t.Helper()
	for _, e := range r.events {
		if d, ok := e.(RunDone); ok {
			for _, c := range d.Recap {
				if c.Host == host {
					return c
				}
			}
		}
	}
	t.Fatalf("no recap of %s", host)
	return Recap{}
}

// carry runs a playbook's text on h1, h2 and h3.
func carry(t *testing.T, text string, with ...func(*Runner, *fleet)) ran {
	t.Helper()
	return carryIn(t.Context(), t, text, with...)
}

func carryIn(ctx context.Context, t *testing.T, text string, with ...func(*Runner, *fleet)) ran {
	t.Helper()
	book, errs := playbooks.Parse(&source.File{Name: "site.yaml", Data: []byte(text)}, t.TempDir())
	require.NoError(t, errs.Err())
	path := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, os.WriteFile(path, []byte("[web]\nh1 colour=red\nh2 colour=blue\nh3 colour=green\n"), 0o600))
	inv, errs := inventory.Load(t.Context(), []string{path})
	require.NoError(t, errs.Err())
	out := ran{fleet: &fleet{tries: map[string]int{}}}
	return out.carry(ctx, t, book, inv, with...)
}

// carry runs a playbook on the fleet as it is.
func (out ran) carry(ctx context.Context, t *testing.T, book *playbooks.Playbook, inv *inventory.Inventory, with ...func(*Runner, *fleet)) ran {
	t.Helper()
	out.events = nil
	r := &Runner{
		Reconnect: time.Nanosecond, // nobody comes back
		Dial:      out.fleet.dial,
		Cluster:   func(context.Context, Reach) (Cluster, error) { return nil, errors.New("no cluster here") },
		Emit:      func(e Event) { out.events = append(out.events, e) },
	}
	for _, w := range with {
		w(r, out.fleet)
	}
	out.summary, out.err = r.Run(ctx, book, inv, vars.Layer{})
	return out
}

// said is what the hosts were told to say, without quotes, as it came.
func (r ran) said() []string {
	var out []string
	for _, did := range r.fleet.did {
		if _, words, found := strings.Cut(did, ": say "); found {
			out = append(out, "say "+strings.ReplaceAll(words, "'", ""))
		}
	}
	return out
}

// messages is what each result says, by "task host".
func (r ran) messages() map[string]string {
	out := map[string]string{}
	for _, e := range r.events {
		if d, ok := e.(TaskDone); ok && !d.Part {
			out[d.Task+" "+d.Host] = d.Result.Msg
		}
	}
	return out
}

// brittle is a connection that may be over.
type brittle struct {
	world
	lost bool
}

func (b *brittle) Lost() bool { return b.lost }

func TestALostConnectionIsMadeAnew(t *testing.T) {
	var made []*brittle
	m := &machines{dial: func(context.Context, Address) (Machine, error) {
		if len(made) == 2 {
			return nil, errors.New("no route")
		}
		made = append(made, &brittle{})
		return made[len(made)-1], nil
	}}
	get := func() (Machine, error) { return m.get(t.Context(), Address{Name: "h1"}) }
	for range 2 {
		first, err := get()
		require.NoError(t, err)
		require.Same(t, made[0], first)
	}
	made[0].lost = true
	second, err := get()
	require.NoError(t, err)
	require.Same(t, made[1], second)
	made[1].lost = true
	for range 2 {
		_, err = get()
		require.ErrorContains(t, err, "no route")
		require.True(t, isUnreachable(err))
	}
	require.Len(t, made, 2)
}

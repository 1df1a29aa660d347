package modules

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fake is a target that knows its answers beforehand. What it was not told is
// an error, so a test also says what a module must not ask.
type fake struct {
	commands  map[string]Output   // by the query's Run.String()
	files     map[string]File     // by path; File{} is a missing file
	responses map[string]Response // by URL
	errs      map[string]error    // by command line, path or URL: it cannot be asked
	cluster   Cluster             // nil: there is none
	predicted []Effect            // what earlier tasks of the plan would have done
	run       RunName             // none: a plan

	mu    sync.Mutex
	asked []string // command lines, paths and URLs, in order
	runs  []Run    // the queries whole, in order
}

func (f *fake) Query(_ context.Context, cmd Run) (Output, error) {
	f.mu.Lock()
	f.runs = append(f.runs, cmd)
	f.mu.Unlock()
	return answer(f, "query", cmd.String(), f.commands)
}

func (f *fake) ReadFile(_ context.Context, path string) (File, error) {
	return answer(f, "file", path, f.files)
}

func (f *fake) Fetch(_ context.Context, req Request) (Response, error) {
	return answer(f, "request", req.URL, f.responses)
}

func (f *fake) Cluster(context.Context) (Cluster, error) {
	if f.cluster == nil {
		return nil, ErrNoCluster
	}
	return f.cluster, nil
}

func (f *fake) Run() RunName { return f.run }

func (f *fake) Predicted(thing Thing, name string) (Effect, bool) {
	for _, e := range f.predicted {
		if e.Thing == thing && e.Name == name {
			return e, true
		}
	}
	return Effect{}, false
}

func answer[T any](f *fake, kind, key string, known map[string]T) (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, key)
	var none T
	if err := f.errs[key]; err != nil {
		return none, err
	}
	v, ok := known[key]
	if !ok {
		return none, fmt.Errorf("unexpected %s %q", kind, key)
	}
	return v, nil
}

// check is m.Check against t, which must succeed.
func check(t *testing.T, m Module, target Target) Change {
	t.Helper()
	change, err := m.Check(context.Background(), target)
	require.NoError(t, err)
	return change
}

// stepLines are the steps of a change as a plan shows them.
func stepLines(c Change) []string {
	lines := make([]string, len(c.Steps))
	for i, s := range c.Steps {
		lines[i] = s.String()
	}
	return lines
}

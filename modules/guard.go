package modules

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// guard is what keeps a command from running twice: creates and removes, two
// paths or patterns, looked at from the directory chdir.
type guard struct{ chdir, creates, removes string }

// reason is why a command need not run: what became of path.
type reason struct{ path, state string }

// done says why the command need not run, or nil when it must.
func (g guard) done(ctx context.Context, t Target) (*reason, error) {
	if g.creates == "" && g.removes == "" {
		return nil, nil
	}
	out, err := t.Query(ctx, g.query())
	if err != nil {
		return nil, err
	}
	if out.Code != 0 {
		return nil, fmt.Errorf("looking for creates %q and removes %q: exit code %d: %s",
			g.creates, g.removes, out.Code, strings.TrimSpace(out.Stderr))
	}
	here := strings.Fields(out.Stdout)
	for _, ask := range []struct {
		word, path, state string
		there             bool // what keeps the command from running
	}{{"creates", g.creates, "exists", true}, {"removes", g.removes, "does not exist", false}} {
		if ask.path == "" {
			continue
		}
		there, err := g.foresee(t, ask.path, slices.Contains(here, ask.word))
		if err != nil {
			return nil, err
		}
		if there == ask.there {
			return &reason{ask.path, ask.state}, nil
		}
	}
	return nil, nil
}

// foresee says whether a path or pattern would be there by now, in a plan too.
// A word that the target completes is not foreseen.
func (g guard) foresee(t Target, word string, now bool) (bool, error) {
	if expands(word) || !path.IsAbs(word) && (g.chdir == "" || expands(g.chdir) || !path.IsAbs(g.chdir)) {
		return now, nil
	}
	name := word
	if !path.IsAbs(word) {
		name = path.Join(g.chdir, word)
	}
	if strings.ContainsAny(word, "*?[") {
		return foreseePattern(t, name, now)
	}
	e, ok := t.Predicted(APath, name)
	if !ok {
		return now, nil
	}
	return foreseePath(e, now)
}

// foreseePath says whether an effect leaves something at its path.
func foreseePath(e Effect, now bool) (bool, error) {
	switch state := e.State.(type) {
	case Unforeseen:
		return false, state
	case Elsewhere:
		return false, Unforeseen{fmt.Sprintf("what is at %q, where %s leads it", e.Name, byTask(e.By))}
	}
	return !e.Gone, nil
}

// foreseePattern says the same of a pattern, as far as that can be known.
func foreseePattern(t Target, pattern string, now bool) (bool, error) {
	found, _ := t.Predicted(SomePaths, pattern)
	all, _ := found.State.([]Effect)
	var vague error
	gone := ""
	for _, e := range all {
		there, err := foreseePath(e, now)
		switch {
		case err != nil:
			vague = err
		case there:
			return true, nil
		default:
			gone = e.By
		}
	}
	dir, known := t.Predicted(APath, path.Dir(pattern))
	f, _ := dir.State.(File)
	switch {
	case vague != nil:
		return false, vague
	case known && (dir.Gone || f.Data != nil):
		return false, nil
	case now && gone != "":
		return false, Unforeseen{fmt.Sprintf("what %s leaves that matches %q", byTask(gone), pattern)}
	}
	return now, nil
}

// effects are what a command that is run for its guards is meant to do. Whether
// it does nobody can foresee.
func (g guard) effects() []Effect {
	var all []Effect
	for _, word := range []string{g.creates, g.removes} {
		if path.IsAbs(word) && !expands(word) && !strings.ContainsAny(word, "*?[") {
			all = append(all, Effect{Thing: APath, Name: word, State: Unforeseen{}})
		}
	}
	return all
}

// query prints which of the two are there. A missing chdir answers as though
// nothing were created and nothing removed: then the command runs, and says so
// itself.
func (g guard) query() Run {
	var b strings.Builder
	if g.chdir != "" {
		fmt.Fprintf(&b, "cd -- %s 2>/dev/null || { echo removes; exit 0; }\n", shellWord(g.chdir))
	}
	if g.creates != "" {
		fmt.Fprintf(&b, "for p in %s; do if [ -e \"$p\" ] || [ -L \"$p\" ]; then echo creates; break; fi; done\n",
			shellPattern(g.creates))
	}
	if g.removes != "" {
		fmt.Fprintf(&b, "for p in %s; do if [ -e \"$p\" ] || [ -L \"$p\" ]; then echo removes; break; fi; done\n",
			shellPattern(g.removes))
	}
	return Run{Shell: b.String()}
}

// skipped is what a command that need not run registers.
func (r reason) skipped(command any) Change {
	text := "skipped, since " + r.path + " " + r.state
	return Change{Vars: map[string]any{
		"cmd": command, "rc": 0, "stdout": text, "stdout_lines": []any{text}, "stderr": "", "stderr_lines": []any{},
		"msg": "Did not run command since '" + r.path + "' " + r.state,
	}}
}

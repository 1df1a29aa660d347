package modules

import (
	"context"
	"fmt"
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
	switch strings.TrimSpace(out.Stdout) {
	case "creates":
		return &reason{g.creates, "exists"}, nil
	case "removes":
		return &reason{g.removes, "does not exist"}, nil
	}
	return nil, nil
}

// query prints which of the two makes the command needless, if one does. A
// missing chdir answers nothing: then the command runs, and says so itself.
func (g guard) query() Run {
	var b strings.Builder
	if g.chdir != "" {
		fmt.Fprintf(&b, "cd -- %s 2>/dev/null || exit 0\n", shellWord(g.chdir))
	}
	if g.creates != "" {
		fmt.Fprintf(&b, "for p in %s; do if [ -e \"$p\" ] || [ -L \"$p\" ]; then echo creates; exit 0; fi; done\n",
			shellPattern(g.creates))
	}
	if g.removes != "" {
		fmt.Fprintf(&b, "for p in %s; do if [ -e \"$p\" ] || [ -L \"$p\" ]; then exit 0; fi; done\necho removes\n",
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

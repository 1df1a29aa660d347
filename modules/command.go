package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func init() {
	register(Def{
		Name: "command",
		Doc:  "Run a program with arguments, without a shell",
		New: func() Module {
			return &command{StdinAddNewline: true, StripEmptyEnds: true, ExpandArgumentVars: true}
		},
		Opaque: true,
	})
}

type command struct {
	Cmd                string   `arg:"cmd,free" doc:"The program and its arguments as one text; quotes keep words together, and nothing else of a shell works."`
	Argv               []string `arg:"argv" doc:"The program and its arguments as a list, instead of one text."`
	Chdir              string   `arg:"chdir" doc:"The directory to run in."`
	Creates            string   `arg:"creates" doc:"A path or pattern; where it exists, the command is not run."`
	Removes            string   `arg:"removes" doc:"A path or pattern; where it does not exist, the command is not run."`
	Stdin              *string  `arg:"stdin" doc:"What the command reads."`
	StdinAddNewline    bool     `arg:"stdin_add_newline" doc:"Whether stdin gets a line end at its end."`
	StripEmptyEnds     bool     `arg:"strip_empty_ends" doc:"Whether line ends at the end of the output are dropped from the result."`
	ExpandArgumentVars bool     `arg:"expand_argument_vars" doc:"Whether $NAME and a leading ~ in arguments are replaced on the target."`
}

func (m *command) Validate() error {
	words, err := m.words()
	switch {
	case err != nil:
		return err
	case m.Cmd != "" && len(m.Argv) > 0:
		return errors.New("cmd and argv exclude each other; keep one of them")
	case len(words) == 0:
		return errors.New("no command given; write it as free text, as cmd or as argv")
	}
	return nil
}

func (m *command) words() ([]string, error) {
	if len(m.Argv) > 0 {
		return m.Argv, nil
	}
	words, err := SplitWords(m.Cmd)
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", m.Cmd, err)
	}
	return words, nil
}

func (m *command) Check(ctx context.Context, t Target) (Change, error) {
	words, err := m.words()
	if err != nil {
		return Change{}, err
	}
	cmd := make([]any, len(words))
	for i, w := range words {
		cmd[i] = w
	}
	g := guard{m.Chdir, m.Creates, m.Removes}
	why, err := g.done(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if why != nil {
		return why.skipped(cmd), nil
	}
	return opaqueChange(m.step(words), cmd, g), nil
}

func (m *command) step(words []string) Run {
	r := Run{
		Argv: words, Dir: m.Chdir, Stdin: stdin(m.Stdin, m.StdinAddNewline),
		Opaque: true, KeepEnds: !m.StripEmptyEnds,
	}
	if !m.completedByTarget(words) {
		return r
	}
	r.Show = r.String()
	line := r.Show
	if m.ExpandArgumentVars {
		line = strings.Join(shellWords(words), " ")
	}
	r.Argv, r.Dir = nil, ""
	r.Shell = enter(m.Chdir) + "exec " + line
	return r
}

// completedByTarget says whether words or chdir hold what only the target can
// fill in, so that its shell has to start the program.
func (m *command) completedByTarget(words []string) bool {
	if expands(m.Chdir) {
		return true
	}
	for _, w := range words {
		if m.ExpandArgumentVars && expands(w) {
			return true
		}
	}
	return false
}

// enter is shell text that changes to dir, or ends with the reason.
func enter(dir string) string {
	if dir == "" {
		return ""
	}
	return "cd -- " + shellWord(dir) + " || exit 1\n"
}

func stdin(text *string, newline bool) string {
	switch {
	case text == nil:
		return ""
	case newline:
		return *text + "\n"
	}
	return *text
}

// opaqueChange has a step and no diffs: what will differ nobody can foresee.
func opaqueChange(r Run, cmd any, g guard) Change {
	return Change{Steps: []Step{r}, Vars: map[string]any{"cmd": cmd}, Effects: g.effects()}
}

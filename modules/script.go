package modules

import (
	"context"
	"fmt"
	"path"
	"strings"
)

func init() {
	register(Def{
		Name:   "script",
		Doc:    "Run a script of the controller on the target",
		New:    func() Module { return &script{} },
		Opaque: true,
	})
}

type script struct {
	Script     Local  `arg:"cmd,free,file,required" doc:"The script's path on the controller, followed by its arguments."`
	Chdir      string `arg:"chdir" doc:"The directory of the target to run in."`
	Creates    string `arg:"creates" doc:"A path or pattern of the target; where it exists, the script is not run."`
	Removes    string `arg:"removes" doc:"A path or pattern of the target; where it does not exist, the script is not run."`
	Executable string `arg:"executable" doc:"The program that interprets the script; its first line says where not given."`
}

func (m *script) Validate() error {
	if _, err := SplitWords(m.Script.Args); err != nil {
		return fmt.Errorf("arguments %q: %w", m.Script.Args, err)
	}
	if _, err := SplitWords(m.Executable); err != nil {
		return fmt.Errorf("executable %q: %w", m.Executable, err)
	}
	return nil
}

func (m *script) Check(ctx context.Context, t Target) (Change, error) {
	command := strings.TrimSpace(m.Script.Path + " " + m.Script.Args)
	g := guard{m.Chdir, m.Creates, m.Removes}
	why, err := g.done(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if why != nil {
		change := why.skipped(command)
		change.Vars["skipped"] = true // unlike command's, a script's guard skips the task
		return change, nil
	}
	return opaqueChange(m.step("script "+command), command, g), nil
}

// step sends the script as input, so that its text is in no argument list. Its
// arguments are words: variables in them are completed as in those of command,
// but they are not read as shell text.
func (m *script) step(show string) Run {
	before, _ := SplitWords(m.Executable) // Validate has looked at the errors
	after, _ := SplitWords(m.Script.Args)
	line := append(shellWords(before), `"$file"`)
	line = append(line, shellWords(after)...)
	return Run{
		Shell: withTempFile(path.Base(m.Script.Path)) + enter(m.Chdir) + strings.Join(line, " ") + " </dev/null\n",
		Stdin: string(m.Script.Data), Show: show, Opaque: true,
	}
}

// withTempFile is shell text that keeps its input in an executable file of this
// name, "$file", readable by this user only and gone when the shell ends.
func withTempFile(name string) string {
	return `umask_before=$(umask) && umask 077 && dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
file=$dir/` + Quote(name) + `
cat >"$file" && chmod 700 "$file" || exit 1
umask "$umask_before"
`
}

package modules

import (
	"context"
	"errors"
	"strings"
)

func init() {
	register(Def{
		Name:   "shell",
		Doc:    "Run shell text, with pipes, variables and everything else of a shell",
		New:    func() Module { return &shell{StdinAddNewline: true} },
		Opaque: true,
	})
}

type shell struct {
	Cmd             string  `arg:"cmd,free,required" doc:"The shell text."`
	Chdir           string  `arg:"chdir" doc:"The directory to run in."`
	Creates         string  `arg:"creates" doc:"A path or pattern; where it exists, the text is not run."`
	Removes         string  `arg:"removes" doc:"A path or pattern; where it does not exist, the text is not run."`
	Executable      string  `arg:"executable" doc:"The absolute path of the shell; /bin/sh where not given."`
	Stdin           *string `arg:"stdin" doc:"What the text reads."`
	StdinAddNewline bool    `arg:"stdin_add_newline" doc:"Whether stdin gets a line end at its end."`
}

func (m *shell) Validate() error {
	if strings.TrimSpace(m.Cmd) == "" {
		return errors.New("cmd is empty; write the shell text to run")
	}
	return absoluteShell(m.Executable)
}

func absoluteShell(path string) error {
	if path != "" && path[0] != '/' {
		return errors.New("executable must be an absolute path, such as /bin/bash")
	}
	return nil
}

func (m *shell) Check(ctx context.Context, t Target) (Change, error) {
	g := guard{m.Chdir, m.Creates, m.Removes}
	why, err := g.done(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if why != nil {
		return why.skipped(m.Cmd), nil
	}
	r := Run{
		Shell: m.Cmd, Exe: m.Executable, Dir: m.Chdir, Opaque: true,
		Stdin: stdin(m.Stdin, m.StdinAddNewline),
	}
	if expands(m.Chdir) {
		r.Shell, r.Dir, r.Show = enter(m.Chdir)+m.Cmd, "", strings.TrimSpace(m.Cmd)
	}
	return opaqueChange(r, m.Cmd, g), nil
}

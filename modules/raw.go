package modules

import (
	"context"
	"errors"
	"strings"
)

func init() {
	register(Def{
		Name:   "raw",
		Doc:    "Run shell text and register exactly what it prints",
		New:    func() Module { return &raw{} },
		Opaque: true,
	})
}

type raw struct {
	Cmd        string `arg:"cmd,free,required" doc:"The shell text."`
	Executable string `arg:"executable" doc:"The absolute path of the shell; /bin/sh where not given."`
}

func (m *raw) Validate() error {
	if strings.TrimSpace(m.Cmd) == "" {
		return errors.New("cmd is empty; write the shell text to run")
	}
	return absoluteShell(m.Executable)
}

func (m *raw) Check(context.Context, Target) (Change, error) {
	return opaqueChange(Run{Shell: m.Cmd, Exe: m.Executable, Opaque: true, KeepEnds: true}, m.Cmd, guard{}), nil
}

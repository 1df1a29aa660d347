package tests

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"runbook/runner/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runbook": func() {
		os.Exit(cli.Main(context.Background(), cli.Process()))
	}})
}

// TestScripts runs the program as its users do. UPDATE=1 rewrites what the
// scripts expect.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "script",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			runs := filepath.Join(e.WorkDir, ".target") // where this machine, as a target, keeps its lock and its commands
			e.Setenv("RUNBOOK_RUNS", runs)
			return os.Mkdir(runs, 0o700)
		},
	})
}

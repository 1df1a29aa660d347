package tests

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// layers is the table of permitted imports between our packages. A new edge
// must be written here, and must point down.
var layers = map[string][]string{
	"runbook":                  {"runner/cli"},
	"runbook/runner/cli":       {"runner", "runner/journal", "runner/plan", "runner/project", "runner/render", "runner/ssh", "runner/local", "runner/kube", "runner/shell", "playbooks", "playbooks/vars", "playbooks/jinja", "inventory", "modules", "runner/source", "examples"},
	"runbook/runner/render":    {"runner", "modules", "runner/source"},
	"runbook/runner/ssh":       {"runner/shell", "modules"},
	"runbook/runner/local":     {"runner/shell", "modules"},
	"runbook/runner/kube":      {"modules", "runner/source"},
	"runbook/runner/shell":     {"modules"},
	"runbook/runner":           {"runner/failpoint", "playbooks", "playbooks/jinja", "inventory", "modules", "runner/source"},
	"runbook/playbooks":        {"playbooks/vars", "playbooks/jinja", "modules", "runner/source"},
	"runbook/inventory":        {"playbooks/vars", "playbooks/jinja", "runner/source"},
	"runbook/playbooks/vars":   {"playbooks/jinja", "runner/source"},
	"runbook/playbooks/jinja":  {"runner/source"},
	"runbook/modules":          {},
	"runbook/runner/source":    {},
	"runbook/runner/failpoint": {},
	"runbook/runner/durable":   {"runner/failpoint"},
	"runbook/runner/plan":      {"runner", "runner/durable", "playbooks", "playbooks/vars", "inventory", "runner/source"},
	"runbook/runner/project":   {"runner", "runner/journal", "runner/durable", "runner/failpoint", "runner/source"},
	"runbook/runner/journal":   {"runner", "runner/failpoint"},
	"runbook/examples":         {},
}

func TestImportsPointDown(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	require.NoError(t, err)
	seen := 0
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if strings.HasPrefix(pkg.ImportPath, "runbook/tests") {
			continue // what looks at the program from outside may see all of it
		}
		seen++
		allowed, known := layers[pkg.ImportPath]
		require.Truef(t, known, "%s is not in the table of layers", pkg.ImportPath)
		for _, imp := range pkg.Imports {
			if below, ours := strings.CutPrefix(imp, "runbook/"); ours {
				require.Containsf(t, allowed, below, "%s must not import %s", pkg.ImportPath, imp)
			}
		}
	}
	require.Equal(t, len(layers), seen, "the table names packages that are not there")
}

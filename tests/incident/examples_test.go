//go:build linux

package incident

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/modules"
	"runbook/tests/lab"
)

// eventful are the examples that do something each time: what they show is an
// event, not a state.
var eventful = map[string]string{
	"kubectl":    "it runs a pod on every node",
	"net_matrix": "its agents are made and taken away",
}

// TestExamples runs every module's example on a healthy lab: planned, applied,
// and applied again with nothing left to do.
func TestExamples(t *testing.T) {
	o := faulty(t, lab.None)
	vars := `{"calico": true, "url": "` + o.Lab.URLs()[0] + `"}`
	for _, name := range modules.Names() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("examples", name+".yaml")
			args := []string{path, "-l", "node006", "-e", vars}
			require.Equal(t, 0, o.call(t, append([]string{"plan"}, args...)...).Code)
			require.Equal(t, 0, o.call(t, append([]string{"apply", "--yes"}, args...)...).Code)
			again := o.call(t, append([]string{"apply", "--yes"}, args...)...)
			require.Equal(t, 0, again.Code)
			if eventful[name] != "" {
				return
			}
			for host, counts := range recap(t, again.Stdout) {
				require.Equal(t, "0", counts["changed"], "%s: %s", host, strings.TrimSpace(again.Stdout))
			}
		})
	}
}

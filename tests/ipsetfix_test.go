package tests

import (
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// known is what a node's tasks have found out, by name.
type known map[string]any

func (k known) Lookup(name string) (jinja.Value, bool) {
	v, ok := k[name]
	return jinja.FromGo(v), ok
}

// TestFaultOfANode holds the verdict of the shipped playbook to the classes of
// the incident.
func TestFaultOfANode(t *testing.T) {
	const (
		all   = `[ERROR][93] felix/ipsets.go 599: Bad return code from 'ipset list'. error=exit status 1 family="inet" stderr="ipset v`
		named = `[ERROR][93] felix/ipsets.go 671: Bad return code from 'ipset list cali40this-host'. error=exit status 1 family="inet" stderr="ipset v`
		why   = `: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.\n"`
	)
	book, errs := playbooks.Load("../playbooks/ipset-fix.yaml")
	require.NoError(t, errs.Err())
	task := taskNamed(t, book, "The fault of this node")
	for _, c := range []struct {
		name, complaint, host string
		ready, none           bool
		fault, reader         string
	}{
		{name: "all is well", host: "7.17", ready: true, fault: "none"},
		{name: "what was said before it was well", complaint: all + "7.11" + why, host: "7.17", ready: true, fault: "none", reader: "7.11"},
		{name: "the image's ipset", complaint: all + "7.11" + why, host: "7.17", fault: "A", reader: "7.11"},
		{name: "the image's, and the host's is older still", complaint: all + "7.11" + why, host: "7.1", fault: "A", reader: "7.11"},
		{name: "one of Calico's own sets", complaint: named + "7.11" + why, host: "7.17", fault: "B", reader: "7.11"},
		{name: "the host's ipset", complaint: all + "7.10" + why, host: "7.10", fault: "C", reader: "7.10"},
		{name: "not ready, and no word of ipset", host: "7.17", fault: "D"},
		{name: "no pod at all", host: "7.17", none: true, fault: "D"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod := map[string]any{"ready": c.ready}
			if c.none {
				pod = map[string]any{}
			}
			m, err := task.Module(known{"complaint": c.complaint, "pod": pod,
				"host_ipset": map[string]any{"ipset": c.host, "unreadable": []any{}}})
			require.NoError(t, err)
			change, err := m.Check(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, map[string]any{"fault": c.fault, "reader": c.reader}, change.Vars["ansible_facts"])
		})
	}
}

func taskNamed(t *testing.T, book *playbooks.Playbook, name string) *playbooks.Task {
	t.Helper()
	for _, p := range book.Plays {
		for _, n := range p.Tasks {
			if task, ok := n.(*playbooks.Task); ok && task.Name.String() == name {
				return task
			}
		}
	}
	t.Fatalf("no task is called %q", name)
	return nil
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "net_matrix",
		Doc:  "Wait until every agent pod reaches every other one, with small and with large answers",
		New: func() Module {
			return &netMatrix{Port: 8080, Sizes: []int{64, 65536}, Timeout: 5 * time.Second, Within: time.Minute}
		},
	})
}

// netMatrix is a condition: it is waited for, and nothing is changed. Only what
// leaves a node counts: two agents on one node prove nothing of the network.
type netMatrix struct {
	Namespace string        `arg:"namespace" doc:"The namespace of the agents; that of the kubeconfig where not given."`
	Selector  string        `arg:"selector,required" doc:"Labels of the agents: pods on the pod network, one per node, that serve /SIZE with as many bytes."`
	Container string        `arg:"container" doc:"The container to ask from, which needs sh, wget and wc; the pod's default one where not given."`
	Port      int           `arg:"port" doc:"The port that the agents serve on."`
	Sizes     []int         `arg:"sizes" doc:"How many bytes to fetch, each from every agent; one of them larger than the MTU."`
	Expect    int           `arg:"expect" doc:"How many agents there must be; at least two where not given."`
	Timeout   time.Duration `arg:"timeout" doc:"Seconds for one request."`
	Within    time.Duration `arg:"within" doc:"Seconds until every pair must work."`
}

// netAgent is a pod that asks and is asked.
type netAgent struct{ namespace, pod, container, node, ip string }

func (a netAgent) words() string { return a.pod + " on " + a.node }

// netTry is one request: who asked whom for how much, and what was wrong.
type netTry struct {
	from, to netAgent
	size     int
	err      string // empty: it came whole
}

func (m *netMatrix) Validate() error {
	switch {
	case m.Selector == "":
		return errors.New("selector is empty; it says which pods are the agents")
	case m.Port < 1 || m.Port > 65535:
		return fmt.Errorf("port: %d is not a port; wanted 1 to 65535", m.Port)
	case len(m.Sizes) == 0:
		return errors.New("sizes: at least one is needed, such as [64, 65536]")
	case slices.Min(m.Sizes) < 1:
		return fmt.Errorf("sizes: %d is not a number of bytes above 0", slices.Min(m.Sizes))
	case m.Expect < 0 || m.Expect == 1:
		return fmt.Errorf("expect: %d agents make no pair; wanted 2 or more", m.Expect)
	case m.Timeout < time.Second || m.Within < 0:
		return errors.New("timeout is at least one second, and within cannot be negative")
	}
	return nil
}

func (m *netMatrix) Check(ctx context.Context, t Target) (Change, error) {
	cluster, err := t.Cluster(ctx)
	if err != nil {
		return Change{}, err
	}
	agents, diffs, err := m.agents(ctx, outlook{Cluster: cluster, target: t})
	if err != nil {
		return Change{}, err
	}
	rows, err := atOnce(agents, func(from netAgent) ([]netTry, error) { return m.ask(ctx, cluster, from, agents) })
	if err != nil {
		return Change{}, err
	}
	c := Change{Diffs: diffs, Wait: Wait{Timeout: m.Within, Message: "not every agent reaches every other one"}}
	c.Vars = m.judge(slices.Concat(rows...), &c)
	list := make([]any, len(agents))
	for i, a := range agents {
		list[i] = map[string]any{"pod": a.pod, "node": a.node, "ip": a.ip}
	}
	c.Vars["agents"] = list
	return c, nil
}

// judge counts pairs, in each direction, and adds a difference for each request
// that failed. A pair is right when every size came whole.
func (m *netMatrix) judge(tries []netTry, c *Change) map[string]any {
	type pair struct{ from, to string }
	pairs, broken := map[pair]bool{}, map[pair]bool{}
	failures := []any{}
	for _, try := range tries {
		p := pair{try.from.pod, try.to.pod}
		pairs[p] = true
		if try.err == "" {
			continue
		}
		broken[p] = true
		failures = append(failures, map[string]any{"from": try.from.node, "to": try.to.node, "size": try.size, "error": try.err})
		c.Diffs = append(c.Diffs, Diff{
			What: fmt.Sprintf("%d bytes from %s to %s (%s)", try.size, try.from.node, try.to.node, try.to.ip),
			Have: try.err, Want: strconv.Itoa(try.size) + " bytes",
		})
	}
	return map[string]any{"pairs": len(pairs), "ok": len(pairs) - len(broken), "failures": failures}
}

// agents selects the pods that can ask and be asked, and says what is wrong with
// the selection: too few, not running, two on one node.
func (m *netMatrix) agents(ctx context.Context, now outlook) (agents []netAgent, diffs []Diff, err error) {
	selected := Ref{Kind: podsKind, Namespace: m.Namespace, Selector: m.Selector}
	pods, err := now.List(ctx, selected)
	if err != nil {
		return nil, nil, err
	}
	if err := now.settled(pods...); err != nil {
		return nil, nil, err
	}
	at := map[string]string{}
	for _, pod := range pods {
		is := newHTTPPod(pod)
		a := netAgent{is.namespace, is.name, m.containerOf(pod), dig[string](pod, "spec", "nodeName"), dig[string](pod, "status", "podIP")}
		switch {
		case is.over:
			continue
		case dig[bool](pod, "spec", "hostNetwork"):
			return nil, nil, fmt.Errorf("pod %s uses the network of its node, so it proves nothing of the pods' network; select pods without hostNetwork", a.words())
		case is.phase != "Running" || a.ip == "":
			diffs = append(diffs, Diff{What: podWords(pod), Have: podTrouble(pod, ""), Want: "running, with an address"})
		case at[a.node] != "":
			diffs = append(diffs, Diff{What: podWords(pod), Have: "on the same node as " + at[a.node], Want: "one agent on each node"})
		default:
			at[a.node] = a.pod
			agents = append(agents, a)
		}
	}
	slices.SortFunc(agents, func(a, b netAgent) int { return strings.Compare(a.node, b.node) })
	counted, err := m.miscounted(ctx, now, selected, len(agents))
	return agents, append(counted, diffs...), err
}

// miscounted compares the agents that can be asked with those that are wanted. A
// selection of none, where no number is known, is more likely a mistake.
func (m *netMatrix) miscounted(ctx context.Context, now outlook, selected Ref, found int) ([]Diff, error) {
	want := "at least 2"
	switch {
	case m.Expect > 0 && found == m.Expect, m.Expect == 0 && found > 1:
		return nil, nil
	case m.Expect > 0:
		want = strconv.Itoa(m.Expect)
	}
	if found == 0 {
		var unforeseen Unforeseen
		err := now.none(ctx, selected)
		if m.Expect == 0 || errors.As(err, &unforeseen) {
			return nil, err
		}
	}
	return []Diff{{What: "number of agents (" + refWords(selected) + ")", Have: strconv.Itoa(found), Want: want}}, nil
}

func (m *netMatrix) containerOf(pod Object) string {
	return (&kubectl{Container: m.Container}).containerOf(pod)
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "calico",
		Doc:  "Find out how Calico does on this host and in its cluster, and which fault of its IP sets it has, if any",
		New:  func() Module { return &calico{Selector: "k8s-app=calico-node"} },
	})
}

// calico only looks. A host without ipset, pod or calico-node, and a cluster
// that does not answer, are answers: the verdict says what follows from them.
type calico struct {
	Namespace string `arg:"namespace" doc:"Where calico-node runs; found where not given."`
	Selector  string `arg:"selector" doc:"The labels of calico-node's pods."`
	Judge     string `arg:"judge" doc:"A version of Calico, as in v3.27.5, of which judged is to say what it would cure."`

	Sound   bool           `arg:"sound" doc:"Whether to wait until the class is none."`
	Timeout *time.Duration `arg:"timeout" doc:"How long to wait for that, in seconds; 120 where not given."`
}

const (
	calicoNode        = "calico-node"
	calicoControllers = "calico-kube-controllers"
)

func (m *calico) Validate() error {
	if m.Selector == "" || m.Namespace == "*" {
		return errors.New("selector says which pods are calico-node's, and namespace is one namespace; leave them out to have them found")
	}
	if _, ok := parseCalicoVersion(m.Judge); m.Judge != "" && !ok {
		return fmt.Errorf("judge: %q is not a version of Calico; write it as v3.27.5", m.Judge)
	}
	return m.validSound()
}

// calicoFacts is all that the verdict goes by.
type calicoFacts struct {
	cluster calicoCluster
	host    calicoHost
	felix   felixState
	api     string // why this host does not reach the API at its ClusterIP; empty where it does, or nobody asked
}

func (m *calico) Check(ctx context.Context, t Target) (Change, error) {
	host, err := lookAtCalicoHost(ctx, t)
	if err != nil {
		return Change{}, err
	}
	facts := calicoFacts{host: host}
	facts.cluster, err = m.lookAtCluster(ctx, t, host)
	var vague Unforeseen
	if errors.As(err, &vague) && !m.Sound {
		return Change{Vars: m.unforeseen(vague)}, nil
	}
	if err != nil {
		return Change{}, err
	}
	if facts.felix, err = lookAtFelix(ctx, t, facts); err != nil {
		return Change{}, err
	}
	if !facts.wellNow() {
		if facts.api, err = facts.clusterIPTrouble(ctx, t); err != nil {
			return Change{}, err
		}
	}
	return m.result(t, facts)
}

func (m *calico) result(t Target, facts calicoFacts) (Change, error) {
	vars, verdict := facts.vars(), facts.verdict()
	maps.Copy(vars, verdict.vars())
	vars["judged"] = m.judged()
	vague, later := facts.ahead(t)
	switch {
	case later && m.Sound:
		return Change{}, vague
	case later:
		for _, key := range calicoLater {
			vars[key] = vague
		}
	case m.Sound:
		return m.awaitSound(verdict, facts.cluster.node)
	}
	return Change{Vars: vars}, nil
}

// calicoLater are the keys that tell of pods, sets and ipset, which earlier
// tasks of a plan may change.
var calicoLater = []string{
	"pod", "host", "reader", "felix", "creators", "class", "evidence", "remedies", "remedy", "wont", "host_upgrade", "host_upgrade_why",
}

// ahead tells whether earlier tasks of a plan change what the verdict goes by.
func (f calicoFacts) ahead(t Target) (Unforeseen, bool) {
	if f.cluster.vague.Reason != "" {
		return f.cluster.vague, true
	}
	if e, ok := ipsetAhead(t); ok {
		return Unforeseen{fmt.Sprintf("what ipset says when %s has installed package %q", byTask(e.By), e.Name)}, true
	}
	for _, set := range f.reader().unreadable() {
		if e, ok := t.Predicted(ASet, set.name); ok {
			return Unforeseen{fmt.Sprintf("what Calico says when %s has changed the set %q", byTask(e.By), set.name)}, true
		}
	}
	return Unforeseen{}, false
}

// unforeseen are the keys of a plan that changes the workload itself in a way
// that nobody knows.
func (m *calico) unforeseen(vague Unforeseen) map[string]any {
	vars := calicoFacts{}.vars()
	maps.Copy(vars, calicoVerdict{}.vars())
	for key := range vars {
		vars[key] = vague
	}
	vars["selector"], vars["judged"] = m.Selector, m.judged()
	return vars
}

func (m *calico) judged() map[string]any {
	v, ok := parseCalicoVersion(m.Judge)
	if !ok {
		return map[string]any{}
	}
	return v.judged()
}

// running is the version that this node's pod has, which during a rollout is
// not yet the workload's.
func (f calicoFacts) running() (calicoVersion, bool) {
	if v, ok := imageVersion(containerImage(dig[map[string]any](f.cluster.pod, "spec"), calicoNode)); ok {
		return v, true
	}
	return parseCalicoVersion(f.cluster.version)
}

// reader is the ipset inside calico-node, as far as it could be asked.
func (f calicoFacts) reader() ipsetWorld { return f.host.reader }

// wellNow is what is seen when nothing is wrong: the API, Felix and its log all
// say so.
func (f calicoFacts) wellNow() bool {
	return f.cluster.err == "" && f.cluster.pod != nil && podReady(f.cluster.pod) && f.felix.ready && !f.complains()
}

// complains says whether Felix has trouble with its IP sets now.
func (f calicoFacts) complains() bool { return f.felix.errors > 0 && !f.felix.recovered }

func (f calicoFacts) vars() map[string]any {
	vars := f.cluster.vars()
	vars["host"], vars["reader"], vars["felix"] = f.host.vars(), f.host.readerVars(), f.felix.vars()
	vars["node"], vars["running"] = f.cluster.node, ""
	if v, ok := f.running(); ok {
		vars["running"] = v.String()
	}
	creators := []any{}
	for _, c := range f.creators() {
		creators = append(creators, map[string]any{"name": c.name, "evidence": c.evidence, "running": c.running, "bumps": c.bumps, "host_ipset": c.hostIpset})
	}
	vars["creators"] = creators
	return vars
}

// texts is a list of words as playbooks have it.
func texts(words []string) []any {
	list := []any{}
	for _, w := range words {
		list = append(list, w)
	}
	return list
}

// wordList names things in a sentence, or says that there are none.
func wordList(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

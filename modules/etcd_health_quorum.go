package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// etcdStop is whether something may be stopped.
type etcdStop struct {
	what string // for people: the member, or the host
	may  bool
	why  string // a sentence
	want string // what why would have to say
}

const (
	unaskedNodes = "nobody knows which nodes are cordoned: "
	anAPIAnswer  = "an answer of the Kubernetes API"
)

// findNodes asks the API which nodes the members are on, and which are cordoned:
// as earlier tasks of a plan would have them. That it cannot be asked is only
// wrong where somebody is to be stopped.
func (e *etcdHealth) findNodes(ctx context.Context, t Target, s *etcdState) error {
	if e.Cordons == "ignore" {
		return nil
	}
	api, err := t.Cluster(ctx)
	if err == nil {
		s.nodes, err = outlook{api, t}.List(ctx, Ref{Kind: "nodes", APIVersion: "v1"})
	}
	var vague Unforeseen
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &vague):
		return vague
	case err == ErrNoCluster && e.asksToStop(): // wrapped, it names the hosts that do not answer
		return fmt.Errorf("may_go_down has to know which nodes are cordoned: %w; cordons: ignore does without", err)
	case err != nil:
		s.noNodes = err.Error()
		return nil
	}
	s.asked = true
	for i := range s.members {
		if node := nodeOfMember(s.nodes, s.members[i]); node != nil {
			s.members[i].node, s.members[i].cordoned = nameOf(node), dig[bool](node, "spec", "unschedulable")
		}
	}
	return nil
}

// nodeOfMember is the node with an address of the member's URLs, else the one of
// its name.
func nodeOfMember(nodes []Object, m etcdMember) Object {
	return nodeOfHost(nodes, calicoHost{name: m.name, addresses: slices.DeleteFunc(m.hosts(), isLoopback)})
}

// stopping judges what may_go_down asks for, and this host where it asks nothing.
func (e *etcdHealth) stopping(s etcdState) (etcdStop, error) {
	name, named := e.MayGoDown.(string)
	stop := etcdStop{what: "this host", want: "a quorum without it"}
	if named {
		stop.what = name
	}
	if s.silent != "" {
		stop.why = "etcd does not say which members it has: " + s.silent
		return stop, nil
	}
	member := s.this
	var err error
	if named {
		member, err = s.named(name)
	} else if member == nil && s.runsHere {
		err = errors.New("etcd runs on this host, and none of its members (" + s.list() + ") has this host's name or an address of it; give may_go_down the name of the member")
	}
	switch {
	case err != nil && named && s.noNodes != "":
		stop.why, stop.want = unaskedNodes+s.noNodes, anAPIAnswer
		return stop, nil
	case err != nil && e.asksToStop():
		return stop, err
	case err != nil:
		stop.why = err.Error()
		return stop, nil
	case member == nil:
		stop.may, stop.why = true, "no member of etcd runs on "+stop.what
		return stop, nil
	}
	stop.what = "etcd member " + member.words()
	s.judge(e.Cordons, *member, &stop)
	return stop, nil
}

// judge counts who is left of the members that vote.
func (s etcdState) judge(cordons string, gone etcdMember, stop *etcdStop) {
	var down []string
	voters, left := 0, 0
	for _, m := range s.members {
		switch {
		case m.learner:
			continue
		case m.id == gone.id:
		case !m.healthy:
			down = append(down, m.words()+" is not healthy")
		case m.cordoned:
			down = append(down, m.words()+" is cordoned, so it counts as down")
		default:
			left++
		}
		voters++
	}
	quorum := voters/2 + 1
	stop.want = fmt.Sprintf("%d of %d left", quorum, voters)
	alarms := s.alarmWords()
	if len(alarms) > 0 {
		stop.want += ", and no alarm"
	}
	reasons := append(down, fmt.Sprintf("without %s %d of %d voting members are left, and %d are needed", gone.words(), left, voters, quorum))
	stop.why = strings.Join(append(reasons, alarms...), "; ")
	switch {
	case gone.learner:
		stop.may, stop.why = true, gone.words()+" is a learner: the quorum does without it"
	case cordons == "ask" && !s.asked:
		stop.why, stop.want = unaskedNodes+s.noNodes, anAPIAnswer
	default:
		stop.may = left >= quorum && len(alarms) == 0
	}
}

// alarmWords are the alarms in a sentence. With one, etcd may be unable to write,
// or to trust what it has; that is no time to stop anybody.
func (s etcdState) alarmWords() []string {
	var words []string
	for _, a := range s.alarms {
		words = append(words, fmt.Sprintf("%s has the alarm %s", a.member, a.kind))
	}
	if s.unlisted != "" {
		words = append(words, "the alarms cannot be listed: "+s.unlisted)
	}
	return words
}

// named is the member that a name or an address means: the member's own, or its
// node's. It is nil, without an error, where a node has none.
func (s etcdState) named(name string) (*etcdMember, error) {
	node := nodeOfHost(s.nodes, calicoHost{name: name, addresses: []string{name}})
	for _, is := range []func(etcdMember) bool{
		func(m etcdMember) bool { return node != nil && m.node == nameOf(node) },
		func(m etcdMember) bool { return m.name == name },
		func(m etcdMember) bool { return !isLoopback(name) && slices.Contains(m.hosts(), name) },
	} {
		if i := slices.IndexFunc(s.members, is); i >= 0 {
			return &s.members[i], nil
		}
	}
	if node == nil {
		return nil, fmt.Errorf("may_go_down: no member of etcd (%s) and no node of Kubernetes%s is named %q or has that address", s.list(), s.nodeList(), name)
	}
	for _, m := range s.members {
		if m.node == "" && controlPlane(node) {
			return nil, fmt.Errorf("may_go_down: member %s of etcd is on no node that is known, and %s is a control-plane node, so it may be there; name the member instead", m.words(), name)
		}
	}
	return nil, nil
}

func controlPlane(node Object) bool {
	labels := dig[map[string]any](node, "metadata", "labels")
	for _, role := range []string{"control-plane", "master", "etcd"} {
		if _, is := labels["node-role.kubernetes.io/"+role]; is {
			return true
		}
	}
	return false
}

func (s etcdState) list() string {
	var names []string
	for _, m := range s.members {
		names = append(names, m.words())
	}
	return strings.Join(names, ", ")
}

func (s etcdState) nodeList() string {
	if !s.asked {
		return ", which was not asked,"
	}
	var names []string
	for _, n := range s.nodes {
		names = append(names, nameOf(n))
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// vars are what register gets.
func (s etcdState) vars(stop etcdStop) map[string]any {
	members, alarms := []any{}, []any{}
	healthy, voters := 0, 0
	for _, m := range s.members {
		if !m.learner {
			voters++
		}
		if m.healthy && !m.learner {
			healthy++
		}
		leads := m.known && m.leader == m.id
		members = append(members, map[string]any{
			"name": m.name, "id": m.id.String(), "healthy": m.healthy, "trouble": m.trouble, "leader": leads, "learner": m.learner, "endpoint": m.endpoint,
			"raft_index": m.index, "raft_applied": m.applied, "db_size": m.size, "version": m.version, "errors": texts(m.errors), "node": m.node, "cordoned": m.cordoned,
		})
	}
	for _, a := range s.alarms {
		alarms = append(alarms, map[string]any{"member": a.member, "alarm": a.kind})
	}
	vars := map[string]any{
		"members": members, "alarms": alarms, "healthy": healthy, "quorum": voters/2 + 1, "raft_spread": s.spread(), "leader": "", "leader_node": "",
		"this": "", "this_leads": false, "may_go_down": stop.may, "why": stop.why,
	}
	if voters == 0 {
		vars["quorum"] = 0
	}
	if l := s.leader(); l != nil {
		vars["leader"], vars["leader_node"] = l.name, l.node
		vars["this_leads"] = s.this != nil && s.this.id == l.id
	}
	if s.this != nil {
		vars["this"] = s.this.name
	}
	return vars
}

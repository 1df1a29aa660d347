package modules

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "etcd_health",
		Doc:  "Wait until etcd is healthy and, before a member is stopped, until its quorum survives that",
		New: func() Module {
			return &etcdHealth{
				Endpoints: []string{"https://127.0.0.1:2379"}, Healthy: true, MaxRaftSpread: 1000, Cordons: "ask", Timeout: time.Minute,
			}
		},
	})
}

// etcdHealth is a condition: each look asks anew, and nothing is changed. A member
// whose node is cordoned counts as down when another one is to be stopped: a node
// that is about to boot still says that it is healthy, and the cordon is the first
// sign of what is coming (cluster-etcd-operator PR 1663).
type etcdHealth struct {
	Endpoints []string `arg:"endpoints" alias:"endpoint" doc:"Where etcd serves its clients, as seen from this host."`
	CACert    string   `arg:"cacert" doc:"The authority that etcd's certificate is checked with; that of kubeadm where not given."`
	Cert      string   `arg:"cert" doc:"The certificate to show to etcd; healthcheck-client or server of kubeadm where not given, whichever is there."`
	Key       string   `arg:"key" doc:"The file with the key of cert."`

	Healthy       bool          `arg:"healthy" doc:"Whether to wait until every member is healthy and votes, one of them leads, none is far behind, and there is no alarm."`
	Members       int           `arg:"members" doc:"How many members there must be; as many as there are where not given."`
	MaxRaftSpread int64         `arg:"max_raft_spread" doc:"How many entries of the raft log may lie between the first and the last member."`
	MayGoDown     any           `arg:"may_go_down" doc:"A node, a member or an address, or true for this host: wait until what runs there can be stopped without the loss of the quorum."`
	Cordons       string        `arg:"cordons" enum:"ask ignore" doc:"Whether the Kubernetes API is asked which nodes are cordoned; their members count as down."`
	Timeout       time.Duration `arg:"timeout" doc:"Seconds to wait; with 0 what is not as wanted is an error at once."`
}

func (e *etcdHealth) Validate() error {
	if len(e.Endpoints) == 0 {
		return errors.New("endpoints: at least one is needed, such as https://127.0.0.1:2379")
	}
	for _, text := range e.Endpoints {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" || strings.Contains(text, ",") {
			return fmt.Errorf("endpoints: %q is not one; wanted http or https, a host and a port, as in https://127.0.0.1:2379", text)
		}
	}
	switch word := e.MayGoDown.(type) {
	case nil, bool:
	case string:
		if word == "" {
			return errors.New("may_go_down is empty; wanted a node, a member, an address, or true for this host")
		}
	default:
		return fmt.Errorf("may_go_down: found %v; wanted a node, a member, an address, or true for this host", word)
	}
	switch {
	case (e.Cert == "") != (e.Key == ""):
		return errors.New("cert and key belong together: give both, or neither")
	case e.Members < 0 || e.MaxRaftSpread < 0 || e.Timeout < 0:
		return errors.New("members, max_raft_spread and timeout cannot be negative")
	}
	return nil
}

func (e *etcdHealth) Check(ctx context.Context, t Target) (Change, error) {
	said, err := e.ask(ctx, t)
	if err != nil {
		return Change{}, err
	}
	state, err := said.read()
	if err != nil {
		return Change{}, err
	}
	e.findThis(&state, said)
	if err := e.findNodes(ctx, t, &state); err != nil {
		return Change{}, err
	}
	stop, err := e.stopping(state)
	if err != nil {
		return Change{}, err
	}
	c := Change{Vars: state.vars(stop)}
	switch {
	case e.Healthy:
		c.Diffs = e.lacks(state)
	case state.silent != "":
		c.Notes = append(c.Notes, "etcd does not answer: "+state.silent)
	}
	if e.asksToStop() && !stop.may {
		c.Diffs = append(c.Diffs, Diff{What: "stopping " + stop.what, Have: stop.why, Want: stop.want})
	}
	if state.noNodes != "" && !e.asksToStop() {
		c.Notes = append(c.Notes, unaskedNodes+state.noNodes)
	}
	return awaiting(c, e.Timeout)
}

// asksToStop says whether may_go_down was asked for.
func (e *etcdHealth) asksToStop() bool {
	_, named := e.MayGoDown.(string)
	return named || e.MayGoDown == true
}

// lacks is what keeps etcd from being healthy.
func (e *etcdHealth) lacks(s etcdState) []Diff {
	if s.silent != "" {
		return []Diff{{What: "etcd at " + strings.Join(e.Endpoints, ", "), Have: s.silent, Want: "an answer"}}
	}
	var diffs []Diff
	if e.Members > 0 && len(s.members) != e.Members {
		diffs = append(diffs, Diff{What: "members of etcd", Have: strconv.Itoa(len(s.members)), Want: strconv.Itoa(e.Members)})
	}
	for _, m := range s.members {
		switch {
		case m.learner:
			diffs = append(diffs, Diff{What: "etcd member " + m.words(), Have: "a learner", Want: "a member that votes"})
		case !m.healthy:
			diffs = append(diffs, Diff{What: "etcd member " + m.words(), Have: m.trouble, Want: "healthy"})
		}
	}
	if have := s.leaderless(); have != "" {
		diffs = append(diffs, Diff{What: "leader of etcd", Have: have, Want: "one"})
	}
	for _, a := range s.alarms {
		diffs = append(diffs, Diff{What: "alarm of etcd member " + a.member, Have: a.kind, Want: "none"})
	}
	if s.unlisted != "" {
		diffs = append(diffs, Diff{What: "alarms of etcd", Have: s.unlisted, Want: "a list of them"})
	}
	if spread := s.spread(); spread > e.MaxRaftSpread {
		diffs = append(diffs, Diff{What: "raft log of etcd's members", Have: fmt.Sprintf("%d entries apart", spread), Want: fmt.Sprintf("at most %d", e.MaxRaftSpread)})
	}
	return diffs
}

// findThis finds the member on this host: the one that has answered at the host's
// loopback, else the one with an address of the host, else the one of its name.
func (e *etcdHealth) findThis(s *etcdState, said etcdSaid) {
	local := !slices.ContainsFunc(e.Endpoints, func(text string) bool {
		u, err := url.Parse(text)
		return err != nil || !isLoopback(u.Hostname())
	})
	for _, is := range []func(etcdMember) bool{
		func(m etcdMember) bool { return local && m.id == s.answered },
		func(m etcdMember) bool {
			return slices.ContainsFunc(m.hosts(), func(h string) bool { return !isLoopback(h) && slices.Contains(said.addresses, h) })
		},
		func(m etcdMember) bool { return m.name != "" && strings.EqualFold(m.name, said.host) },
	} {
		if i := slices.IndexFunc(s.members, is); i >= 0 && s.this == nil {
			s.this = &s.members[i]
		}
	}
	s.runsHere = said.runs
	s.host, s.addresses = said.host, said.addresses
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

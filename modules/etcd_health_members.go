package modules

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// etcdID is an id of etcd. It is beyond what a float64 holds, and etcd itself
// shows it in hexadecimal.
type etcdID uint64

func (id etcdID) String() string { return strconv.FormatUint(uint64(id), 16) }

// What etcdctl 3.4 to 3.7 print as JSON; they differ in what they leave out.
type (
	etcdHeader struct {
		MemberID etcdID `json:"member_id"`
	}
	etcdList struct {
		Header  etcdHeader `json:"header"`
		Members []struct {
			ID         etcdID   `json:"ID"`
			Name       string   `json:"name"`
			PeerURLs   []string `json:"peerURLs"`
			ClientURLs []string `json:"clientURLs"`
			IsLearner  bool     `json:"isLearner"`
		} `json:"members"`
	}
	etcdStatus struct {
		Endpoint string `json:"Endpoint"`
		Status   struct {
			Header  etcdHeader `json:"header"`
			Version string     `json:"version"`
			DBSize  int64      `json:"dbSize"`
			Leader  etcdID     `json:"leader"`
			Index   int64      `json:"raftIndex"`
			Applied int64      `json:"raftAppliedIndex"`
			Errors  []string   `json:"errors"`
		} `json:"Status"`
	}
	etcdEndpointHealth struct {
		Endpoint string `json:"endpoint"`
		Health   bool   `json:"health"`
		Error    string `json:"error"`
	}
	etcdAlarms struct {
		Alarms []struct {
			MemberID etcdID `json:"memberID"`
			Alarm    int    `json:"alarm"`
		} `json:"alarms"`
	}
)

// etcdAlarmKinds are the numbers of etcd's AlarmType.
var etcdAlarmKinds = map[int]string{1: "NOSPACE", 2: "CORRUPT"}

// etcdState is what etcd says of itself, and Kubernetes of the nodes it is on.
type etcdState struct {
	silent   string // why etcd does not say which members it has; empty: it does
	members  []etcdMember
	alarms   []etcdAlarm
	unlisted string // why the alarms cannot be listed
	answered etcdID // the member that was asked

	host      string
	addresses []string
	this      *etcdMember // on this host; nil: none
	runsHere  bool        // a process named etcd is on this host

	nodes   []Object
	noNodes string // why the nodes cannot be asked
	asked   bool   // the nodes were asked
}

type etcdMember struct {
	id                   etcdID
	name                 string
	urls                 []string // of clients and peers
	endpoint             string   // of clients; empty where it has not started yet
	learner, healthy     bool
	trouble              string // why it is not healthy
	known                bool   // it has told its status
	leader               etcdID // whom it follows; 0: nobody
	index, applied, size int64
	version              string
	errors               []string
	node                 string // empty: not known, or it is on none
	cordoned             bool
}

type etcdAlarm struct{ member, kind string }

// words name a member for people: with its node, where that has another name.
func (m etcdMember) words() string {
	name := m.name
	if name == "" {
		name = m.id.String()
	}
	if m.node != "" && m.node != name {
		name += " on " + m.node
	}
	return name
}

// hosts are those of its URLs.
func (m etcdMember) hosts() []string {
	var hosts []string
	for _, text := range m.urls {
		if u, err := url.Parse(text); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

// read takes the answers apart. That etcd does not answer is an answer; what is
// not JSON is not.
func (said etcdSaid) read() (etcdState, error) {
	var s etcdState
	var list etcdList
	if a := said.answers["members"]; a.failed != "" {
		s.silent = a.failed
		var own []etcdStatus
		if decodeEtcd("endpoint status", said.answers["alone"], &own) == nil && len(own) > 0 && len(own[0].Status.Errors) > 0 {
			s.silent += " (" + strings.Join(own[0].Status.Errors, ", ") + ")"
		}
		return s, nil
	}
	var statuses []etcdStatus
	var healths []etcdEndpointHealth
	var alarms etcdAlarms
	for name, into := range map[string]any{"members": &list, "status": &statuses, "health": &healths, "alarms": &alarms} {
		if err := decodeEtcd(name, said.answers[name], into); err != nil {
			return s, err
		}
	}
	if len(list.Members) == 0 {
		return s, fmt.Errorf("etcdctl member list: found no member in %q", strings.TrimSpace(said.answers["members"].json))
	}
	s.answered = list.Header.MemberID
	for _, m := range list.Members {
		member := etcdMember{id: m.ID, name: m.Name, urls: slices.Concat(m.ClientURLs, m.PeerURLs), learner: m.IsLearner}
		if len(m.ClientURLs) > 0 {
			member.endpoint = m.ClientURLs[0]
		}
		member.takeStatus(statuses)
		member.takeHealth(m.ClientURLs, healths, said.answers["health"].failed)
		s.members = append(s.members, member)
	}
	slices.SortFunc(s.members, func(a, b etcdMember) int { return strings.Compare(a.words(), b.words()) })
	for _, a := range alarms.Alarms {
		kind := etcdAlarmKinds[a.Alarm]
		if kind == "" {
			kind = "alarm " + strconv.Itoa(a.Alarm)
		}
		s.alarms = append(s.alarms, etcdAlarm{s.nameOf(a.MemberID), kind})
	}
	s.unlisted = said.answers["alarms"].failed
	return s, nil
}

// decodeEtcd reads an answer. One that failed may have said nothing: etcdctl leaves
// out the members that do not answer.
func decodeEtcd(what string, a etcdAnswer, into any) error {
	text := strings.TrimSpace(a.json)
	if text == "" && a.failed != "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("etcdctl, asked for %s: wanted JSON, found %.200q: %w", what, text, err)
	}
	return nil
}

// takeStatus goes by the id that was answered with: two members may have the same
// URL, such as that of a loopback.
func (m *etcdMember) takeStatus(all []etcdStatus) {
	for _, s := range all {
		if s.Status.Header.MemberID == m.id {
			m.known, m.leader, m.index, m.applied, m.size = true, s.Status.Leader, s.Status.Index, s.Status.Applied, s.Status.DBSize
			m.version, m.errors = s.Status.Version, s.Status.Errors
		}
	}
}

// takeHealth: a member is healthy that says so at one of its URLs, and has told its
// status.
func (m *etcdMember) takeHealth(urls []string, all []etcdEndpointHealth, failed string) {
	switch {
	case len(urls) == 0:
		m.trouble = "not started"
	case failed != "":
		m.trouble = failed
	default:
		m.trouble = "does not tell its health"
	}
	for _, h := range all {
		switch {
		case !slices.Contains(urls, h.Endpoint):
		case h.Health && m.known:
			m.healthy = true
		case h.Health:
			m.trouble = "does not tell its status"
		default:
			m.trouble = strings.TrimSpace(h.Error)
		}
	}
	if m.healthy {
		m.trouble = ""
	}
}

func (s etcdState) nameOf(id etcdID) string {
	for _, m := range s.members {
		if m.id == id && m.name != "" {
			return m.name
		}
	}
	return id.String()
}

// leader is the one that all members which answer follow; nil where there is none.
func (s etcdState) leader() *etcdMember {
	if s.leaderless() != "" {
		return nil
	}
	for i, m := range s.members {
		if m.known && m.leader == m.id {
			return &s.members[i]
		}
	}
	return nil
}

// leaderless says why nobody leads; empty where one member does. Only who says so
// of itself leads: others may follow one that is dead for a moment longer.
func (s etcdState) leaderless() string {
	var leads []string
	follow := map[etcdID]bool{}
	for _, m := range s.members {
		if m.known {
			follow[m.leader] = true
		}
		if m.known && m.leader == m.id {
			leads = append(leads, m.words())
		}
	}
	switch {
	case len(leads) == 0:
		return "none"
	case len(leads) > 1:
		return strings.Join(leads, " and ")
	case len(follow) > 1:
		return leads[0] + ", and not all members follow it"
	}
	return ""
}

// spread is how many entries lie between the member that knows the most of the log
// and the one that has carried out the least of it.
func (s etcdState) spread() int64 {
	var first int64
	last := int64(math.MaxInt64)
	for _, m := range s.members {
		if m.known {
			first, last = max(first, m.index), min(last, m.applied)
		}
	}
	return max(first-last, 0)
}

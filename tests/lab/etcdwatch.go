//go:build linux

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// lookAtEtcdEvery is how often each member is asked.
	lookAtEtcdEvery = 200 * time.Millisecond
	// memberWithin is how long a member may take to answer: one that is not there
	// by then has no leader.
	memberWithin = 2 * time.Second
	// quorum is how many of the three members make decisions.
	quorum = 2
)

// EtcdWatch watches the members of a stacked lab's etcd.
type EtcdWatch struct {
	cancel  context.CancelFunc
	looking sync.WaitGroup

	mu      sync.Mutex
	members map[string]member // by host
	report  EtcdReport
}

// member is what a member says of itself.
type member struct{ hasLeader, leads bool }

// EtcdReport is what became of etcd while it was watched.
type EtcdReport struct {
	Answers int      // of all members together
	Lost    []Moment // when fewer than two members had a leader
	Leaders []string // the hosts of those who led, one after the other
}

// Moment is a stretch of time.
type Moment struct{ From, To time.Time }

// LeaderChanges is how often another member became the leader.
func (r EtcdReport) LeaderChanges() int { return max(0, len(r.Leaders)-1) }

// LongestLoss is the longest time in which fewer than two members had a leader.
// A leader that hands over in good order causes some milliseconds, which a watch
// rarely sees; one whose power is cut causes more than a second.
func (r EtcdReport) LongestLoss() time.Duration {
	var longest time.Duration
	for _, m := range r.Lost {
		longest = max(longest, m.To.Sub(m.From))
	}
	return longest
}

// WatchEtcd asks every member of a stacked lab's etcd about five times a second,
// by its own metrics, until Stop or the end of ctx. It returns when all members
// have a leader.
func (l *Lab) WatchEtcd(ctx context.Context) (*EtcdWatch, error) {
	if !l.Stacked {
		return nil, errors.New("only a stacked lab has an etcd of several members")
	}
	hosts := l.net.withRole(ControlPlane)
	w := &EtcdWatch{members: map[string]member{}}
	for _, h := range hosts {
		if err := poll(ctx, etcdWithin, func(ctx context.Context) error {
			m, err := askMember(ctx, h)
			if err == nil && !m.hasLeader {
				err = fmt.Errorf("%s: this member of etcd has no leader", h.Name)
			}
			w.members[h.Name] = m
			return err
		}); err != nil {
			return nil, err
		}
	}
	ctx, w.cancel = context.WithCancel(ctx)
	for _, h := range hosts {
		w.looking.Go(func() { w.look(ctx, h) })
	}
	return w, nil
}

// Stop ends the watch and returns what it has seen.
func (w *EtcdWatch) Stop() EtcdReport {
	w.cancel()
	w.looking.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.report
}

// look asks one member until the end.
func (w *EtcdWatch) look(ctx context.Context, h Host) {
	tick := time.NewTicker(lookAtEtcdEvery)
	defer tick.Stop()
	for {
		m, err := askMember(ctx, h)
		if ctx.Err() != nil {
			return
		}
		w.saw(h.Name, m, err == nil, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// saw takes in what a member has said. One that does not answer has no leader.
func (w *EtcdWatch) saw(host string, m member, answered bool, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answered {
		w.report.Answers++
	}
	before := w.led()
	w.members[host] = m
	after := w.led()
	if n := len(w.report.Leaders); m.leads && (n == 0 || w.report.Leaders[n-1] != host) {
		w.report.Leaders = append(w.report.Leaders, host)
	}
	if after < quorum && (before >= quorum || len(w.report.Lost) == 0) {
		w.report.Lost = append(w.report.Lost, Moment{From: now})
	}
	if n := len(w.report.Lost); n > 0 && (after < quorum || before < quorum) {
		w.report.Lost[n-1].To = now
	}
}

// led is how many members have a leader.
func (w *EtcdWatch) led() (n int) {
	for _, m := range w.members {
		if m.hasLeader {
			n++
		}
	}
	return n
}

// etcdMetrics keeps no connection: one to a host that has gone would hang.
var etcdMetrics = &http.Client{Timeout: memberWithin, Transport: &http.Transport{DisableKeepAlives: true}}

func askMember(ctx context.Context, h Host) (member, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Address+":2381/metrics", nil)
	if err != nil {
		return member{}, err
	}
	resp, err := etcdMetrics.Do(req)
	if err != nil {
		return member{}, err
	}
	defer resp.Body.Close()
	return parseMember(resp.Body)
}

// parseMember reads metrics in Prometheus' text format.
func parseMember(metrics io.Reader) (m member, err error) {
	found := 0
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "etcd_server_has_leader":
			m.hasLeader = value == "1"
			found++
		case "etcd_server_is_leader":
			m.leads = value == "1"
			found++
		}
	}
	if err := lines.Err(); err != nil {
		return member{}, err
	}
	if found != 2 {
		return member{}, errors.New("etcd's metrics do not say whether it has a leader, and is one")
	}
	return m, nil
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	felixReadiness = "http://127.0.0.1:9099/readiness"
	localWithin    = 5 * time.Second
	apiWithin      = 4 * time.Second
	// felixStarts is how long a Felix that has said nothing of its sets yet may
	// still be on its way to where the one before it died.
	felixStarts = 30 * time.Second
)

// felixState is what Felix of one node says: by its health, and by its log since
// it last started. What it said before its first sync is over with that.
type felixState struct {
	ready            bool
	code             int    // of the readiness; 0: nothing answers
	health           string // what it says where it is not ready
	logError         string // why its log could not be read
	recovered        bool   // it has complained, and gone on since
	containerStarted string
	felixLife
}

// felixLife is one process of Felix.
type felixLife struct {
	started, pid, status string
	synced               bool
	errors               int    // complaints of IP sets since it last was in sync
	lastError            string // the last of them; one that names the command is preferred
	before               bool   // they are of the Felix before, which died of them
	refused, datastore   string // the last lines about rights, and about no connection
}

var (
	felixLine   = regexp.MustCompile(`^(\S+ \S+) \[\w+\]\[(\d+)\] (.*)`)
	felixFault  = regexp.MustCompile(`Bad return code from 'ipset|Kernel and userspace incompatible|Kernel-library incompatibility|Failed to (resync|parse ipset|update IP sets)`)
	felixNames  = regexp.MustCompile(`Bad return code from 'ipset`)
	felixStatus = regexp.MustCompile(`Sending status update Status=(\S+)|Status update from Typha\. newStatus=(\S+)`)
	felixRights = regexp.MustCompile(`(?i)\bis forbidden\b|\bforbidden:|\bunauthorized\b`)
	felixWire   = regexp.MustCompile(`(?i)connection refused|i/o timeout|no route to host|connection reset|deadline exceeded|failed to connect|unable to connect`)
)

// lookAtFelix asks its health on the host, which needs no API, and its log.
func lookAtFelix(ctx context.Context, t Target, f calicoFacts) (felixState, error) {
	var s felixState
	answer, err := t.Fetch(ctx, Request{URL: felixReadiness, Timeout: localWithin, ViaHost: true})
	switch {
	case hostIsLost(ctx, err):
		return s, err
	case err != nil:
		s.health = err.Error()
	default:
		s.code = answer.Status
		s.ready = s.code == 200 || s.code == 204
		s.health = strings.Join(strings.Fields(answer.Body), " ")
	}
	if f.cluster.pod == nil || f.cluster.vague.Reason != "" {
		return s, nil
	}
	return s, s.readLog(ctx, t, f)
}

// hostIsLost tells an error of the way to the host from an answer of the host.
func hostIsLost(ctx context.Context, err error) bool {
	var lost interface{ Unreachable() bool }
	return err != nil && (ctx.Err() != nil || errors.As(err, &lost) && lost.Unreachable())
}

func (s *felixState) readLog(ctx context.Context, t Target, f calicoFacts) error {
	pod := f.cluster.pod
	status := containerStatus(pod, calicoNode)
	s.containerStarted = dig[string](status, "state", "running", "startedAt")
	c, err := t.Cluster(ctx)
	if err != nil {
		return err
	}
	req := LogRequest{Namespace: f.cluster.namespace, Pod: nameOf(pod), Container: calicoNode}
	text, err := c.Logs(ctx, req)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.logError = err.Error()
		return nil
	}
	lives := felixLives(text)
	if last := lives[len(lives)-1]; len(lives) == 1 && last.fresh(f.host.now) && dig[int64](status, "restartCount") > 0 {
		req.Previous = true
		if before, err := c.Logs(ctx, req); err == nil {
			lives = append(felixLives(before), lives...)
		}
	}
	s.felixLife = lastFelix(lives, f.host.now)
	s.recovered = s.ready && s.synced && s.complainedBefore(f.host.now.Add(-felixStarts))
	return ctx.Err()
}

// complainedBefore says whether the last complaint is older than at. Felix dies
// of ten failures in a row, which take it a second or two: one that lives on, and
// is ready, has got over it.
func (l felixLife) complainedBefore(at time.Time) bool {
	m := felixLine.FindStringSubmatch(l.lastError)
	if m == nil || l.before {
		return false
	}
	when, err := time.Parse(time.DateTime, m[1])
	return err == nil && when.Before(at)
}

// felixLives takes a log apart. The first is what stands before any start: of a
// log that was rotated it is all there is.
func felixLives(text string) []felixLife {
	lives := []felixLife{{}}
	for line := range strings.Lines(text) {
		m := felixLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if strings.Contains(m[3], "Felix starting up") {
			lives = append(lives, felixLife{started: m[1], pid: m[2]})
			continue
		}
		life := &lives[len(lives)-1]
		if life.pid == "" || life.pid == m[2] {
			life.read(strings.TrimSpace(line), m[3])
		}
	}
	if len(lives) > 1 && lives[0] == (felixLife{}) {
		lives = lives[1:]
	}
	return lives
}

// read takes one line of this Felix.
func (l *felixLife) read(line, said string) {
	if m := felixStatus.FindStringSubmatch(said); m != nil {
		l.status = m[1] + m[2]
	}
	switch {
	case strings.Contains(said, "Completed first update to dataplane"):
		l.synced, l.errors, l.lastError = true, 0, ""
	case felixFault.MatchString(said):
		l.errors++
		if felixNames.MatchString(said) || !felixNames.MatchString(l.lastError) {
			l.lastError = line
		}
	case felixRights.MatchString(said):
		l.refused = line
	case felixWire.MatchString(said):
		l.datastore = line
	}
}

// lastFelix is the one that runs now. While it is on its way, what the one before
// has died of still holds.
func lastFelix(lives []felixLife, now time.Time) felixLife {
	last := lives[len(lives)-1]
	if len(lives) > 1 && last.fresh(now) {
		if died := lives[len(lives)-2]; died.errors > 0 {
			last.errors, last.lastError, last.before = died.errors, died.lastError, true
		}
	}
	return last
}

// fresh is a Felix that started a moment ago and has neither failed nor synced.
func (l felixLife) fresh(now time.Time) bool {
	at, err := time.Parse(time.DateTime, l.started)
	return err == nil && !l.synced && l.errors == 0 && now.Sub(at) < felixStarts
}

// setError is what Felix complains of, taken apart.
type setError struct {
	set, reader, kind string
	revision          int
}

var (
	errorSet    = regexp.MustCompile(`'ipset list ([^']+)'`)
	errorReader = regexp.MustCompile(`ipset v([0-9.]+): `)
)

func parseSetError(line string) setError {
	var e setError
	if m := errorSet.FindStringSubmatch(line); m != nil {
		e.set = m[1]
	}
	if m := errorReader.FindStringSubmatch(line); m != nil {
		e.reader = m[1]
	}
	if m := ipsetIncompatible.FindStringSubmatch(line); m != nil {
		e.kind = m[1]
		e.revision, _ = strconv.Atoi(m[2])
	}
	return e
}

// clusterIPTrouble says why this host does not reach the API where Felix looks
// for it. Felix itself may be told another address; then this is beside the
// point, and its log says more.
func (f calicoFacts) clusterIPTrouble(ctx context.Context, t Target) (string, error) {
	if f.cluster.err != "" {
		return "", nil
	}
	api, err := t.Cluster(ctx)
	if err != nil {
		return "", err
	}
	service, err := api.Get(ctx, Ref{Kind: "service", APIVersion: "v1", Namespace: "default", Name: "kubernetes"})
	ip := dig[string](service, "spec", "clusterIP")
	if err != nil || net.ParseIP(ip) == nil {
		return "", ctx.Err()
	}
	port := int64(443)
	for _, p := range objectsAt(service, "spec", "ports") {
		port = max(dig[int64](p, "port"), 1)
	}
	address := net.JoinHostPort(ip, strconv.FormatInt(port, 10))
	_, err = t.Fetch(ctx, Request{URL: "tcp://" + address, Timeout: apiWithin, ViaHost: true})
	switch {
	case err == nil:
		return "", nil
	case hostIsLost(ctx, err):
		return "", err
	}
	return fmt.Sprintf("the API's ClusterIP %s does not answer this host: %s", address, err), nil
}

func (s felixState) vars() map[string]any {
	return map[string]any{
		"ready": s.ready, "code": s.code, "health": s.health, "status": s.status, "started": s.started, "container_started": s.containerStarted,
		"pid": s.pid, "synced": s.synced, "errors": s.errors, "last_error": s.lastError, "log_error": s.logError,
	}
}

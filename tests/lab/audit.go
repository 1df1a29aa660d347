//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// auditPolicy keeps what a rolling upgrade does to a cluster, what would give it
// away if it did more, and what kubelets say of their nodes, which is what it has
// to wait for. Heartbeats of nodes are leases of another namespace.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:apiserver"]}
- {level: None, verbs: [get, list, watch]}
- {level: Request, resources: [{group: "", resources: [nodes, nodes/status, pods/eviction]}]}
- {level: Request, verbs: [delete, deletecollection], resources: [{group: "", resources: [pods]}]}
- {level: Request, namespaces: [kube-system], resources: [{group: coordination.k8s.io, resources: [leases]}]}
- {level: None}
`

// AuditEvent is one request that would change a node, a pod's life or a lock.
type AuditEvent struct {
	Received, Answered time.Time
	Verb               string // create, update, patch, delete, deletecollection
	Resource           string // nodes, pods, leases
	Subresource        string // eviction, status; empty: the object itself
	Namespace, Name    string // of a create the API server itself may have to choose the name: it is empty then
	User, UserAgent    string
	Request            json.RawMessage // what was sent: an object, a patch, or the options of a delete
	DryRun             bool            // nothing was to be done: it was only asked
	Code               int             // of the response
}

// AuditLog is the path of the API server's own record of such requests, one
// JSON object a line. Only a stacked lab has it.
func (l *Lab) AuditLog() string { return l.Path("logs", "audit.jsonl") }

func (l *Lab) auditFlags() ([]string, error) {
	if !l.Stacked {
		return nil, nil
	}
	policy := l.Path("audit-policy.yaml")
	// The log is written before a request is answered: who has the answer finds the event.
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + l.AuditLog(), "--audit-log-mode=blocking"},
		os.WriteFile(policy, []byte(auditPolicy), 0o644)
}

// Audit reads the audit log, in the order in which the requests came in.
func (l *Lab) Audit(ctx context.Context) ([]AuditEvent, error) {
	if !l.Stacked {
		return nil, errors.New("only a stacked lab has an audit log")
	}
	data, err := os.ReadFile(l.AuditLog())
	if err != nil {
		return nil, err
	}
	events, err := parseAudit(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.AuditLog(), err)
	}
	return events, ctx.Err()
}

func parseAudit(log []byte) ([]AuditEvent, error) {
	var events []AuditEvent
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(log, []byte("\n"))
		if !whole {
			break // the last line is still being written
		}
		log = rest
		var e struct {
			Verb, UserAgent, RequestURI              string
			RequestReceivedTimestamp, StageTimestamp time.Time
			User                                     struct{ Username string }
			ObjectRef                                struct{ Resource, Subresource, Namespace, Name string }
			ResponseStatus                           struct{ Code int }
			RequestObject                            json.RawMessage
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		events = append(events, AuditEvent{
			Received: e.RequestReceivedTimestamp, Answered: e.StageTimestamp, Verb: e.Verb,
			Resource: e.ObjectRef.Resource, Subresource: e.ObjectRef.Subresource, Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
			User: e.User.Username, UserAgent: e.UserAgent, Request: e.RequestObject, Code: e.ResponseStatus.Code,
			DryRun: strings.Contains(e.RequestURI, "dryRun=All"),
		})
	}
	slices.SortStableFunc(events, func(a, b AuditEvent) int { return a.Received.Compare(b.Received) })
	return events, nil
}

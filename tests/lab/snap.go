//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"

	"runbook/tests/lab/snapshot"
)

// notState is what a host's filesystem holds that is no state of the host: it
// changes while nobody does anything, or it is not on its disk. The last two are
// apt's index of what it already knows, which a mere question makes.
var notState = []string{
	"proc", "sys", "dev", "run", "tmp", "var/log", "var/lib/containerd", "var/lib/kubelet", "var/lib/etcd", "var/lib/cni", "opt/lab",
	"var/cache/apt/pkgcache.bin", "var/cache/apt/srcpkgcache.bin",
}

// notConfiguration are the kinds of object that the cluster writes by itself.
var notConfiguration = []string{"events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses"}

// Diff says what changed between two snapshots, a line for each difference.
func Diff(before, after snapshot.Snapshot) []string { return snapshot.Diff(before, after) }

// Snapshot says what the lab is made of now: every file that a host has of its
// own, its packages, IP sets and routes, and every object of the cluster. Diff
// compares two of them.
func (l *Lab) Snapshot(ctx context.Context) (snapshot.Snapshot, error) {
	all := snapshot.Snapshot{}
	var mu sync.Mutex
	add := func(part snapshot.Snapshot) {
		mu.Lock()
		defer mu.Unlock()
		for name, is := range part {
			all[name] = is
		}
	}
	err := l.eachHost(ctx, func(ctx context.Context, h Host) error {
		part, err := l.hostSnapshot(ctx, h)
		add(part)
		return err
	})
	if err != nil {
		return nil, err
	}
	objects, err := l.clusterSnapshot(ctx)
	add(objects)
	return all, err
}

// hostSnapshot reads the host's own layer: all that it shares with the others
// cannot be written.
func (l *Lab) hostSnapshot(ctx context.Context, h Host) (snapshot.Snapshot, error) {
	s := snapshot.Snapshot{}
	skip := func(path string) bool { return snapshot.Below(path, notState...) }
	if err := s.AddLayer(h.Name, l.Path("hosts", h.Name, "upper"), l.tree(), skip); err != nil {
		return nil, err
	}
	packages, err := l.in(ctx, h, "dpkg-query --show")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(packages) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), "\t")
		s[h.Name+" package "+name] = version
	}
	sets, err := l.newIpset(ctx, h, "", "save", "-sorted")
	if err != nil {
		return nil, err
	}
	routes, err := l.in(ctx, h, "ip route")
	s[h.Name+" ipset save"] = withoutCopies(sets)
	s[h.Name+" ip route"] = routes
	return s, err
}

// withoutCopies leaves out the copies that a creator of sets is about to swap in.
func withoutCopies(saved string) string {
	var b strings.Builder
	for line := range strings.Lines(saved) {
		if !strings.HasPrefix(line, "create TMP-") && !strings.HasPrefix(line, "add TMP-") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// newIpset runs ipset 7.17 on a host, whatever ipset the host has.
func (l *Lab) newIpset(ctx context.Context, h Host, stdin string, args ...string) (string, error) {
	r, err := l.process1(h.Name)
	if err != nil {
		return "", err
	}
	in := []string{"--target", fmt.Sprint(r.PID), "--net", "chroot", l.Parts.Base, "ipset"}
	cmd := exec.CommandContext(ctx, "nsenter", append(in, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: ipset %s: %w: %s", h.Name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (l *Lab) clusterSnapshot(ctx context.Context) (snapshot.Snapshot, error) {
	kinds, err := l.Kube(ctx, "api-resources", "--verbs=list", "--output=name")
	if err != nil {
		return nil, err
	}
	var wanted []string
	for kind := range strings.FieldsSeq(kinds) {
		if !snapshot.Below(kind, notConfiguration...) {
			wanted = append(wanted, kind)
		}
	}
	out, err := l.Kube(ctx, "get", strings.Join(wanted, ","), "--all-namespaces", "--output=json")
	if err != nil {
		return nil, err
	}
	return parseObjects(out)
}

// parseObjects describes each object by its uid and resourceVersion. A node's
// kubelet writes its status all the time, so a node counts with what others
// write: labels, annotations and spec.
func parseObjects(list string) (snapshot.Snapshot, error) {
	var objects struct {
		Items []struct {
			Kind     string
			Metadata struct {
				Namespace, Name, UID, ResourceVersion string
				Labels, Annotations                   map[string]string
			}
			Spec json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(list), &objects); err != nil {
		return nil, err
	}
	s := snapshot.Snapshot{}
	for _, o := range objects.Items {
		is := o.Metadata.UID + " version " + o.Metadata.ResourceVersion
		if o.Kind == "Node" {
			config, err := json.Marshal([]any{o.Metadata.Labels, o.Metadata.Annotations, o.Spec})
			if err != nil {
				return nil, err
			}
			is = o.Metadata.UID + " configuration " + snapshot.Digest(string(config))
		}
		s[fmt.Sprintf("cluster %s %s/%s", o.Kind, o.Metadata.Namespace, o.Metadata.Name)] = is
	}
	return s, nil
}

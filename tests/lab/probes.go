//go:build linux

package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// probeWithin bounds one probe: a cluster that works answers in a fraction of it.
	probeWithin = 8 * time.Second
	apiName     = "keybuzz-api.keybuzz.svc.cluster.local."
)

// Probe is one thing that was looked at.
type Probe struct {
	Name string
	Err  error // nil: it works
}

// Report is what all probes found, always in the same order.
type Report struct {
	Probes             []Probe
	CalicoReady, Nodes int
}

// Failed are the probes that found a fault.
func (r Report) Failed() []Probe {
	var out []Probe
	for _, p := range r.Probes {
		if p.Err != nil {
			out = append(out, p)
		}
	}
	return out
}

// Healthy says whether everything works.
func (r Report) Healthy() bool { return len(r.Probes) > 0 && len(r.Failed()) == 0 }

func (r Report) String() string {
	var b strings.Builder
	for _, p := range r.Probes {
		if p.Err != nil {
			fmt.Fprintf(&b, "FAIL  %s: %v\n", p.Name, p.Err)
		} else {
			fmt.Fprintf(&b, "ok    %s\n", p.Name)
		}
	}
	return b.String()
}

// probe is a Probe that has not been looked at yet.
type probe struct {
	name string
	look func(context.Context) error
}

// Probes looks at the hosts and the cluster without runbook: ipset on every
// host, calico-node, DNS from a pod on every node, the application's ClusterIP
// from every ingress controller, and both sites. Its error means that it could
// not look.
func (l *Lab) Probes(ctx context.Context) (Report, error) {
	pods, err := l.pods(ctx)
	if err != nil {
		return Report{}, err
	}
	report := Report{Nodes: len(l.net.hosts)}
	for _, p := range pods {
		if p.calico() && p.Ready {
			report.CalicoReady++
		}
	}
	client, err := l.siteClient()
	if err != nil {
		return Report{}, err
	}
	list := l.hostProbes()
	list = append(list, probe{"calico-node ready on every node", func(context.Context) error {
		if report.CalicoReady != report.Nodes {
			return fmt.Errorf("%d of %d", report.CalicoReady, report.Nodes)
		}
		return nil
	}})
	list = append(list, l.podProbes(pods)...)
	for _, url := range l.URLs() {
		list = append(list, probe{"GET " + url, func(ctx context.Context) error { return get(ctx, client, url) }})
	}
	report.Probes = make([]Probe, len(list))
	for i, p := range list {
		report.Probes[i].Name = p.name
	}
	indices := make([]int, len(list))
	for i := range indices {
		indices[i] = i
	}
	_ = inParallel(indices, func(i int) error {
		ctx, cancel := context.WithTimeout(ctx, probeWithin)
		defer cancel()
		report.Probes[i].Err = list[i].look(ctx)
		return nil
	})
	return report, ctx.Err()
}

func (l *Lab) hostProbes() []probe {
	var list []probe
	for _, h := range l.net.hosts {
		list = append(list, probe{"ipset list on " + h.Name, func(ctx context.Context) error {
			_, err := l.in(ctx, h, "ipset list >/dev/null")
			return err
		}})
	}
	return list
}

func (l *Lab) podProbes(pods []pod) []probe {
	pods = slices.Clone(pods)
	slices.SortStableFunc(pods, func(a, b pod) int { return strings.Compare(a.Node, b.Node) })
	var list []probe
	for _, p := range pods {
		switch {
		case p.probe():
			list = append(list, probe{"DNS from a pod on " + p.Node, func(ctx context.Context) error {
				_, err := l.Kube(ctx, "exec", "-n", p.Namespace, p.Name, "--", "nslookup", "-type=a", apiName, dnsServiceIP)
				return err
			}})
		case p.ingress():
			list = append(list, probe{"ClusterIP from the ingress controller on " + p.Node, func(ctx context.Context) error {
				return l.clusterIP(ctx, p)
			}})
		}
	}
	return list
}

func (l *Lab) clusterIP(ctx context.Context, p pod) error {
	ip, err := l.Kube(ctx, "get", "service", "-n", "keybuzz", "keybuzz-api", "--output=jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	_, err = l.Kube(ctx, "exec", "-n", p.Namespace, p.Name, "--", "curl", "--silent", "--show-error", "--fail",
		"--max-time", "3", "--output", "/dev/null", "http://"+ip+":8080/health")
	return err
}

// siteClient trusts the lab's authority and nothing else.
func (l *Lab) siteClient() (*http.Client, error) {
	pem, err := os.ReadFile(l.CA())
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", l.CA())
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}, nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, 200 is wanted", resp.StatusCode)
	}
	return nil
}

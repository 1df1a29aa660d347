//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"runbook/tests/lab/hostspec"
	"runbook/tests/lab/pki"
)

const (
	etcdData = "/var/lib/etcd"
	// etcdPKI is where kubeadm puts what etcd and its clients need.
	etcdPKI = "/etc/kubernetes/pki/etcd"
	// etcdStopped exists in a host while its etcd is not to run.
	etcdStopped = "/run/lab/etcd-stopped"
	// etcdWithin is how long the members may take to find each other, and
	// etcdAnswers how long one answer may take.
	etcdWithin  = time.Minute
	etcdAnswers = time.Second
)

// hasEtcd says whether the host runs a member of etcd.
func (l *Lab) hasEtcd(h Host) bool { return l.Stacked && h.Role == ControlPlane }

// etcdService is kubeadm's static pod of etcd, as a service of the host.
func (l *Lab) etcdService(h Host) hostspec.Service {
	var members []string
	for _, m := range l.net.withRole(ControlPlane) {
		members = append(members, fmt.Sprintf("%s=https://%s:2380", m.Name, m.Address))
	}
	client, peer := "https://"+h.Address+":2379", "https://"+h.Address+":2380"
	return hostspec.Service{Name: "etcd", Until: etcdStopped, Args: []string{
		"/usr/bin/etcd", "--name=" + h.Name, "--data-dir=" + etcdData, "--logger=zap",
		"--advertise-client-urls=" + client, "--listen-client-urls=https://127.0.0.1:2379," + client,
		"--initial-advertise-peer-urls=" + peer, "--listen-peer-urls=" + peer,
		"--initial-cluster=" + strings.Join(members, ","), "--initial-cluster-state=new",
		"--listen-metrics-urls=http://127.0.0.1:2381,http://" + h.Address + ":2381",
		"--client-cert-auth=true", "--trusted-ca-file=" + etcdPKI + "/ca.crt",
		"--cert-file=" + etcdPKI + "/server.crt", "--key-file=" + etcdPKI + "/server.key",
		"--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + etcdPKI + "/ca.crt",
		"--peer-cert-file=" + etcdPKI + "/peer.crt", "--peer-key-file=" + etcdPKI + "/peer.key",
	}}
}

// etcdFiles are the certificates of the host's member, under kubeadm's names.
func (l *Lab) etcdFiles(h Host) ([]file, error) {
	if !l.hasEtcd(h) {
		return nil, nil
	}
	files := []file{{etcdPKI[1:] + "/ca.crt", 0o644, l.etcdCA.CertPEM}}
	server := pki.Subject{Name: h.Name, Hosts: []string{h.Name, "localhost", h.Address, "127.0.0.1"}}
	for name, subject := range map[string]pki.Subject{
		"server": server, "peer": server, "healthcheck-client": {Name: "kube-etcd-healthcheck-client"},
	} {
		pair, err := l.etcdCA.Issue(subject)
		if err != nil {
			return nil, err
		}
		files = append(files, file{etcdPKI[1:] + "/" + name + ".crt", 0o644, pair.CertPEM}, file{etcdPKI[1:] + "/" + name + ".key", 0o600, pair.KeyPEM})
	}
	return files, nil
}

// makeEtcdPKI makes the authority of etcd, and what the API server shows it.
func (l *Lab) makeEtcdPKI() (err error) {
	if l.etcdCA, err = pki.NewCA("etcd-ca"); err != nil {
		return err
	}
	pair, err := l.etcdCA.Issue(pki.Subject{Name: "kube-apiserver-etcd-client"})
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"etcd-ca.crt": l.etcdCA.CertPEM, "apiserver-etcd-client.crt": pair.CertPEM, "apiserver-etcd-client.key": pair.KeyPEM,
	} {
		if err := os.WriteFile(l.Path("pki", name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// etcdUp starts etcd, or waits for the one that the hosts run, and returns how
// the API server reaches it.
func (l *Lab) etcdUp(ctx context.Context) (flags []string, err error) {
	if !l.Stacked {
		url := fmt.Sprintf("http://%s:12379", l.net.gateway)
		return []string{"--etcd-servers=" + url}, l.daemon("etcd", exec.Command("etcd", "--data-dir="+l.Path("etcd"), "--logger=zap",
			"--listen-client-urls="+url, "--advertise-client-urls="+url, "--listen-peer-urls="+fmt.Sprintf("http://%s:12380", l.net.gateway)))
	}
	var urls []string
	for _, h := range l.net.withRole(ControlPlane) {
		urls = append(urls, "https://"+h.Address+":2379")
		if err := l.awaitEtcd(ctx, h); err != nil {
			return nil, err
		}
	}
	return []string{
		"--etcd-servers=" + strings.Join(urls, ","), "--etcd-cafile=" + l.Path("pki", "etcd-ca.crt"),
		"--etcd-certfile=" + l.Path("pki", "apiserver-etcd-client.crt"), "--etcd-keyfile=" + l.Path("pki", "apiserver-etcd-client.key"),
	}, nil
}

// awaitEtcd returns when the host's member answers requests, which it does only
// as one of a majority.
func (l *Lab) awaitEtcd(ctx context.Context, h Host) error {
	return poll(ctx, etcdWithin, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, etcdAnswers)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.Address+":2381/health", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var said struct{ Health string }
		if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
			return err
		}
		if said.Health != "true" {
			return fmt.Errorf("%s: etcd is not healthy: %q", h.Name, said.Health)
		}
		return nil
	})
}

// StopEtcd ends the etcd of one host and keeps it from starting, until StartEtcd
// or the host's next boot.
func (l *Lab) StopEtcd(ctx context.Context, host string) error {
	h, err := l.etcdHost(host)
	if err != nil {
		return err
	}
	_, err = l.in(ctx, h, ": >"+etcdStopped+`
pkill -x etcd || true
for i in $(seq 100); do pgrep -x etcd >/dev/null || exit 0; sleep 0.1; done
echo "etcd does not end"; exit 1`)
	return err
}

// StartEtcd lets the etcd of a host run again and returns when it serves.
func (l *Lab) StartEtcd(ctx context.Context, host string) error {
	h, err := l.etcdHost(host)
	if err != nil {
		return err
	}
	if _, err := l.in(ctx, h, "rm -f "+etcdStopped); err != nil {
		return err
	}
	return l.awaitEtcd(ctx, h)
}

func (l *Lab) etcdHost(host string) (Host, error) {
	h, err := l.Host(host)
	if err == nil && !l.hasEtcd(h) {
		err = fmt.Errorf("%s runs no etcd: the hosts of a stacked lab's control plane do", host)
	}
	return h, err
}

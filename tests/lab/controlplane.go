//go:build linux

package lab

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"runbook/tests/lab/pki"
)

const (
	apiPort = "16443"
	// apiWithin is how long the API server may take: it needs three seconds.
	apiWithin = time.Minute
	// nodeGrace lets a host whose cable is pulled show as NotReady after 20 s, not
	// after 50.
	nodeGrace = 20 * time.Second
)

// siteNames are the names of the two sites, one per ingress host.
var siteNames = []string{"keybuzz.lab", "api.keybuzz.lab"}

// makePKI makes the lab's authority and everything it signs.
func (l *Lab) makePKI() error {
	ca, err := pki.NewCA("runbook lab")
	if err != nil {
		return err
	}
	l.ca = ca
	if l.Stacked {
		if err := l.makeEtcdPKI(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(l.CA(), ca.CertPEM, 0o644); err != nil {
		return err
	}
	site := pki.Subject{Name: siteNames[0], Hosts: append([]string(nil), siteNames...)}
	for _, h := range l.net.withRole(Ingress) {
		site.Hosts = append(site.Hosts, h.Address)
	}
	subjects := map[string]pki.Subject{
		"apiserver":       {Name: "kube-apiserver", Hosts: []string{l.net.gateway, apiServiceIP, "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}},
		"service-account": {Name: "service-account"},
		"admin":           {Name: "kubernetes-admin", Groups: []string{"system:masters"}},
		"site":            site,
	}
	for name, s := range subjects {
		pair, err := ca.Issue(s)
		if err != nil {
			return err
		}
		if err := os.WriteFile(l.Path("pki", name+".crt"), pair.CertPEM, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(l.Path("pki", name+".key"), pair.KeyPEM, 0o600); err != nil {
			return err
		}
		if name == "admin" {
			if err := os.WriteFile(l.Kubeconfig(), l.kubeconfig(pair), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) kubeconfig(admin pki.Pair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster: {server: "https://%s:%s", certificate-authority-data: %s}
users:
- name: kubernetes-admin
  user: {client-certificate-data: %s, client-key-data: %s}
contexts:
- name: lab
  context: {cluster: lab, user: kubernetes-admin}
current-context: lab
`, l.net.gateway, apiPort, b64(l.ca.CertPEM), b64(admin.CertPEM), b64(admin.KeyPEM))
}

// controlPlaneUp starts the control plane on this machine, on the bridge's
// address only, and returns when the API server is ready.
func (l *Lab) controlPlaneUp(ctx context.Context) error {
	ip := l.net.gateway
	crt, key := func(n string) string { return l.Path("pki", n+".crt") }, func(n string) string { return l.Path("pki", n+".key") }
	kube := func(name string, args ...string) error {
		return l.daemon(name, exec.Command(filepath.Join(l.Parts.Kube, name), args...))
	}
	etcd, err := l.etcdUp(ctx)
	if err != nil {
		return err
	}
	audit, err := l.auditFlags()
	if err != nil {
		return err
	}
	if err := kube("kube-apiserver", slices.Concat(etcd, audit, []string{
		"--bind-address=" + ip, "--advertise-address=" + ip, "--secure-port=" + apiPort,
		"--tls-cert-file=" + crt("apiserver"), "--tls-private-key-file=" + key("apiserver"), "--client-ca-file=" + l.CA(),
		"--service-account-key-file=" + crt("service-account"), "--service-account-signing-key-file=" + key("service-account"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=" + serviceNetwork,
		"--authorization-mode=RBAC", "--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP",
	})...); err != nil {
		return err
	}
	if err := poll(ctx, apiWithin, func(ctx context.Context) error {
		_, err := l.Kube(ctx, "get", "--raw", "/readyz")
		return err
	}); err != nil {
		return fmt.Errorf("the API server does not get ready: %w (see %s)", err, l.Path("logs", "kube-apiserver.log"))
	}
	if err := kube("kube-controller-manager", "--kubeconfig="+l.Kubeconfig(), "--bind-address="+ip, "--leader-elect=false",
		"--service-account-private-key-file="+key("service-account"), "--root-ca-file="+l.CA(), "--use-service-account-credentials=true",
		"--node-monitor-grace-period="+cmp.Or(l.nodeGrace, nodeGrace).String()); err != nil {
		return err
	}
	return kube("kube-scheduler", "--kubeconfig="+l.Kubeconfig(), "--bind-address="+ip, "--leader-elect=false")
}

func (l *Lab) daemon(name string, cmd *exec.Cmd) error {
	_, err := l.Start(name, cmd)
	return err
}

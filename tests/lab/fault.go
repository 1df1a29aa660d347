//go:build linux

package lab

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// foreignSet is the set that the fault is about. Its name is of the kind that a
	// network policy controller gives: it is not Calico's own.
	foreignSet    = "KUBE-DST-3YNVZWWGX3UQQ4VQ"
	foreignMember = "10.244.4.2"

	// OwnSet is the set of Calico's own that fault B is about: the other ones are
	// of a type that both ipsets make alike.
	OwnSet = "cali40this-host"

	aptPort = "8099"
	// aptWithin is how long the package server may take to read its packages.
	aptWithin = 10 * time.Second
	// containerdWithin is how long a host's containerd may take to answer.
	containerdWithin = 30 * time.Second
)

// IncidentMessage is what ipset says on a host while fault C lasts.
const IncidentMessage = "ipset v7.10: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace."

// serveApt offers the mended packages on the bridge, and the kernels of a
// stacked lab, so that an upgrade is real and needs no way out.
func (l *Lab) serveApt(ctx context.Context) error {
	addr := l.net.gateway + ":" + aptPort
	args := []string{addr, l.Parts.NewDebs}
	if l.Stacked {
		args = append(args, l.Parts.Kernels)
	}
	if err := l.daemon("aptserve", exec.Command(filepath.Join(l.Parts.Programs, "aptserve"), args...)); err != nil {
		return err
	}
	return waitForPort(ctx, addr, aptWithin)
}

func (l *Lab) aptSource() string {
	return fmt.Sprintf("deb [trusted=yes] http://%s:%s ./\n", l.net.gateway, aptPort)
}

// injectFault brings one host into the state that the fault wants, from
// whatever state it is in.
func (l *Lab) injectFault(ctx context.Context, h Host) error {
	if err := l.cutAPI(ctx, h, l.Fault == ClassD); err != nil {
		return err
	}
	if err := l.foreignSet(ctx, h, l.Fault != None && l.Fault != ClassD); err != nil {
		return err
	}
	if l.Fault == ClassB {
		if err := l.bumpOwnSet(ctx, h); err != nil {
			return err
		}
	}
	debs := l.Parts.NewDebs
	if l.Fault == ClassC {
		debs = l.Parts.OldDebs
	}
	return l.installIpset(ctx, h, debs)
}

// cutAPI lets the host drop what its own processes send to the API's ClusterIP,
// or no more. Kubelet and kube-proxy use another address, and what pods send
// does not pass OUTPUT: both go on.
func (l *Lab) cutAPI(ctx context.Context, h Host, cut bool) error {
	rule := "OUTPUT -d " + apiServiceIP + " -p tcp --dport 443 -j DROP"
	script := "while iptables -w -t raw -D " + rule + " 2>/dev/null; do :; done\n"
	if cut {
		script += "iptables -w -t raw -A " + rule + "\n"
	}
	_, err := l.in(ctx, h, script)
	return err
}

// foreignSet makes the set, or takes it away, with ipset 7.17.
func (l *Lab) foreignSet(ctx context.Context, h Host, want bool) error {
	script := fmt.Sprintf("create -exist %[1]s hash:ip\nadd -exist %[1]s %[2]s\n", foreignSet, foreignMember)
	if !want {
		script = "destroy " + foreignSet + "\n"
		names, err := l.in(ctx, h, "ipset list -name")
		if err != nil {
			return err
		}
		if !strings.Contains(names, foreignSet+"\n") {
			return nil
		}
	}
	_, err := l.newIpset(ctx, h, script, "restore")
	return err
}

// bumpOwnSet makes the set of Calico's that shows the fault, as the creator has
// left it before calico-node came: so no agent ever gets in sync.
func (l *Lab) bumpOwnSet(ctx context.Context, h Host) error {
	script := fmt.Sprintf("create -exist %[1]s hash:ip family inet maxelem 1048576\nadd -exist %[1]s %[2]s\n", OwnSet, h.Address)
	_, err := l.newIpset(ctx, h, script, "restore")
	return err
}

// installIpset makes a folder's packages the ones that the host has, by dpkg,
// and lets apt forget what it knew.
func (l *Lab) installIpset(ctx context.Context, h Host, debs string) error {
	paths, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	var names []string
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		name := filepath.Base(p)
		if err := l.WriteFile(h, "/var/tmp/"+name, data, 0o644); err != nil {
			return err
		}
		names = append(names, "/var/tmp/"+name)
	}
	list := strings.Join(names, " ")
	_, err = l.in(ctx, h, "dpkg --force-unsafe-io --install --skip-same-version "+list+"; rm -rf "+list+" /var/lib/apt/lists/*")
	return err
}

// WriteFile writes a file of a running host, outside runbook.
func (l *Lab) WriteFile(h Host, path string, data []byte, mode fs.FileMode) error {
	r, err := l.process1(h.Name)
	if err != nil {
		return err
	}
	at := filepath.Join("/proc", fmt.Sprint(r.PID), "root", path)
	if err := os.WriteFile(at, data, mode); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

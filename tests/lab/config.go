//go:build linux

package lab

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"runbook/tests/lab/parts"
)

// Fault is what is wrong with the cluster.
type Fault string

const (
	// None is a healthy cluster.
	None Fault = "none"
	// ClassC is the fault of the hosts: their ipset 7.10 cannot read a set that
	// 7.17 made, and calico-node uses the host's. Mended by upgrading the hosts.
	ClassC Fault = "c"
	// ClassA is the fault of the image: the ipset inside calico-node cannot read a
	// set that the host's made. Mended by another image only.
	ClassA Fault = "a"
	// ClassB is the fault of somebody else on the hosts: it writes Calico's own
	// sets anew with a newer ipset than the image has, again and again. The sets
	// can be repaired once it has been switched off.
	ClassB Fault = "b"
	// ClassD is no fault of IP sets: Felix does not reach the API at its ClusterIP,
	// because the hosts drop their own packets to it.
	ClassD Fault = "d"
)

// ParseFault reads the name of a fault.
func ParseFault(s string) (Fault, error) {
	switch f := Fault(s); f {
	case None, ClassA, ClassB, ClassC, ClassD:
		return f, nil
	}
	return "", fmt.Errorf("fault %q: a, b, c, d or none is wanted", s)
}

// Install is how Calico came into the cluster.
type Install string

const (
	// Manifest is an install by Calico's manifest, in the namespace kube-system.
	Manifest Install = "manifest"
	// Operator is an install by Calico's operator: in the namespace calico-system,
	// owned by an Installation. The operator itself does not run.
	Operator Install = "operator"
)

// ParseInstall reads the name of an install.
func ParseInstall(s string) (Install, error) {
	switch i := Install(s); i {
	case Manifest, Operator:
		return i, nil
	}
	return "", fmt.Errorf("install %q: manifest or operator is wanted", s)
}

// Config says what kind of lab to bring up. The zero value is the incident:
// class C in the incident's own network.
type Config struct {
	Fault   Fault     // empty: ClassC, or None of a stacked lab
	Install Install   // empty: Manifest
	Subnet  string    // a /16; empty: $RUNBOOK_LAB_SUBNET or DefaultSubnet
	Cache   string    // where parts are kept; empty: $RUNBOOK_LAB_CACHE or the user's cache folder
	State   string    // where the running lab lives; empty: $RUNBOOK_LAB_STATE or /var/lib/runbook-lab
	Log     io.Writer // progress; nil: none

	// Stacked is a cluster as kubeadm makes it that can be upgraded host by host:
	// the control plane's hosts run an etcd of three members, all hosts boot
	// kernels of their own, and there are workloads that must not notice.
	Stacked bool
}

func (c Config) withDefaults() (Config, error) {
	if c.Stacked {
		c.Fault = cmp.Or(c.Fault, None)
	}
	c.Fault = cmp.Or(c.Fault, ClassC)
	c.Install = cmp.Or(c.Install, Manifest)
	c.Subnet = cmp.Or(c.Subnet, os.Getenv("RUNBOOK_LAB_SUBNET"), DefaultSubnet)
	c.State = cmp.Or(c.State, os.Getenv("RUNBOOK_LAB_STATE"), "/var/lib/runbook-lab")
	c.Cache = cmp.Or(c.Cache, os.Getenv("RUNBOOK_LAB_CACHE"))
	if c.Log == nil {
		c.Log = io.Discard
	}
	if c.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return c, fmt.Errorf("%w: set RUNBOOK_LAB_CACHE to a folder", err)
		}
		c.Cache = filepath.Join(dir, "runbook-lab")
	}
	if _, err := ParseFault(string(c.Fault)); err != nil {
		return c, err
	}
	_, err := ParseInstall(string(c.Install))
	return c, err
}

func (c Config) parts(ctx context.Context) (parts.Parts, error) {
	return parts.Cache{Dir: c.Cache, Log: c.Log, Stacked: c.Stacked}.Make(ctx)
}

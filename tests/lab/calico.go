//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"runbook/tests/lab/kubectl"
	"runbook/tests/lab/parts"
)

const (
	manifestNamespace = "kube-system"
	operatorNamespace = "calico-system"
	// workloadsWithin is how long workloads may take to go: their pods get no grace.
	workloadsWithin = time.Minute
)

// CalicoNamespace is where calico-node and calico-kube-controllers are.
func (l *Lab) CalicoNamespace() string {
	if l.Install == Operator {
		return operatorNamespace
	}
	return manifestNamespace
}

// CalicoManifest is all that one version of Calico wants of the cluster, as a
// manifest that `kubectl apply` takes: CRDs, DaemonSet and Deployment. The
// objects of those kinds are not part of it, as they are not of Calico's own.
func (l *Lab) CalicoManifest(version string) ([]byte, error) {
	if !slices.Contains(parts.CalicoVersions, version) {
		return nil, fmt.Errorf("Calico %q: the lab has images of %s", version, strings.Join(parts.CalicoVersions, ", "))
	}
	v, err := l.values()
	if err != nil {
		return nil, err
	}
	return render(v.of(version), "calico-crds.yaml", "calico.yaml")
}

// of fills in what differs between versions of Calico.
func (v values) of(version string) values {
	v.NodeImage, v.CNIImage, v.ControllersImage = parts.CalicoImages(version)
	v.ExcludeCIDRs = version == "v3.27.5"
	return v
}

// calicoVersion is the one that the fault is about.
func (l *Lab) calicoVersion() string {
	if l.Fault == ClassB {
		return "v3.27.5"
	}
	return "v3.27.0"
}

// calicoUp puts Calico into the cluster: as its manifest does, or as its
// operator does, which owns what it has made.
func (l *Lab) calicoUp(ctx context.Context) error {
	names := []string{"calico-crds.yaml", "calico.yaml"}
	if l.Fault == ClassB {
		names = append(names, "kube-router.yaml")
	}
	if l.Install != Operator {
		return l.apply(ctx, names...)
	}
	if err := l.apply(ctx, "operator.yaml"); err != nil {
		return err
	}
	if err := l.established(ctx, "installations.operator.tigera.io"); err != nil {
		return err
	}
	if err := l.apply(ctx, "installation.yaml"); err != nil {
		return err
	}
	return l.apply(ctx, names...)
}

// calicoObjects makes the objects of Calico's kinds what they are on a fresh
// cluster, and no others. The kinds must have been applied.
func (l *Lab) calicoObjects(ctx context.Context) error {
	kinds := []string{"felixconfigurations", "ippools", "globalnetworkpolicies"}
	for i := range kinds {
		kinds[i] += ".crd.projectcalico.org"
	}
	if err := l.established(ctx, kinds...); err != nil {
		return err
	}
	if _, err := l.Kube(ctx, "delete", strings.Join(kinds, ","), "--all"); err != nil {
		return err
	}
	return l.apply(ctx, "calico-objects.yaml")
}

// established waits until the API serves kinds that have been applied.
func (l *Lab) established(ctx context.Context, kinds ...string) error {
	args := []string{"wait", "--for=condition=established", "--timeout=" + kubectl.Within}
	for _, kind := range kinds {
		args = append(args, "crd/"+kind)
	}
	_, err := l.Kube(ctx, args...)
	return err
}

// calicoDown takes Calico's workloads away, of either install, and the creator
// of sets; with the operator's install goes all that only that has.
func (l *Lab) calicoDown(ctx context.Context) error {
	const calico, controllers = "daemonset/calico-node", "deployment/calico-kube-controllers"
	workloads := map[string][]string{
		manifestNamespace: {calico, controllers, "daemonset/" + creator},
		operatorNamespace: {calico, controllers},
	}
	if err := inParallel([]string{manifestNamespace, operatorNamespace}, func(namespace string) error {
		args := append([]string{"delete", "-n", namespace, "--ignore-not-found", "--cascade=foreground", "--timeout=" + workloadsWithin.String()}, workloads[namespace]...)
		_, err := l.Kube(ctx, args...)
		return err
	}); err != nil || l.Install == Operator {
		return err
	}
	_, err := l.Kube(ctx, "delete", "--ignore-not-found", "--timeout="+workloadsWithin.String(), "crd/installations.operator.tigera.io", "namespace/"+operatorNamespace)
	return err
}

// ownerUID is the uid of the Installation that owns an operator's workloads.
func (l *Lab) ownerUID(ctx context.Context) (string, error) {
	return l.Kube(ctx, "get", "installations.operator.tigera.io", "default", "--output=jsonpath={.metadata.uid}")
}

// render fills in manifests.
func render(v values, names ...string) ([]byte, error) {
	var all bytes.Buffer
	for _, name := range names {
		all.WriteString("---\n")
		if err := manifests.ExecuteTemplate(&all, name, v); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}

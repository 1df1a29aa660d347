//go:build linux

package incident

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

const (
	intervalPlaybook = "playbooks/calico-refresh-interval.yaml"
	versionPlaybook  = "playbooks/calico-version.yaml"
)

// read is what kubectl prints of the cluster.
func (o Operator) read(t *testing.T, args ...string) string {
	t.Helper()
	out, err := o.Lab.Kube(t.Context(), args...)
	require.NoError(t, err)
	return out
}

// felixConfiguration is the object's spec and annotations.
func (o Operator) felixConfiguration(t *testing.T) string {
	t.Helper()
	var felix struct {
		Metadata struct{ Annotations map[string]string }
		Spec     map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(o.read(t, "get", "felixconfigurations/default", "--output=json")), &felix))
	text, err := json.Marshal([]any{felix.Metadata.Annotations, felix.Spec})
	require.NoError(t, err)
	return string(text)
}

// changes is how much a run changed on all hosts.
func changes(t *testing.T, out Outcome) int {
	t.Helper()
	sum := 0
	for host, counts := range recap(t, out.Stdout) {
		n := 0
		_, err := fmt.Sscan(counts["changed"], &n)
		require.NoError(t, err, host)
		sum += n
	}
	return sum
}

// The page's second solution: what it changes is known, can be undone, and is
// not taken for a cure.
func TestTheRefreshIntervalIsSetAndPutBack(t *testing.T) {
	o := faulty(t, lab.None)
	before := o.felixConfiguration(t)

	out := o.call(t, "apply", "--yes", intervalPlaybook)
	require.Equal(t, 0, out.Code)
	require.Equal(t, 1, changes(t, out))
	require.Contains(t, out.Stdout, "cures nothing")
	require.Contains(t, o.felixConfiguration(t), `"ipsetsRefreshInterval":"0s"`)
	set := o.felixConfiguration(t)
	require.Zero(t, changes(t, o.call(t, "apply", "--yes", intervalPlaybook)))
	require.Equal(t, set, o.felixConfiguration(t))

	// The page's field: kubectl says that it is well, and nothing has happened.
	o.read(t, "patch", "felixconfigurations/default", "--type=merge", "--patch", `{"spec":{"ipSetRefreshInterval":"0s"}}`)
	require.Equal(t, set, o.felixConfiguration(t))
	for _, wrong := range []string{"field=ipSetRefreshInterval", "interval=ninety"} {
		out = o.call(t, "apply", "--yes", intervalPlaybook, "-e", wrong)
		require.Equal(t, 2, out.Code, wrong)
		require.Equal(t, set, o.felixConfiguration(t), wrong)
	}

	// Another value keeps the first one of all, and that is put back.
	require.Equal(t, 1, changes(t, o.call(t, "apply", "--yes", intervalPlaybook, "-e", "interval=30s")))
	require.Equal(t, 1, changes(t, o.call(t, "apply", "--yes", intervalPlaybook, "-e", "restore=true")))
	require.Equal(t, strings.ReplaceAll(before, "null", "{}"), strings.ReplaceAll(o.felixConfiguration(t), "null", "{}"))
	require.Zero(t, changes(t, o.call(t, "apply", "--yes", intervalPlaybook, "-e", "restore=true")))
}

// manifestOf is the lab's Calico at a version, as a file.
func (o Operator) manifestOf(t *testing.T, version string) string {
	t.Helper()
	text, err := o.Lab.CalicoManifest(version)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "calico-"+version+".yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// move is a run of calico-version with variables.
func (o Operator) move(t *testing.T, verb string, vars map[string]any) Outcome {
	t.Helper()
	text, err := json.Marshal(vars)
	require.NoError(t, err)
	args := []string{verb, versionPlaybook, "-e", string(text)}
	if verb == "apply" {
		args = append(args, "--yes")
	}
	return o.call(t, args...)
}

// calico is every object that a change of version may touch.
func (o Operator) calico(t *testing.T) string {
	t.Helper()
	return o.read(t, "get", "daemonsets,deployments,configmaps,felixconfigurations,ippools,globalnetworkpolicies", "--all-namespaces",
		"--output=jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.data} {.metadata.uid}{\"\\n\"}{end}")
}

// The page's third solution, as it really is: refused wherever it would harm or
// could not help, and otherwise a cure.
func TestAnotherVersionCuresClassA(t *testing.T) {
	o := faulty(t, lab.ClassA)
	require.False(t, o.probes(t).Healthy())
	kept, mended := filepath.Join(t.TempDir(), "kept"), o.manifestOf(t, "v3.27.5")
	text, err := os.ReadFile(mended)
	require.NoError(t, err)
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(mended))))
	defer server.Close()
	url := server.URL + "/" + filepath.Base(mended)
	o.refusals(t, mended, string(text), url, kept)

	was := o.calico(t)
	vars := map[string]any{"manifest_url": url, "manifest_digest": fmt.Sprintf("sha256:%x", sha256.Sum256(text)), "backup": kept, "rollout_timeout": 120}
	plan := o.move(t, "plan", vars)
	require.Equal(t, 0, plan.Code)
	require.Contains(t, plan.Stdout, "containers[calico-node].image: docker.io/calico/node:v3.27.0 -> docker.io/calico/node:v3.27.5")
	require.Equal(t, was, o.calico(t), "a plan changes nothing")
	require.NoDirExists(t, kept)

	out := o.move(t, "apply", vars)
	require.Equal(t, 0, out.Code)
	require.True(t, o.probes(t).Healthy())
	o.backedUp(t, kept, "v3.27.0")

	is := o.calico(t)
	out = o.move(t, "apply", vars)
	require.Equal(t, 0, out.Code)
	require.Zero(t, changes(t, out), "a second run changes nothing")
	require.Equal(t, is, o.calico(t))
}

// refusals are those that come before anything is changed, or kept.
func (o Operator) refusals(t *testing.T, mended, text, url, kept string) {
	t.Helper()
	dir := t.TempDir()
	elsewhere, part := filepath.Join(dir, "elsewhere.yaml"), filepath.Join(dir, "part.yaml")
	require.NoError(t, os.WriteFile(elsewhere, []byte(strings.ReplaceAll(text, "namespace: kube-system", "namespace: default")), 0o600))
	at := strings.Index(text, "apiVersion: apps/v1\nkind: DaemonSet")
	require.Positive(t, at)
	require.NoError(t, os.WriteFile(part, []byte(text[at:]), 0o600))

	was := o.calico(t)
	for name, c := range map[string]struct {
		vars map[string]any
		want string
	}{
		"the page's delete":  {map[string]any{"manifest": mended, "method": "delete"}, "deletes its CRDs"},
		"the page's version": {map[string]any{"manifest": o.manifestOf(t, "v3.26.5")}, "v3.26.5 is refused, it has the same fault"},
		"another manifest":   {map[string]any{"manifest_url": url, "manifest_digest": "sha256:" + strings.Repeat("0", 64)}, "read it before you take that digest"},
		"no digest":          {map[string]any{"manifest_url": url}, "url takes digest"},
		"another namespace":  {map[string]any{"manifest": elsewhere}, "there would be two"},
		"a part":             {map[string]any{"manifest": part}, "which the cluster has"},
		"nothing to apply":   {map[string]any{}, "give the manifest"},
		"no such file":       {map[string]any{"manifest": filepath.Join(dir, "none.yaml")}, "none.yaml"},
	} {
		c.vars["backup"] = kept
		out := o.move(t, "apply", c.vars)
		require.NotEqual(t, 0, out.Code, name)
		require.Contains(t, out.Stdout+out.Stderr, c.want, name)
		require.Equal(t, was, o.calico(t), name)
	}
	require.NoDirExists(t, kept)
}

// backedUp holds the one backup to what the cluster had.
func (o Operator) backedUp(t *testing.T, dir, version string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "calico-"+version+"-*.yaml"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	info, err := os.Stat(found[0])
	require.NoError(t, err)
	require.Equal(t, "-rw-------", info.Mode().String())
	folder, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, "drwx------", folder.Mode().String())
	text, err := os.ReadFile(found[0])
	require.NoError(t, err)
	require.Contains(t, string(text), "docker.io/calico/node:"+version)

	// Every custom kind of Calico and every object of them, by kubectl's own words.
	kinds := strings.Fields(o.read(t, "get", "customresourcedefinitions", "--output=jsonpath={range .items[*]}{.metadata.name} {end}"))
	for _, kind := range kinds {
		if !strings.HasSuffix(kind, "projectcalico.org") && !strings.HasSuffix(kind, "operator.tigera.io") {
			continue
		}
		require.Contains(t, string(text), "\n  name: "+kind+"\n")
		for _, name := range strings.Fields(o.read(t, "get", kind, "--all-namespaces", "--output=jsonpath={range .items[*]}{.metadata.name} {end}")) {
			require.Contains(t, string(text), "\n  name: "+name+"\n", kind)
		}
	}
	// kubectl takes it: as the server sees it, nothing in it is out of order.
	o.read(t, "replace", "--dry-run=server", "--filename="+found[0])
}

// A version that never gets Ready is taken back after one node; the others have
// never noticed. What somebody set by hand is there again too.
func TestABrokenVersionIsRolledBack(t *testing.T) {
	o := faulty(t, lab.None)
	o.read(t, "--namespace=kube-system", "set", "env", "daemonset/calico-node", "--containers=calico-node", "BY_HAND=kept")
	o.read(t, "--namespace=kube-system", "rollout", "status", "daemonset/calico-node", "--timeout=90s")
	template := func() string {
		return o.read(t, "--namespace=kube-system", "get", "daemonset/calico-node", "deployment/calico-kube-controllers", "--output=jsonpath={.items[*].spec.template.spec}")
	}
	before, pods := template(), strings.Split(o.pods(t), "\n")

	out := o.move(t, "apply", map[string]any{"manifest": o.manifestOf(t, "v3.27.4"), "backup": filepath.Join(t.TempDir(), "kept"), "rollout_timeout": 15})
	require.Equal(t, 2, out.Code)
	require.Contains(t, out.Stdout, "v3.27.4 was rolled back")
	require.Contains(t, out.Stdout, "every calico-node is as before")
	require.Equal(t, before, template())
	untouched := 0
	for _, pod := range strings.Split(o.pods(t), "\n") {
		if slices.Contains(pods, pod) {
			untouched++
		}
	}
	require.Equal(t, len(pods)-1, untouched, "of %s", pods)
	require.True(t, o.probes(t).Healthy())
}

// The operator would put its own version back: it is not touched.
func TestAnOperatorsVersionIsNotTouched(t *testing.T) {
	o, err := theLab()
	require.NoError(t, err)
	require.NoError(t, o.Lab.ResetInstall(t.Context(), lab.ClassA, lab.Operator))
	was := o.calico(t)
	out := o.move(t, "apply", map[string]any{"manifest": o.manifestOf(t, "v3.27.5")})
	require.Equal(t, 2, out.Code)
	require.Contains(t, out.Stdout, "move the tigera-operator")
	require.Equal(t, was, o.calico(t))
}

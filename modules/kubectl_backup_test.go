package modules

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const crdsRef = "customresourcedefinition"

func definition(group, plural string) string {
	return fmt.Sprintf("---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s.%s, uid: crd, resourceVersion: '1'}\nspec: {group: %s, names: {kind: Thing, plural: %s}}\n",
		plural, group, group, plural)
}

// backed is a cluster with one kind of group x and one of another group.
func backed(version string) *fakeCluster {
	return &fakeCluster{
		lists: map[string]string{
			crdsRef:                      definition("x", "things") + definition("y", "others"),
			"things.x in all namespaces": "apiVersion: x/v1\nkind: Thing\nmetadata: {name: t, uid: u1, resourceVersion: '" + version + "', managedFields: [{manager: m}]}\nspec: {cidr: 10.0.0.0/8}\nstatus: {seen: 1}",
		},
		objects: map[string]string{agentRef: agent("i:1", "n:1", ""), "configmap/none in namespace ns": ""},
	}
}

func backup() *kubectl {
	return &kubectl{Backup: "/root/kept/calico", Groups: []string{"x"}, Objects: []string{"daemonset/agent", "configmap/none"}, Namespace: "ns"}
}

// answering is a target without any of the files that a test has not named.
func answering(c Cluster, files ...string) *fake {
	f := &fake{cluster: c, files: map[string]File{}}
	for _, name := range files {
		f.files[name] = File{Exists: true}
	}
	return f
}

// firstBackup is what is written where nothing has been kept yet.
func firstBackup(t *testing.T, c Cluster) (*kubectl, Write) {
	t.Helper()
	k, target := backup(), answering(c)
	require.NoError(t, k.Validate())
	// The name is only known after the first look, which asks for the file.
	_, err := k.Check(t.Context(), target)
	require.Error(t, err)
	target.files[target.asked[0]] = File{}
	change := check(t, k, target)
	require.Len(t, change.Steps, 1)
	w := change.Steps[0].(Write)
	assert.Equal(t, w.Path, change.Vars["file"])
	assert.Equal(t, 3, change.Vars["count"])
	return k, w
}

func TestKubectlBackup(t *testing.T) {
	k, w := firstBackup(t, backed("7"))
	assert.Regexp(t, `^/root/kept/calico-[0-9a-f]{12}\.yaml$`, w.Path)
	assert.Equal(t, "-rw-------", w.Mode.String())
	assert.True(t, w.Secret)
	assert.True(t, w.Event)

	kept, err := parseManifest("backup", w.Data)
	require.NoError(t, err)
	var names []string
	for _, o := range kept {
		names = append(names, objectTitle(o))
		for _, field := range []string{"uid", "resourceVersion", "managedFields"} {
			assert.NotContains(t, o["metadata"], field, "kubectl could not create it from this")
		}
		assert.NotContains(t, o, "status")
	}
	assert.Equal(t, []string{"customresourcedefinition things.x", "thing t", "daemonset ns/agent"}, names, "definitions first")
	assert.Equal(t, "10.0.0.0/8", dig[string](kept[1], "spec", "cidr"))

	// While it was written the cluster went on: it is the backup of the first look.
	target := answering(backed("8"), w.Path)
	assert.Empty(t, check(t, k, target).Steps)
	resumed := backup()
	require.NoError(t, resumed.Recall(k.Seen()))
	assert.Empty(t, check(t, resumed, target).Steps)

	// A new run keeps the state of its own time, and the same state only once.
	_, later := firstBackup(t, backed("8"))
	assert.NotEqual(t, w.Path, later.Path)
	assert.Empty(t, check(t, backup(), answering(backed("7"), w.Path)).Steps)
}

func TestKubectlBackupRefuses(t *testing.T) {
	for want, k := range map[string]*kubectl{
		"takes an absolute path":  {Backup: "kept/calico", Groups: []string{"x"}},
		"how the name begins":     {Backup: "/root/kept/", Groups: []string{"x"}},
		"groups or objects":       {Backup: "/root/kept/calico"},
		`"agent" is not KIND/NAM`: {Backup: "/root/kept/calico", Objects: []string{"agent"}},
	} {
		assert.ErrorContains(t, k.Validate(), want)
	}
	cluster := backed("7")
	delete(cluster.lists, "things.x in all namespaces")
	assert.Contains(t, fails(t, backup(), cluster), "unexpected question", "what cannot be read is not left out")
	nothing := &kubectl{Backup: "/root/kept/calico", Groups: []string{"z"}, Objects: []string{"configmap/none"}, Namespace: "ns"}
	assert.Contains(t, fails(t, nothing, backed("7")), "nothing to keep")
}

// Numbers stay numbers: 1e6 in a backup would be refused as an integer.
func TestBackupKeepsNumbers(t *testing.T) {
	text, err := backupText([]Object{{"kind": "Thing", "spec": map[string]any{"blockSize": int64(26000000)}}})
	require.NoError(t, err)
	assert.Contains(t, string(text), "blockSize: 26000000")
}

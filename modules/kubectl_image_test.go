package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// agent is YAML of a daemonset whose template has an init container and two
// containers.
func agent(install, node, more string) string {
	return `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: ns, uid: u, generation: 1` + more + `}
spec:
  template:
    spec:
      initContainers: [{name: install, image: ` + install + `}]
      containers: [{name: node, image: ` + node + `, env: [{name: A, value: b}]}, {name: side, image: s:1}]
`
}

const (
	agentRef  = "daemonset/agent in namespace ns"
	agentLine = "kubectl -n ns set image daemonset/agent "
)

func setImages(images map[string]string) *kubectl {
	return &kubectl{SetImage: "daemonset/agent", Namespace: "ns", Images: images}
}

func TestKubectlSetImage(t *testing.T) {
	line := agentLine + "node=n:2 install=i:2"
	cluster := &fakeCluster{
		objects:  map[string]string{agentRef: agent("i:1", "n:1", "")},
		previews: map[string]string{line: agent("i:2", "n:2", "")},
	}
	k := setImages(map[string]string{"install": "i:2", "node": "n:2", "side": "s:1"})
	c := check(t, k, &fake{cluster: cluster})
	assert.Equal(t, []string{line}, stepLines(c))
	assert.Equal(t, []string{
		"daemonset ns/agent .spec.template.spec.containers[node].image: n:1 -> n:2",
		"daemonset ns/agent .spec.template.spec.initContainers[install].image: i:1 -> i:2",
	}, diffLines(c))
	assert.Equal(t, map[string]any{"install": "i:1", "node": "n:1", "side": "s:1"}, c.Vars["images"])
	assert.Empty(t, c.Notes)
	step := c.Steps[0].(APIStep)
	assert.Equal(t, "strategic", step.PatchType)
	assert.Equal(t, `{"spec":{"template":{"spec":{"containers":[{"image":"n:2","name":"node"}],"initContainers":[{"image":"i:2","name":"install"}]}}}}`,
		oneLineJSON(step.Body), "what has the image already is not touched")

	cluster.objects[agentRef] = agent("i:2", "n:2", "")
	c = check(t, k, &fake{cluster: cluster})
	assert.Empty(t, c.Diffs)
	assert.Empty(t, c.Steps)
	assert.Equal(t, "i:2", c.Vars["images"].(map[string]any)["install"])
}

func TestKubectlSetImageRefuses(t *testing.T) {
	cluster := &fakeCluster{objects: map[string]string{
		agentRef: agent("i:1", "n:1", ""), "configmap/c in namespace ns": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: ns}",
		"daemonset/none in namespace ns": "",
	}}
	// A strategic patch would add a container of this name.
	assert.Equal(t, `images: daemonset ns/agent has no container "nodes"; it has node, side, install`,
		fails(t, setImages(map[string]string{"node": "n:2", "nodes": "n:2"}), cluster))
	images := map[string]string{"node": "n:2"}
	assert.Contains(t, fails(t, &kubectl{SetImage: "configmap/c", Namespace: "ns", Images: images}, cluster), "takes a daemonset, deployment or statefulset")
	assert.Equal(t, "there is no daemonset/none in namespace ns", fails(t, &kubectl{SetImage: "daemonset/none", Namespace: "ns", Images: images}, cluster))

	for want, k := range map[string]*kubectl{
		"does not say which":             {SetImage: "daemonset", Images: images},
		"takes images":                   {SetImage: "daemonset/agent"},
		`the image ""`:                   {SetImage: "daemonset/agent", Images: map[string]string{"node": ""}},
		`the image "n:2 "`:               {SetImage: "daemonset/agent", Images: map[string]string{"node": "n:2 "}},
		`does not take "force"`:          {SetImage: "daemonset/agent", Images: images, Force: true},
		"patch and set_image exclude":    {SetImage: "daemonset/agent", Patch: "daemonset/agent", Images: images},
		`restart does not take "images"`: {Restart: "daemonset/agent", Images: images},
	} {
		assert.ErrorContains(t, k.Validate(), want)
	}
	assert.NoError(t, (&kubectl{SetImage: "daemonset", Name: "agent", Images: images}).Validate())
}

// An operator writes the object anew: that is said before it happens.
func TestKubectlSetImageOfAnOwnedWorkload(t *testing.T) {
	owned := ", ownerReferences: [{apiVersion: operator.tigera.io/v1, kind: Installation, name: default, controller: true}]"
	cluster := &fakeCluster{
		objects:  map[string]string{agentRef: agent("i:1", "n:1", owned)},
		previews: map[string]string{agentLine + "node=n:2": agent("i:1", "n:2", owned)},
	}
	c := check(t, setImages(map[string]string{"node": "n:2"}), &fake{cluster: cluster})
	assert.Equal(t, []string{"daemonset ns/agent belongs to installation default, which may put the old image back; set the version there"}, c.Notes)
}

// Later tasks of a plan see the new image, and none that was there before.
func TestPlanSetImageTwice(t *testing.T) {
	cluster := &fakeCluster{
		objects:  map[string]string{agentRef: agent("i:1", "n:1", "")},
		previews: map[string]string{agentLine + "node=n:2": agent("i:1", "n:2", ""), agentLine + "install=i:2": agent("i:2", "n:2", "")},
	}
	p := newPlanned(t, cluster)
	assert.Len(t, p.then("one", setImages(map[string]string{"node": "n:2"})).Steps, 1)
	assert.Empty(t, p.then("same", setImages(map[string]string{"node": "n:2"})).Steps)
	assert.Equal(t, []string{agentLine + "install=i:2"}, stepLines(p.then("two", setImages(map[string]string{"install": "i:2"}))))
	assert.Contains(t, p.unforeseen(&kubectl{Wait: "daemonset/agent", Namespace: "ns", For: "rollout"}), `which the task "two" changes`)
}

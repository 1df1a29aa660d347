package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newNetMatrix() *netMatrix {
	def, _ := Lookup("net_matrix")
	m := def.New().(*netMatrix)
	m.Namespace, m.Selector, m.Expect = "shop", "app=agent", 3
	return m
}

// matrixCluster has agents; a command in one of them runs here, or gives what
// the test says.
type matrixCluster struct {
	podCluster
	said map[string]Output // by pod
	errs map[string]error  // by pod
}

func (c *matrixCluster) List(_ context.Context, ref Ref) ([]Object, error) {
	if refWords(ref) != "pods with app=agent in namespace shop" {
		return nil, errors.New("unexpected list")
	}
	return c.pods, nil
}

func (c *matrixCluster) Query(ctx context.Context, in PodCommand) (Output, error) {
	if err := c.errs[in.Pod]; err != nil {
		return Output{}, err
	}
	if out, ok := c.said[in.Pod]; ok {
		return out, nil
	}
	return c.podCluster.Query(ctx, in)
}

// netPod is the pod NAME on the node node-NAME with an address.
func netPod(name, ip string) Object {
	return Object{
		"metadata": map[string]any{"namespace": "shop", "name": name},
		"spec":     map[string]any{"nodeName": "node-" + name, "containers": []any{map[string]any{"name": "agent"}}},
		"status":   map[string]any{"phase": "Running", "podIP": ip},
	}
}

// allOf says that every request of an agent, two for each of two peers, was
// answered.
const allOf = "0 code 0 bytes 64\n3 code 0 bytes 65536\n2 code 0 bytes 64\n1 code 0 bytes 65536\n"

var threeAgents = []Object{netPod("a", "10.1.0.1"), netPod("b", "10.2.0.1"), netPod("c", "10.3.0.1")}

// withThird is three agents, of which the third differs.
func withThird(path string, value any) []Object {
	pod := netPod("c", "10.3.0.1")
	section, field, _ := strings.Cut(path, ".")
	pod[section].(map[string]any)[field] = value
	return []Object{threeAgents[0], threeAgents[1], pod}
}

var matrixCases = map[string]struct {
	pods   []Object
	said   string // by a, where it is not all of it
	code   int
	err    error // of a
	change func(*netMatrix)
	have   []string
	fails  string
	pairs  int
	ok     int
}{
	"as asked":             {pairs: 6, ok: 6},
	"a large answer stays": {said: "0 code 0 bytes 64\n1 code 143 bytes 1400\n2 code 0 bytes 64\n3 code 0 bytes 65536\n", have: []string{"65536 bytes from node-a to node-b (10.2.0.1): no answer within 5s; 1400 bytes came -> 65536 bytes"}, pairs: 6, ok: 5},
	"a wrong size":         {said: strings.Replace(allOf, "0 code 0 bytes 64", "0 code 0 bytes 9", 1), have: []string{"64 bytes from node-a to node-b (10.2.0.1): 9 bytes -> 64 bytes"}, pairs: 6, ok: 5},
	"refused":              {said: strings.Replace(allOf, "2 code 0 bytes 64", "2 wget: can't connect: Connection refused code 1 bytes 0", 1), have: []string{"64 bytes from node-a to node-c (10.3.0.1): wget: can't connect: Connection refused; 0 bytes came -> 64 bytes"}, pairs: 6, ok: 5},
	"a line is missing":    {said: "9 code 0 bytes 64\n0 code 0 bytes 64\n1 code 0 bytes 65536\n2 code 0 bytes 64\n", have: []string{"65536 bytes from node-a to node-c (10.3.0.1): no answer was told -> 65536 bytes"}, pairs: 6, ok: 5},
	"an agent is lost": {err: errors.New("no route"), change: func(m *netMatrix) { m.Sizes = []int{64} }, have: []string{
		"64 bytes from node-a to node-b (10.2.0.1): no command can be run in a on node-a: no route -> 64 bytes",
		"64 bytes from node-a to node-c (10.3.0.1): no command can be run in a on node-a: no route -> 64 bytes",
	}, pairs: 6, ok: 4},
	"too few": {pods: threeAgents[:2], have: []string{"number of agents (pods with app=agent in namespace shop): 2 -> 3"}, pairs: 2, ok: 2},
	"one does not run": {pods: withThird("status.phase", "Pending"), have: []string{
		"number of agents (pods with app=agent in namespace shop): 2 -> 3", "pod c on node-c: not ready, phase Pending -> running, with an address",
	}, pairs: 2, ok: 2},
	"two on one node": {pods: withThird("spec.nodeName", "node-b"), have: []string{
		"number of agents (pods with app=agent in namespace shop): 2 -> 3", "pod c on node-b: on the same node as b -> one agent on each node",
	}, pairs: 2, ok: 2},
	"none yet":                {pods: []Object{}, have: []string{"number of agents (pods with app=agent in namespace shop): 0 -> 3"}},
	"none, and no number":     {pods: []Object{}, change: func(m *netMatrix) { m.Expect = 0 }, fails: "there are no pods with app=agent in namespace shop"},
	"one, and no number":      {pods: threeAgents[:1], change: func(m *netMatrix) { m.Expect = 0 }, have: []string{"number of agents (pods with app=agent in namespace shop): 1 -> at least 2"}},
	"the network of its node": {pods: withThird("spec.hostNetwork", true), fails: "pod c on node-c uses the network of its node"},
	"no wget":                 {said: "", code: 99, fails: "pod a on node-a: the container has no wget"},
	"the shell fails":         {code: 127, change: func(m *netMatrix) { m.Sizes, m.Expect = []int{64}, 2 }, pods: threeAgents[:2], have: []string{"64 bytes from node-a to node-b (10.2.0.1): the command in a on node-a ended with code 127: the container has no wget -> 64 bytes"}, pairs: 2, ok: 1},
	"no selector":             {change: func(m *netMatrix) { m.Selector = "" }, fails: "selector is empty"},
	"no port":                 {change: func(m *netMatrix) { m.Port = 0 }, fails: "port: 0"},
	"no sizes":                {change: func(m *netMatrix) { m.Sizes = nil }, fails: "sizes: at least one"},
	"nothing to fetch":        {change: func(m *netMatrix) { m.Sizes = []int{64, 0} }, fails: "sizes: 0"},
	"one has no peer":         {change: func(m *netMatrix) { m.Expect = 1 }, fails: "expect: 1 agents make no pair"},
	"no time":                 {change: func(m *netMatrix) { m.Timeout = 0 }, fails: "timeout"},
}

func TestNetMatrix(t *testing.T) {
	for name, c := range matrixCases {
		t.Run(name, func(t *testing.T) {
			m := newNetMatrix()
			if c.change != nil {
				c.change(m)
			}
			if c.pods == nil {
				c.pods = threeAgents
			}
			cluster := &matrixCluster{podCluster: podCluster{pods: c.pods}, said: map[string]Output{}, errs: map[string]error{"a": c.err}}
			for _, pod := range []string{"a", "b", "c"} {
				cluster.said[pod] = Output{Stdout: allOf}
			}
			if c.said != "" || c.code != 0 {
				cluster.said["a"] = Output{Stdout: c.said, Code: c.code, Stderr: "the container has no wget\n"}
			}
			if len(m.Sizes) == 1 {
				for _, pod := range []string{"b", "c"} {
					cluster.said[pod] = Output{Stdout: "0 code 0 bytes 64\n1 code 0 bytes 64\n"}
				}
			}
			err := m.Validate()
			var change Change
			if err == nil {
				change, err = m.Check(t.Context(), &fake{cluster: cluster})
			}
			if c.fails != "" {
				assert.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			assert.Empty(t, change.Steps)
			assert.Equal(t, c.have, diffLines(change))
			assert.Equal(t, []any{c.pairs, c.ok}, []any{change.Vars["pairs"], change.Vars["ok"]})
		})
	}
}

// What the script prints is read from the real one, with the wgets that
// containers have: three agents that serve at addresses of their own.
func TestNetMatrixAsksForReal(t *testing.T) {
	first, port := matrixServer(t, "127.0.0.2:0")
	matrixServer(t, "127.0.0.3:"+port)
	broken, _ := matrixServer(t, "127.0.0.4:"+port)
	pods := []Object{netPod("a", "127.0.0.2"), netPod("b", "127.0.0.3"), netPod("c", "127.0.0.4")}
	for name, client := range map[string]string{"wget": "wget", "busybox": "busybox"} {
		path := t.TempDir()
		for link, program := range map[string]string{"wget": client, "wc": "wc", "timeout": "timeout", "true": "true"} {
			at, err := exec.LookPath(program)
			if err != nil && program == client {
				require.Empty(t, os.Getenv("CI"), "%s must be installed", client)
				t.Logf("%s is not installed: not checked with it", client)
				continue
			}
			require.NoError(t, err)
			require.NoError(t, os.Symlink(at, filepath.Join(path, link)))
		}
		t.Run(name, func(t *testing.T) {
			m := newNetMatrix()
			m.Port, _ = strconv.Atoi(port)
			m.Timeout = time.Second
			cluster := &matrixCluster{podCluster: podCluster{pods: pods, path: path}}
			first.mode.Store("")
			broken.mode.Store("")
			change := check(t, m, &fake{cluster: cluster})
			require.Empty(t, diffLines(change))
			require.Equal(t, 6, change.Vars["ok"])
			require.Equal(t, map[string]any{"pod": "a", "node": "node-a", "ip": "127.0.0.2"}, change.Vars["agents"].([]any)[0])

			broken.mode.Store("short")
			change = check(t, m, &fake{cluster: cluster})
			require.Equal(t, 4, change.Vars["ok"])
			require.Len(t, change.Diffs, 2, "from each of the two others, the large one alone")
			require.Equal(t, "65536 bytes from node-a to node-c (127.0.0.4)", change.Diffs[0].What)

			broken.mode.Store("silent")
			change = check(t, m, &fake{cluster: cluster})
			require.Len(t, change.Diffs, 4)
			require.Equal(t, "no answer within 1s; 0 bytes came", change.Diffs[0].Have)
			require.Equal(t, map[string]any{"from": "node-a", "to": "node-c", "size": 64, "error": "no answer within 1s; 0 bytes came"}, change.Vars["failures"].([]any)[0])

			broken.mode.Store("missing")
			change = check(t, m, &fake{cluster: cluster})
			require.Contains(t, change.Diffs[0].Have, "bytes came")
			require.NotContains(t, change.Diffs[0].Have, "no answer")
		})
	}
}

// matrixSource serves /SIZE, or what its mode says.
type matrixSource struct{ mode atomic.Value }

func (s *matrixSource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	mode := s.mode.Load()
	switch {
	case mode == "silent":
		<-r.Context().Done()
		return
	case err != nil, mode == "missing":
		http.NotFound(w, r)
		return
	case mode == "short":
		size = min(size, 1400)
	}
	_, _ = w.Write(bytes.Repeat([]byte{'x'}, size))
}

func matrixServer(t *testing.T, address string) (*matrixSource, string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	source := &matrixSource{}
	server := &http.Server{Handler: source, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return source, port
}

func TestNetMatrixAgentsToCome(t *testing.T) {
	target := &fake{
		cluster:   &matrixCluster{},
		predicted: []Effect{{Thing: AnObject, Name: "Namespace//shop", State: Object{}, By: "x"}},
	}
	_, err := newNetMatrix().Check(t.Context(), target)
	assert.Equal(t, Unforeseen{Reason: `what pods with app=agent in namespace shop there will be, after the task "x"`}, err)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lost := &matrixCluster{podCluster: podCluster{pods: []Object{netPod("a", "10.1.0.1"), netPod("b", "10.2.0.1")}}, errs: map[string]error{"a": fmt.Errorf("ended"), "b": fmt.Errorf("ended")}}
	_, err = newNetMatrix().Check(ctx, &fake{cluster: lost})
	assert.ErrorIs(t, err, context.Canceled)
}

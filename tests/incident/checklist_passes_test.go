//go:build linux

package incident

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
	"runbook/tests/lab/parts"
)

const (
	calicoPods  = "kubectl get pods -n kube-system -l k8s-app=calico-node --no-headers"
	allReady    = "test $(" + calicoPods + " | grep -c ' 1/1 ') = 8"
	serviceName = "keybuzz-api.keybuzz.svc.cluster.local"
	dnsName     = serviceName + "."
	probePods   = "app=lab-probe"
	ingressPods = "app.kubernetes.io/component=controller"
)

// falsePass is one row's typical false pass: what is broken, the check that
// passes all the same, and what the checklist says of it.
type falsePass struct {
	name  string
	doing func(t *testing.T, o Operator) map[string]any // breaks it, runs the naive checks, and gives variables for the checklist
	open  string                                        // the items that are not ticked then; all others are
	says  string                                        // a part of the first one's evidence
}

// TestEveryFalsePass: for each false pass that the facts name, the naive check
// passes and the checklist does not tick the item, and ticks all others. Those of
// a round are of different items and do not touch each other.
func TestEveryFalsePass(t *testing.T) {
	o := faulty(t, lab.None)
	for _, round := range falsePasses {
		var names []string
		for _, c := range round {
			names = append(names, c.name)
		}
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			vars, want := map[string]any{}, ""
			for _, c := range round {
				maps.Copy(vars, c.doing(t, o))
				want += c.open
			}
			open, evidence, out := o.judged(t, vars)
			require.Equal(t, inOrder(want), open, "%v", evidence)
			for _, c := range round {
				require.Contains(t, evidence[c.open[:1]], c.says, c.name)
			}
			require.Equal(t, 2, out.Code)
			require.Contains(t, out.Stdout, "not ticked: ")
		})
	}
	open, evidence, _ := o.judged(t, nil)
	require.Empty(t, open, "all is put back: %v", evidence)
}

func inOrder(items string) string {
	sorted := []byte(items)
	slices.Sort(sorted)
	return string(sorted)
}

var falsePasses = [][]falsePass{
	{
		// First: what it says of a certificate that is not asked for, it says while all else is well.
		{name: "7 a certificate that is not looked at", doing: wrongCertificate, open: "7", says: "certificate"},
		{name: "1 the pods are Ready, of the old image", doing: oldImage, open: "1", says: "OnDelete"},
		{name: "4 a cache answers", doing: aStaleDNS, open: "4", says: ", not 10.96."},
		{name: "6 a pair on the same node", doing: cutFromOthers, open: "6", says: "49 of 56 pairs work"},
	},
	{
		// Where there is no pod there is no Felix either.
		{name: "1 the daemonset does not want a node", doing: aNodeNotWanted, open: "123", says: "wanted on 7 of 8 nodes"},
		{name: "5 there is none on another node", doing: oneEndpoint, open: "5", says: "has no endpoint on another node"},
		{name: "7 the exit code of curl", doing: unavailable, open: "7", says: "503 Service Unavailable"},
	},
	{
		{name: "2 the last lines, another label, another namespace", doing: anErrorAbove, open: "2", says: "Bad return code"},
		{name: "4 one lucky node, and the host's own resolver", doing: dnsDroppedOnOneNode, open: "4", says: "node007"},
		{name: "5 the endpoint on the same node answers", doing: localEndpointOnly, open: "5", says: "want 200; on node005: "},
		{name: "7 a cached answer", doing: outOfACache, open: "7", says: "out of a cache (Age: 100)"},
	},
	{
		{name: "3 Ready by a probe that does not ask Felix", doing: readyByAnotherProbe, open: "3", says: "node007"},
		{name: "6 small packets", doing: largeDropped, open: "6", says: "42 of 56 pairs work; not every agent reaches every other one (timed out after 8s: 65536 bytes from node001 to node006"},
	},
}

// patch changes an object for the time of the test; with back it is put right.
func (o Operator) patch(t *testing.T, object, there, back string) {
	t.Helper()
	namespace, name, _ := strings.Cut(object, " ")
	o.kube(t, "patch", "-n", namespace, name, "--type=strategic", "-p", there)
	t.Cleanup(func() {
		o.kube(t, "patch", "-n", namespace, name, "--type=strategic", "-p", back)
		if strings.Contains(name, "daemonset") || strings.Contains(name, "deployment") {
			o.kube(t, "rollout", "status", "-n", namespace, name, "--timeout=25s")
		}
	})
}

// drop lets a host drop packets for the time of the test.
func (o Operator) drop(t *testing.T, host string, rules ...string) {
	t.Helper()
	for _, rule := range rules {
		o.on(t, host, "iptables -I "+rule+" -j DROP")
		t.Cleanup(func() { o.on(t, host, "iptables -D "+rule+" -j DROP") })
	}
}

func oldImage(t *testing.T, o Operator) map[string]any {
	const calico = "kube-system daemonset/calico-node"
	was := o.kube(t, "get", "-n", "kube-system", "daemonset/calico-node", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	require.NotEqual(t, parts.CalicoMended, was)
	image := func(name string) string {
		return `"template":{"spec":{"containers":[{"name":"calico-node","image":"` + name + `"}]}}`
	}
	o.patch(t, calico, `{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null},`+image(parts.CalicoMended)+`}}`,
		`{"spec":{`+image(was)+`,"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1}}}}`)
	o.passes(t, allReady)
	return nil
}

// rolled changes the pods of calico-node, all at once, and puts them back.
func (o Operator) rolled(t *testing.T, there, back string) {
	t.Helper()
	const calico = "kube-system daemonset/calico-node"
	o.patch(t, calico, `{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":"100%"}}}}`, `{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":1}}}}`)
	o.patch(t, calico, `{"spec":{"template":{"spec":`+there+`}}}`, `{"spec":{"template":{"spec":`+back+`}}}`)
	o.kube(t, "rollout", "status", "-n", "kube-system", "daemonset/calico-node", "--timeout=25s")
}

func aNodeNotWanted(t *testing.T, o Operator) map[string]any {
	o.rolled(t, `{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[
		{"key":"kubernetes.io/hostname","operator":"NotIn","values":["node008"]}]}]}}}}`, `{"affinity":null}`)
	o.passes(t, "kubectl -n kube-system rollout status ds/calico-node --timeout=5s && ! "+calicoPods+" | grep -v ' 1/1 '")
	return nil
}

// complain has Felix of a host log one error of an IP set, and then much else.
func (o Operator) complain(t *testing.T, host string) {
	t.Helper()
	o.on(t, host, `pid=$(pgrep -o -x calico-node) && { echo "$(date -u '+%F %T.000') [ERROR][57] felix/ipsets.go 599: Bad return code from 'ipset list'. stderr=\"incompatible\""
		for i in $(seq 30); do echo "$(date -u '+%F %T.000') [INFO][57] felix/summary.go 100: Summarising 1 dataplane reconciliation loops over 1m2s"; done; } >/proc/$pid/fd/1`)
}

func anErrorAbove(t *testing.T, o Operator) map[string]any {
	o.complain(t, "node006")
	t.Cleanup(func() {
		o.kube(t, "delete", "pod", "-n", "kube-system", o.podOn(t, "kube-system", "k8s-app=calico-node", "node006"))
		o.kube(t, "rollout", "status", "-n", "kube-system", "daemonset/calico-node", "--timeout=25s")
	})
	o.passes(t, "! kubectl -n kube-system logs -l k8s-app=calico-node -c calico-node --tail=20 | grep -i ipset")
	o.passes(t, "! kubectl -n kube-system logs -l k8s-app=calico --tail=200 | grep -i ipset")
	o.passes(t, "! kubectl -n calico-system logs -l k8s-app=calico-node --tail=200 | grep -i ipset")
	return nil
}

func readyByAnotherProbe(t *testing.T, o Operator) map[string]any {
	was := o.kube(t, "get", "-n", "kube-system", "daemonset/calico-node", "-o", "jsonpath={.spec.template.spec.containers[0].readinessProbe}")
	const probe = `{"containers":[{"name":"calico-node","readinessProbe":`
	o.rolled(t, probe+`{"httpGet":null,"exec":{"command":["true"]}}}]}`, probe+`{"exec":null,`+was[1:]+`}]}`)
	const felix = " $(pgrep -n -f 'calico-nod[e] -felix')"
	o.on(t, "node007", "kill -STOP"+felix)
	t.Cleanup(func() { o.on(t, "node007", "kill -CONT"+felix) })
	o.passes(t, allReady)
	return nil
}

// TestTheChecklistDoesNotBelieveAStaleAPI: a node whose kubelet hangs goes on
// being Ready for the API, and so do its pods, though Felix is dead there.
func TestTheChecklistDoesNotBelieveAStaleAPI(t *testing.T) {
	o := faulty(t, lab.None)
	o.on(t, "node008", "pkill -STOP -x kubelet && pkill -KILL -x calico-node")
	t.Cleanup(func() { o.on(t, "node008", "pkill -CONT -x kubelet") })
	o.passes(t, allReady)
	open, evidence, out := o.judged(t, map[string]any{"agents_timeout": 5, "net_timeout": 3, "felix_timeout": 3})
	require.Equal(t, 2, out.Code)
	require.Contains(t, open, "3", "%v", evidence)
	require.Contains(t, evidence["3"], "node008: ")
	require.NotContains(t, open, "7", "%v", evidence)
}

// TestTheChecklistFindsCalicoWhereTheOperatorPutsIt: the inventory says
// kube-system, where a selector finds nothing, and nothing complains.
func TestTheChecklistFindsCalicoWhereTheOperatorPutsIt(t *testing.T) {
	o := faulty(t, lab.None)
	require.NoError(t, o.Lab.ResetInstall(t.Context(), lab.None, lab.Operator))
	open, evidence, _ := o.judged(t, nil)
	require.Empty(t, open, "%v", evidence)
	require.Contains(t, evidence["1"], "8 of 8 nodes have a Ready pod of calico-system/calico-node")

	o.complain(t, "node006")
	o.passes(t, "! kubectl -n kube-system logs -l k8s-app=calico-node --tail=200 | grep -i ipset")
	open, evidence, _ = o.judged(t, nil)
	require.Equal(t, "2", open, "%v", evidence)
}

func dnsDroppedOnOneNode(t *testing.T, o Operator) map[string]any {
	o.drop(t, "node007", "FORWARD -s 10.244.7.0/24 -p udp --dport 53", "FORWARD -s 10.244.7.0/24 -p tcp --dport 53")
	o.on(t, "node007", "cp /etc/hosts /run/hosts.old && echo 10.96.1.1 "+serviceName+" >>/etc/hosts")
	t.Cleanup(func() { o.on(t, "node007", "cat /run/hosts.old >/etc/hosts; rm /run/hosts.old") })
	o.passes(t, "kubectl exec "+o.podOn(t, "default", probePods, "node006")+" -- nslookup -type=a "+dnsName)
	o.on(t, "node007", "getent hosts "+serviceName)
	return nil
}

// staleDNS is a CoreDNS that keeps an answer for an hour, as a cache before the
// others would. It is not behind the service: it is never Ready.
const staleDNS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: stale-dns, namespace: kube-system}
data:
  Corefile: |
    .:53 {
        kubernetes cluster.local {
            ttl 3600
        }
        cache 3600
    }
---
apiVersion: v1
kind: Pod
metadata: {name: stale-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  serviceAccountName: coredns
  dnsPolicy: Default
  terminationGracePeriodSeconds: 0
  nodeSelector: {kubernetes.io/hostname: node008}
  containers:
  - name: coredns
    image: ` + parts.CoreDNSImage + `
    imagePullPolicy: Never
    args: [-conf, /etc/coredns/Corefile]
    readinessProbe: {tcpSocket: {port: 9}}
    volumeMounts: [{name: config, mountPath: /etc/coredns}]
  volumes: [{name: config, configMap: {name: stale-dns}}]
`

func aStaleDNS(t *testing.T, o Operator) map[string]any {
	o.on(t, "node001", "cat >/run/stale.yaml <<'EOF'\n"+staleDNS+"EOF\n/opt/lab/kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f /run/stale.yaml; rm /run/stale.yaml")
	t.Cleanup(func() { o.kube(t, "delete", "-n", "kube-system", "pod/stale-dns", "configmap/stale-dns") })
	asker, naive := o.podOn(t, "default", probePods, "node006"), ""
	require.Eventually(t, func() bool {
		ip, err := o.Lab.Kube(t.Context(), "get", "pod", "-n", "kube-system", "stale-dns", "-o", "jsonpath={.status.podIP}")
		naive = "kubectl exec " + asker + " -- nslookup -type=a " + dnsName + " " + ip
		if err == nil && ip != "" {
			_, err = o.Lab.Kube(t.Context(), "exec", asker, "--", "nslookup", "-type=a", dnsName, ip)
		}
		return err == nil && ip != ""
	}, 30*time.Second, 300*time.Millisecond)
	o.kube(t, "delete", "service", "-n", "keybuzz", "keybuzz-api")
	o.kube(t, "expose", "deployment", "-n", "keybuzz", "keybuzz-api", "--port=8080")
	fresh := o.kube(t, "get", "service", "-n", "keybuzz", "keybuzz-api", "-o", "jsonpath={.spec.clusterIP}")
	require.Eventually(t, func() bool {
		for _, node := range []string{"node001", "node002", "node003", "node004", "node005", "node006", "node007", "node008"} {
			out, err := o.Lab.Kube(t.Context(), "exec", o.podOn(t, "default", probePods, node), "--", "nslookup", "-type=a", dnsName)
			if err != nil || !strings.Contains(out, fresh) {
				return false
			}
		}
		return true
	}, 30*time.Second, time.Second, "the others know the new address")
	o.passes(t, naive)
	return nil
}

// onIngressNodes moves the application to the nodes of the ingress controller.
func (o Operator) onIngressNodes(t *testing.T, replicas string) {
	t.Helper()
	o.patch(t, "keybuzz deployment/keybuzz-api", `{"spec":{"replicas":`+replicas+`,"template":{"spec":{"nodeSelector":{"lab/role":"ingress"}}}}}`,
		`{"spec":{"replicas":3,"template":{"spec":{"nodeSelector":{"lab/role":"worker"}}}}}`)
	o.kube(t, "rollout", "status", "-n", "keybuzz", "deployment/keybuzz-api", "--timeout=25s")
}

func localEndpointOnly(t *testing.T, o Operator) map[string]any {
	o.onIngressNodes(t, "2")
	o.patch(t, "keybuzz service/keybuzz-api", `{"spec":{"internalTrafficPolicy":"Local"}}`, `{"spec":{"internalTrafficPolicy":"Cluster"}}`)
	o.drop(t, "node004", "OUTPUT -d 10.244.5.0/24 -p tcp --dport 8080")
	o.drop(t, "node005", "OUTPUT -d 10.244.4.0/24 -p tcp --dport 8080")
	for _, node := range []string{"node004", "node005"} {
		o.passes(t, "kubectl exec -n ingress-nginx "+o.podOn(t, "ingress-nginx", ingressPods, node)+
			" -- curl -sf -m 5 --retry 5 --retry-all-errors http://"+serviceName+":8080/health")
	}
	return nil
}

func oneEndpoint(t *testing.T, o Operator) map[string]any {
	o.onIngressNodes(t, "1")
	for _, node := range []string{"node004", "node005"} {
		o.passes(t, "kubectl exec -n ingress-nginx "+o.podOn(t, "ingress-nginx", ingressPods, node)+
			" -- curl -sf -m 5 --retry 5 --retry-all-errors http://"+serviceName+":8080/health")
	}
	return nil
}

func cutFromOthers(t *testing.T, o Operator) map[string]any {
	o.drop(t, "node006", "FORWARD -s 10.244.6.0/24 ! -d 10.244.6.0/24 -p tcp --dport 8080")
	near := o.kube(t, "get", "pods", "-n", "keybuzz", "-l", "app=keybuzz-api", "--field-selector=spec.nodeName=node006", "-o", "jsonpath={.items[0].status.podIP}")
	o.passes(t, "kubectl exec "+o.podOn(t, "default", probePods, "node006")+" -- wget -q -O - http://"+near+":8080/health")
	return nil
}

func largeDropped(t *testing.T, o Operator) map[string]any {
	o.drop(t, "node006", "FORWARD -p tcp -m length --length 1000:65535")
	far := o.kube(t, "get", "pods", "-n", "keybuzz", "-l", "app=keybuzz-api", "--field-selector=spec.nodeName=node007", "-o", "jsonpath={.items[0].status.podIP}")
	asker := o.podOn(t, "default", probePods, "node006")
	o.passes(t, "kubectl exec "+asker+" -- ping -c 1 -w 5 "+far)
	o.passes(t, "kubectl exec "+asker+" -- wget -q -O - http://"+far+":8080/health")
	return nil
}

// front stands before the first site, as a proxy of a provider does.
func (o Operator) front(t *testing.T, answer func(http.ResponseWriter, *http.Request, http.Handler)) *httptest.Server {
	t.Helper()
	to, err := url.Parse(o.Lab.URLs()[0])
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // what it stands before is not what is asked about
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, proxy) }))
	t.Cleanup(server.Close)
	return server
}

func wrongCertificate(t *testing.T, o Operator) map[string]any {
	server := o.front(t, func(w http.ResponseWriter, r *http.Request, site http.Handler) { site.ServeHTTP(w, r) })
	server.StartTLS()
	passesHere(t, "curl", "-k", "-sf", "-m", "5", "-o", "/dev/null", server.URL)
	vars := map[string]any{"urls": []string{server.URL}, "check_interval": 0.1}
	said := maps.Clone(vars)
	said["validate_certs"] = false
	open, evidence, _ := o.judged(t, said)
	require.Empty(t, open, "%v", evidence)
	require.Contains(t, evidence["7"], "TLS not verified", "who does not look at it is told so")
	return vars
}

func unavailable(t *testing.T, o Operator) map[string]any {
	server := o.front(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
	})
	server.Start()
	passesHere(t, "curl", "-s", "-m", "5", "-o", "/dev/null", server.URL)
	return map[string]any{"urls": []string{server.URL}, "check_interval": 0.1}
}

func outOfACache(t *testing.T, o Operator) map[string]any {
	server := o.front(t, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Age", "100")
		_, _ = w.Write([]byte("as it was, before the site went down"))
	})
	server.Start()
	passesHere(t, "sh", "-c", `test "$(curl -s -m 5 -o /dev/null -w '%{http_code}' `+server.URL+`)" = 200`)
	return map[string]any{"urls": []string{server.URL}, "check_interval": 0.1}
}

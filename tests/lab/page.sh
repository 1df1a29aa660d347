#!/bin/sh
# The procedure of the incident's page as its operators carried it out by hand,
# one host after the other, with the time of every step. It is what runbook is
# measured against.
set -u

: "${RUNBOOK_LAB_STATE:=/var/lib/runbook-lab}"
: "${KUBECTL:=kubectl}" # labctl status prints the path of one
: "${HOSTS:=10.0.0.100 10.0.0.101 10.0.0.102 10.0.0.110 10.0.0.111 10.0.0.112 10.0.0.113 10.0.0.114}"
: "${URLS:=https://10.0.0.110/ https://10.0.0.111/health}"

on() {
	host=$1
	shift
	ssh -n -i "$RUNBOOK_LAB_STATE/id" -o UserKnownHostsFile="$RUNBOOK_LAB_STATE/known_hosts" -o ConnectTimeout=10 "root@$host" "$@"
}
kc() { "$KUBECTL" --kubeconfig="$RUNBOOK_LAB_STATE/kubeconfig" "$@"; }
step() {
	began=$(date +%s.%N)
	echo "== $1"
	shift
	"$@" || failed=1
	echo "   $(echo "$(date +%s.%N) $began" | awk '{printf "%.1f", $1 - $2}') s"
}

check_ipset() { on "${HOSTS%% *}" 'ipset list >/dev/null' || true; }
upgrade() {
	for ip in $HOSTS; do
		on "$ip" 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install --only-upgrade ipset libipset13 -y -qq >/dev/null' || return 1
	done
}
restart() { kc -n kube-system delete pod -l k8s-app=calico-node; }
errors() { ! kc -n kube-system logs -l k8s-app=calico-node --tail=20 | grep -i 'bad return code'; }
ready() { kc -n kube-system rollout status daemonset/calico-node --timeout=300s; }
connectivity() {
	probe=$(kc get pod -l app=lab-probe -o name | head -n 1)
	kc exec "$probe" -- nslookup -type=a keybuzz-api.keybuzz.svc.cluster.local. || return 1
	for pod in $(kc -n ingress-nginx get pod -l app.kubernetes.io/component=controller -o name); do
		kc -n ingress-nginx exec "$pod" -- curl -fsS -m 5 http://keybuzz-api.keybuzz.svc.cluster.local:8080/health || return 1
	done
	for url in $URLS; do
		curl -fsS -m 10 -o /dev/null --cacert "$RUNBOOK_LAB_STATE/ca.crt" "$url" || return 1
	done
}

failed=0
all=$(date +%s.%N)
step "1 check ipset on one node" check_ipset
step "2 upgrade ipset on every node" upgrade
step "3 restart the calico pods" restart
step "4 look for errors" errors
step "5 wait until they are ready" ready
step "6 test connectivity" connectivity
echo "total $(echo "$(date +%s.%N) $all" | awk '{printf "%.1f", $1 - $2}') s"
exit "$failed"

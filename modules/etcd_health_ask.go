package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// etcdFolder is where kubeadm keeps the certificates of etcd.
const etcdFolder = "/etc/kubernetes/pki/etcd"

// etcdOptions bound each question. A member that does not answer takes that long
// in the two questions that go to every member.
const etcdOptions = "--dial-timeout=2s --command-timeout=3s --write-out=json"

// etcdAsks is above what all questions of one look can take.
const etcdAsks = time.Minute

// etcdQuestions are the questions, by the name of their answer. A member tells its
// own status also without a quorum; the list of members may need one, since 3.5.
var etcdQuestions = []struct{ name, words string }{
	{"members", "member list"},
	{"status", "endpoint status --cluster"},
	{"health", "endpoint health --cluster"},
	{"alarms", "alarm list"},
	{"alone", "endpoint status"},
}

// etcdScript asks everything in one round trip. Options that are also set in the
// environment end etcdctl; without ETCDCTL_API=3 one before 3.4 speaks version 2.
const etcdScript = `echo @host; uname -n
echo @addresses; ip -o addr show 2>/dev/null || hostname -I 2>/dev/null
grep -lx etcd /proc/[0-9]*/comm >/dev/null 2>&1 && echo @runs
if [ -n "$secure" ]; then
	if [ -z "$cert" ] && [ -z "$ca" ]; then
		for name in healthcheck-client server; do
			[ -e "$folder/$name.crt" ] && cert=$folder/$name.crt key=$folder/$name.key && break
		done
		[ -n "$cert" ] || echo @no-cert
	fi
	ca=${ca:-$folder/ca.crt}
fi
printf '@files\n%s\n%s\n%s\n' "$ca" "$cert" "$key"
command -v etcdctl >/dev/null || { echo @missing; exit 0; }
for file in "$ca" "$cert" "$key"; do
	[ -z "$file" ] || [ -r "$file" ] || { printf '@unreadable\n%s\n' "$file"; exit 0; }
done
unset ETCDCTL_ENDPOINTS ETCDCTL_CACERT ETCDCTL_CERT ETCDCTL_KEY ETCDCTL_WRITE_OUT ETCDCTL_DIAL_TIMEOUT ETCDCTL_COMMAND_TIMEOUT
ask() {
	echo "@$1"; shift
	{ said=$(etcdctl --endpoints="$endpoints" ${ca:+--cacert="$ca"} ${cert:+--cert="$cert"} ${key:+--key="$key"} $options "$@" 2>&1 >&3 3>&-); code=$?; } 3>&1
	[ "$code" -eq 0 ] || printf '\n@-\n%s\n' "$said"
	return "$code"
}
`

// etcdSaid is what a host and its etcd have answered.
type etcdSaid struct {
	host      string
	addresses []string
	runs      bool // a process named etcd is there
	files     [3]string
	answers   map[string]etcdAnswer // by the question; what was not asked is not there
}

// etcdAnswer is JSON, and why it may not be the whole answer.
type etcdAnswer struct{ json, failed string }

func (e *etcdHealth) query() Run {
	secure := ""
	for _, text := range e.Endpoints {
		if strings.HasPrefix(text, "https:") {
			secure = "yes"
		}
	}
	var b strings.Builder
	for _, v := range [][2]string{
		{"secure", secure}, {"endpoints", strings.Join(e.Endpoints, ",")}, {"folder", etcdFolder},
		{"ca", e.CACert}, {"cert", e.Cert}, {"key", e.Key}, {"options", etcdOptions},
	} {
		fmt.Fprintf(&b, "%s=%s\n", v[0], Quote(v[1]))
	}
	b.WriteString(etcdScript)
	members, alone := etcdQuestions[0], etcdQuestions[4]
	fmt.Fprintf(&b, "if ask %s %s; then\n", members.name, members.words)
	for _, q := range etcdQuestions[1:4] {
		fmt.Fprintf(&b, "\task %s %s\n", q.name, q.words)
	}
	fmt.Fprintf(&b, "else\n\task %s %s\nfi\nexit 0\n", alone.name, alone.words)
	return Run{
		Shell: b.String(), Env: map[string]string{"PATH": systemPath, "LC_ALL": "C", "ETCDCTL_API": "3"}, Limit: etcdAsks,
		Show: "etcdctl member list, endpoint status, endpoint health, alarm list at " + strings.Join(e.Endpoints, ","),
	}
}

var errNoEtcdCert = fmt.Errorf("this host has no certificate for etcd: looked for healthcheck-client.crt and server.crt in %s; say where they are with cacert, cert and key", etcdFolder)

// ask asks the host's own etcdctl, and where it has none the one in the etcd pod
// of this node.
func (e *etcdHealth) ask(ctx context.Context, t Target) (etcdSaid, error) {
	out, err := t.Query(ctx, e.query())
	if err != nil {
		return etcdSaid{}, err
	}
	sections := atSections(out.Stdout)
	said := etcdSaid{host: strings.TrimSpace(sections["host"]), addresses: parseAddresses(sections["addresses"]), answers: parseEtcdAnswers(out.Stdout)}
	_, said.runs = sections["runs"]
	_, missing := sections["missing"]
	_, uncertified := sections["no-cert"]
	copy(said.files[:], strings.Split(sections["files"], "\n"))
	switch file := strings.TrimSpace(sections["unreadable"]); {
	case said.host == "":
		return said, fmt.Errorf("this host did not say its name (exit code %d: %s)", out.Code, lastLine(out.Stderr))
	case missing:
		return said, e.askPod(ctx, t, &said, uncertified)
	case uncertified:
		return said, errNoEtcdCert
	case file != "":
		return said, fmt.Errorf("%s cannot be read on this host: it is not there, or only root may read it; add become: true, or say where it is with cacert, cert and key", file)
	case len(said.answers) == 0:
		return said, fmt.Errorf("etcdctl was not asked (exit code %d: %s)", out.Code, lastLine(out.Stderr))
	}
	return said, nil
}

// parseEtcdAnswers finds the answers among the sections. What follows @- is why
// the one before it failed.
func parseEtcdAnswers(text string) map[string]etcdAnswer {
	answers := map[string]etcdAnswer{}
	name, failed := "", false
	for line := range strings.Lines(text) {
		switch word, marked := strings.CutPrefix(strings.TrimSpace(line), "@"); {
		case marked && word == "-":
			failed = true
		case marked:
			name, failed = word, false
		default:
			a := answers[name]
			if failed {
				a.failed += line
			} else {
				a.json += line
			}
			answers[name] = a
		}
	}
	kept := map[string]etcdAnswer{}
	for _, q := range etcdQuestions {
		if a, ok := answers[q.name]; ok {
			a.failed = etcdError(a.failed)
			kept[q.name] = a
		}
	}
	return kept
}

// etcdError is why etcdctl has failed: its own last word, after lines of its log.
func etcdError(stderr string) string {
	return strings.TrimPrefix(lastLine(stderr), "Error: ")
}

// askPod asks through the API. The image has no shell, so each question is a
// command of its own.
func (e *etcdHealth) askPod(ctx context.Context, t Target, said *etcdSaid, uncertified bool) error {
	api, err := t.Cluster(ctx)
	if err != nil {
		return fmt.Errorf("this host has no etcdctl, and its etcd pod cannot be asked: %w", err)
	}
	pod, err := e.podHere(ctx, outlook{api, t}, *said)
	if err != nil {
		return err
	}
	if uncertified {
		return errNoEtcdCert
	}
	if phase := dig[string](pod, "status", "phase"); phase != "Running" {
		said.answers = map[string]etcdAnswer{"members": {failed: fmt.Sprintf("%s is not running (phase %s)", podWords(pod), phase)}}
		return nil
	}
	in := PodCommand{Namespace: dig[string](pod, "metadata", "namespace"), Pod: nameOf(pod), Container: "etcd", Limit: etcdAsks}
	answers, err := atOnce(etcdQuestions, func(q struct{ name, words string }) (etcdAnswer, error) {
		asked := in
		asked.Argv = append(e.etcdctl(said.files), strings.Fields(q.words)...)
		out, err := api.Query(ctx, asked)
		switch {
		case ctx.Err() != nil:
			return etcdAnswer{}, ctx.Err()
		case err != nil: // the pod starts, or the API goes with etcd: it may pass
			return etcdAnswer{failed: err.Error()}, nil
		case out.Code != 0:
			return etcdAnswer{json: out.Stdout, failed: etcdError(out.Stderr)}, nil
		}
		return etcdAnswer{json: out.Stdout}, nil
	})
	said.answers = map[string]etcdAnswer{}
	for i, a := range answers {
		said.answers[etcdQuestions[i].name] = a
	}
	return err
}

func (e *etcdHealth) etcdctl(files [3]string) []string {
	argv := []string{"etcdctl", "--endpoints=" + strings.Join(e.Endpoints, ",")}
	for i, option := range []string{"--cacert=", "--cert=", "--key="} {
		if files[i] != "" {
			argv = append(argv, option+files[i])
		}
	}
	return append(argv, strings.Fields(etcdOptions)...)
}

// podHere is the etcd pod on this host, as kubeadm labels it.
func (e *etcdHealth) podHere(ctx context.Context, c outlook, said etcdSaid) (Object, error) {
	nodes, err := c.List(ctx, Ref{Kind: "nodes", APIVersion: "v1"})
	if err != nil {
		return nil, fmt.Errorf("this host has no etcdctl, and its etcd pod cannot be asked: %w", err)
	}
	node := nodeOfHost(nodes, calicoHost{name: said.host, addresses: said.addresses})
	if node == nil {
		return nil, errors.New("this host has no etcdctl, and is no node of the cluster, so no pod of it can be asked either; install etcd-client, or run this on a control-plane node")
	}
	pods, err := c.List(ctx, Ref{Kind: podsKind, APIVersion: "v1", Namespace: "kube-system", Selector: "component=etcd", Fields: "spec.nodeName=" + nameOf(node)})
	if err != nil {
		return nil, fmt.Errorf("this host has no etcdctl, and its etcd pod cannot be asked: %w", err)
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("this host has no etcdctl, and node %s has no pod with component=etcd in namespace kube-system: no member of etcd runs here; run this on a control-plane node", nameOf(node))
	}
	return pods[0], nil
}

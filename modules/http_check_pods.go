package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// httpSlack is what starting a command in a container may take beside the
// request itself.
const httpSlack = 10 * time.Second

// askPods asks from every running pod of a selection. A selection without one
// proves nothing, so it is an error.
func (h *httpCheck) askPods(ctx context.Context, t Target, who httpPods) ([]httpAnswer, error) {
	cluster, err := t.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	now := outlook{Cluster: cluster, target: t}
	selected := Ref{Kind: "pods", Namespace: who.namespace, Selector: who.selector}
	pods, err := now.List(ctx, selected)
	if err != nil {
		return nil, err
	}
	if err := now.settled(pods...); err != nil {
		return nil, err
	}
	var running []httpPod
	for _, pod := range pods {
		if p := newHTTPPod(pod); !p.over {
			running = append(running, p)
		}
	}
	answers, err := atOnce(running, func(p httpPod) (httpAnswer, error) {
		if p.phase != "Running" {
			return httpAnswer{from: p.words(), cause: "the pod is " + p.phase}, nil
		}
		return h.askPod(ctx, cluster, p, who.container)
	})
	if err != nil {
		return nil, err
	}
	if len(answers) == 0 {
		var unforeseen Unforeseen
		if err := now.none(ctx, selected); errors.As(err, &unforeseen) {
			return nil, unforeseen
		}
		return nil, fmt.Errorf("from: the selector %q finds no pod that runs or will run in namespace %q", who.selector, who.namespace)
	}
	return answers, nil
}

// httpPod is what matters of a pod here.
type httpPod struct {
	namespace, name, phase string
	over                   bool // it has ended, or is being deleted
}

func (p httpPod) words() string { return "pod " + p.namespace + "/" + p.name }

func newHTTPPod(pod Object) httpPod {
	meta, _ := pod["metadata"].(map[string]any)
	status, _ := pod["status"].(map[string]any)
	var p httpPod
	p.namespace, _ = meta["namespace"].(string)
	p.name, _ = meta["name"].(string)
	p.phase, _ = status["phase"].(string)
	_, deleted := meta["deletionTimestamp"]
	p.over = deleted || p.phase == "Succeeded" || p.phase == "Failed"
	return p
}

func (h *httpCheck) askPod(ctx context.Context, cluster Cluster, p httpPod, container string) (httpAnswer, error) {
	answer := httpAnswer{from: p.words()}
	command := PodCommand{
		Namespace: p.namespace, Pod: p.name, Container: container,
		Argv: []string{"/bin/sh", "-c", httpScript, "sh"}, Limit: h.Timeout + httpSlack,
	}
	command.Argv = append(command.Argv, h.podWords()...)
	command.Stdin = h.curlConfig()
	out, err := cluster.Query(ctx, command)
	switch {
	case ctx.Err() != nil:
		return answer, ctx.Err()
	case err != nil:
		answer.cause = "no command can be run in it: " + err.Error()
		return answer, nil
	case out.Code == httpNoClient:
		return answer, fmt.Errorf("%s: %s", answer.from, lastLine(out.Stderr))
	}
	answer.read(out, h.FollowRedirects)
	if answer.status != 0 && h.ValidateCerts && strings.Contains(out.Stderr, "certificate validation not implemented") {
		return answer, errors.New(answer.from + ": its wget cannot verify certificates; use an image with curl, or validate_certs: false")
	}
	return answer, nil
}

// httpNoClient is the exit code of httpScript where the container has nothing
// that could ask.
const httpNoClient = 99

// httpScript asks with what the container has: curl, which gets its headers by
// stdin because others may read its arguments, or wget, which may be that of
// busybox: some builds of it crash when told a timeout, so that is kept outside.
// The arguments are URL, method, seconds, yes to follow redirects, yes to verify.
const httpScript = `url=$1 method=$2 seconds=$3 follow=$4 verify=$5
if command -v curl >/dev/null 2>&1; then
	set -- -q -sS -m "$seconds" -X "$method" -K - -w '\n%{http_code}\n'
	[ "$method" != HEAD ] || set -- "$@" -I
	[ "$follow" = no ] || set -- "$@" -L
	[ "$verify" = yes ] || set -- "$@" -k
	exec curl "$@" "$url"
fi
command -v wget >/dev/null 2>&1 || { echo 'the container has neither curl nor wget' >&2; exit 99; }
[ "$method" = GET ] || { echo "the container has wget only, which cannot do $method" >&2; exit 99; }
[ -z "$(cat)" ] || { echo 'the container has wget only, which shows headers to others; use an image with curl' >&2; exit 99; }
quiet=-q bound=
case $(wget --version 2>/dev/null) in GNU*) quiet='-nv -t 1' ;; esac
timeout 1 true 2>/dev/null && bound="timeout $seconds"
set -- $quiet -S -O -
[ "$verify" = yes ] || set -- "$@" --no-check-certificate
$bound wget "$@" "$url"
code=$?
printf '\nwget\n'
exit "$code"
`

func (h *httpCheck) podWords() []string {
	word := map[bool]string{true: "yes", false: "no"}
	seconds := max(int(h.Timeout.Round(time.Second).Seconds()), 1)
	return []string{h.URL, h.Method, strconv.Itoa(seconds), word[h.FollowRedirects], word[h.ValidateCerts]}
}

// curlConfig is the headers, sorted by name.
func (h *httpCheck) curlConfig() string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		fmt.Fprintf(&b, "header = \"%s: %s\"\n", escape.Replace(name), escape.Replace(h.Headers[name]))
	}
	return b.String()
}

var httpStatusLine = regexp.MustCompile(`HTTP/[0-9.]+ (\d{3})`)

// read takes the output of httpScript. curl ends with the code; wget writes the
// head of each answer to stderr, and follows redirects by itself.
func (a *httpAnswer) read(out Output, follow bool) {
	body := strings.TrimSuffix(out.Stdout, "\n")
	last := strings.LastIndexByte(body, '\n')
	mark := body[last+1:]
	a.body = body[:max(last, 0)]
	if mark != "wget" {
		a.status, _ = strconv.Atoi(mark)
	} else if heads := httpStatusLine.FindAllStringSubmatch(out.Stderr, -1); len(heads) > 0 {
		head := heads[0]
		if follow {
			head = heads[len(heads)-1]
		}
		a.status, _ = strconv.Atoi(head[1])
	}
	if a.status != 0 {
		return
	}
	if a.cause = lastLine(out.Stderr); a.cause == "" {
		a.cause = fmt.Sprintf("no answer (code %d)", out.Code)
	}
}

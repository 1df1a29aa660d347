package modules

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// netBatch bounds the requests that one agent makes at the same time.
const netBatch = 16

// netScript fetches every URL and prints for each, in a line: its number, what
// wget said, its exit code and the bytes that came. The bodies stay in the pod.
// Some builds of busybox's wget crash when told a timeout, so that is kept
// outside where the container has timeout. The arguments are seconds, the number
// of requests at a time, and the URLs. A proxy of the container would answer for
// somebody else.
const netScript = `set -f
seconds=$1 batch=$2
shift 2
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
command -v wget >/dev/null 2>&1 || { echo 'the container has no wget' >&2; exit 99; }
fetch="wget -q -T $seconds -O -"
timeout 1 true 2>/dev/null && fetch="timeout $seconds wget -q -O -"
try() {
	said=$({ { $fetch "$2" 2>&3; echo "code $?" >&3; } | { n=$(wc -c); echo "bytes $n" >&3; }; } 3>&1)
	set -- "$1" $said
	printf '%s\n' "$*"
}
n=0
for url; do
	try $n "$url" &
	n=$((n + 1))
	[ $((n % batch)) -ne 0 ] || wait
done
wait
`

var netLine = regexp.MustCompile(`^(\d+) (.*?) ?code (\d+) bytes (\d+)$`)

// ask lets one agent fetch every size from every other one, in one command. That
// it cannot be asked is a failure of all its pairs.
func (m *netMatrix) ask(ctx context.Context, cluster Cluster, from netAgent, all []netAgent) ([]netTry, error) {
	var tries []netTry
	argv := []string{"/bin/sh", "-c", netScript, "sh", strconv.Itoa(int(m.Timeout.Round(time.Second).Seconds())), strconv.Itoa(netBatch)}
	for _, to := range all {
		if to == from {
			continue
		}
		for _, size := range m.Sizes {
			tries = append(tries, netTry{from: from, to: to, size: size, err: "no answer was told"})
			argv = append(argv, fmt.Sprintf("http://%s/%d", net.JoinHostPort(to.ip, strconv.Itoa(m.Port)), size))
		}
	}
	if len(tries) == 0 {
		return nil, nil
	}
	rounds := (len(tries) + netBatch - 1) / netBatch
	out, err := cluster.Query(ctx, PodCommand{
		Namespace: from.namespace, Pod: from.pod, Container: from.container,
		Argv: argv, Limit: time.Duration(rounds)*m.Timeout + httpSlack,
	})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return allFailed(tries, "no command can be run in "+from.words()+": "+err.Error()), nil
	case out.Code == httpNoClient:
		return nil, fmt.Errorf("pod %s: %s", from.words(), lastLine(out.Stderr))
	case out.Code != 0:
		return allFailed(tries, fmt.Sprintf("the command in %s ended with code %d: %s", from.words(), out.Code, lastLine(out.Stderr))), nil
	}
	m.read(out.Stdout, tries)
	return tries, nil
}

func allFailed(tries []netTry, why string) []netTry {
	for i := range tries {
		tries[i].err = why
	}
	return tries
}

// read takes what netScript printed, a line for each request in any order.
func (m *netMatrix) read(stdout string, tries []netTry) {
	for line := range strings.Lines(stdout) {
		found := netLine.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		n, err := strconv.Atoi(found[1])
		if err != nil || n >= len(tries) {
			continue
		}
		tries[n].err = m.wrong(tries[n].size, found[2], found[3], found[4])
	}
}

// wrong says what is wrong about one answer, or nothing.
func (m *netMatrix) wrong(size int, said, code, bytes string) string {
	came := "; " + bytes + " bytes came"
	switch {
	case code == "0" && bytes == strconv.Itoa(size):
		return ""
	case code == "0":
		return bytes + " bytes"
	case code == "143" || code == "124": // ended by timeout
		return "no answer within " + m.Timeout.String() + came
	case said == "":
		said = "wget ended with code " + code
	}
	return said + came
}

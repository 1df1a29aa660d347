//go:build linux

package lab

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"runbook/tests/lab/proc"
)

// holdChain is where the rules that hold sets are.
const holdChain = "LAB-HOLD"

// unhold takes all rules that hold sets away from a host.
const unhold = `
for from in OUTPUT PREROUTING; do
	while iptables -w -t raw -D $from -j ` + holdChain + ` 2>/dev/null; do :; done
done
iptables -w -t raw -F ` + holdChain + ` 2>/dev/null && iptables -w -t raw -X ` + holdChain + ` || true
`

// HoldSet lets an iptables rule on the host refer to a set, as Calico's own
// rules do: while it does, the set cannot be destroyed. The rule counts echo
// requests whose source is in the set, and nothing else, so that what Ping sends
// can be compared with what was Counted. release takes the rule away, though ctx
// be over; so does Reset.
func (l *Lab) HoldSet(ctx context.Context, host, set string) (release func() error, err error) {
	h, err := l.Host(host)
	if err != nil {
		return nil, err
	}
	release = func() error {
		_, err := l.in(context.WithoutCancel(ctx), h, unhold)
		return err
	}
	rule := fmt.Sprintf("-A %s -p icmp --icmp-type echo-request -m set --match-set %s src", holdChain, set)
	_, err = l.in(ctx, h, unhold+"iptables -w -t raw -N "+holdChain+"\niptables -w -t raw "+rule+`
for from in OUTPUT PREROUTING; do iptables -w -t raw -A $from -j `+holdChain+`; done`)
	return release, err
}

// Counted is how many packets the host's rule of HoldSet has counted.
func (l *Lab) Counted(ctx context.Context, host string) (packets int, err error) {
	h, err := l.Host(host)
	if err != nil {
		return 0, err
	}
	out, err := l.in(ctx, h, "iptables -w -t raw -nvxL "+holdChain+" 1")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(out), " ")
	packets, err = strconv.Atoi(first)
	if err != nil {
		return 0, fmt.Errorf("%s: no count in %q", h.Name, out)
	}
	return packets, nil
}

// Ping sends n echo requests from the host's own address to this machine, one
// after every pause, and fails if one was not answered.
func (l *Lab) Ping(ctx context.Context, host string, n int, pause time.Duration) error {
	r, err := l.process1(host)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "nsenter", "--target", fmt.Sprint(r.PID), "--net", "--",
		"busybox", "ping", "-q", "-c", strconv.Itoa(n), "-i", fmt.Sprint(pause.Seconds()), l.net.gateway)
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = proc.EndWithUs()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: ping: %w: %s", host, err, out)
	}
	if want := fmt.Sprintf("%[1]d packets transmitted, %[1]d packets received", n); !strings.Contains(string(out), want) {
		return fmt.Errorf("%s: ping: %q is wanted, found %s", host, want, out)
	}
	return nil
}

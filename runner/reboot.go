package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"runbook/modules"
)

const (
	rebootLimit = 10 * time.Minute // for a machine to come back, where the step names no limit: firmware of servers takes five
	returnEvery = time.Second      // between two tries to reach a machine that reboots
	returnTry   = 15 * time.Second // for one of them: a network that drops packets answers late once they pass again
	triggerTime = time.Minute      // for the order to reboot, which returns at once
)

// refused is how an edge marks an error that says that a machine answers and is
// not the one that is meant, or does not show that it is: time does not mend it.
type refused interface{ Refused() bool }

func isRefused(err error) bool {
	var r refused
	return errors.As(err, &r) && r.Refused()
}

// detached has a command run a moment later and outlive the connection: by systemd
// where that is at work, as a logout may end what the user has left behind.
const detached = `if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  exec systemd-run --quiet --collect --on-active=2 --timer-property=AccuracySec=100ms /bin/sh -c "$command"
fi
later=setsid
command -v setsid >/dev/null || later=
$later nohup /bin/sh -c "sleep 2; $command" </dev/null >/dev/null 2>&1 &
`

// ownWay is how a machine reboots that is not told how. A machine that has no way
// says so before anything is begun.
const ownWay = `if [ -d /run/systemd/system ]; then command='systemctl reboot'
elif command -v reboot >/dev/null; then command=reboot
elif command -v shutdown >/dev/null; then command='shutdown -r now'
else echo 'neither systemctl nor reboot nor shutdown is there' >&2; exit 127
fi
`

func rebootCommand(s modules.Reboot) modules.Run {
	how := ownWay
	if s.Command != "" {
		how = "command=" + modules.Quote(s.Command) + "\n"
	}
	return modules.Run{Shell: how + detached, Limit: triggerTime, Show: s.String()}
}

// reboot has the machine start anew, and returns when it tells of another boot. A
// lost connection is expected, and proves nothing.
func (l *loop) reboot(ctx context.Context, m Machine, id string, s modules.Reboot) (modules.Output, error) {
	if s.Boot == bootHere() {
		return modules.Output{}, errors.New("this is the machine that runbook itself runs on: it would not live to see it come back")
	}
	limit := s.Timeout
	if limit == 0 {
		limit = rebootLimit
	}
	out, err := m.Do(ctx, id, rebootCommand(s))
	if err != nil && !isUnreachable(err) || out.Code != 0 {
		return out, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errOverdue)
	defer cancel()
	return out, l.comeBack(ctx, s.Boot, limit)
}

var errOverdue = errors.New("the time to come back is over")

// bootHere is the boot of this machine; empty where it does not say.
func bootHere() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// comeBack asks over new connections until the machine tells of another boot.
func (l *loop) comeBack(ctx context.Context, boot string, limit time.Duration) error {
	var last error
	for {
		if sleep(ctx, returnEvery) != nil {
			return l.away(ctx, boot, limit, last)
		}
		now, err := l.meet(ctx)
		switch {
		case err == nil && now != boot:
			return nil
		case isRefused(err), err != nil && !isUnreachable(err):
			return fmt.Errorf("after the reboot: %w", err)
		}
		if words := seenAs(err); words != seenAs(last) || last == nil && err == nil {
			l.waiting([]modules.Diff{{What: l.target.name, Have: words, Want: "up with another boot than " + boot}})
		}
		if last == nil || ctx.Err() == nil { // a try that was cut off tells less than the one before
			last = err
		}
	}
}

// seenAs is what a try to reach a machine that reboots has shown.
func seenAs(err error) string {
	if err == nil {
		return "still up, with the boot that is to end"
	}
	return "away: " + err.Error()
}

// meet reaches the machine over a new connection, has it locked, and says which
// boot it is in.
func (l *loop) meet(ctx context.Context) (boot string, err error) {
	ctx, cancel := context.WithTimeout(ctx, returnTry)
	defer cancel()
	again, err := l.target.reopen(ctx)
	if err != nil {
		return "", away(ctx, err)
	}
	g, err := again.Lock(ctx, l.work.x.play.run.Holder)
	if err != nil {
		return "", away(ctx, err)
	}
	l.work.machine, l.work.x.boot = again, g.Boot
	return g.Boot, nil
}

// away is an error of a try that used up its time: one of a machine that cannot be
// reached.
func away(ctx context.Context, err error) error {
	if ctx.Err() != nil && !isUnreachable(err) {
		return &unreached{"", fmt.Errorf("no answer (%w)", err)}
	}
	return err
}

// away is the error of a machine that is not back in time, with what was last seen
// of it.
func (l *loop) away(ctx context.Context, boot string, limit time.Duration, last error) error {
	if context.Cause(ctx) != errOverdue {
		return context.Cause(ctx)
	}
	at := time.Now().Format(time.TimeOnly)
	if last == nil {
		return fmt.Errorf("did not go down within %s: at %s it was still up with the boot %s; look at its console", limit, at, boot)
	}
	return &unreached{l.target.name, fmt.Errorf("did not come back within %s after the reboot; last seen at %s: %w; look at its console", limit, at, last)}
}

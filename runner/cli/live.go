package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"runbook/runner"
	"runbook/runner/journal"
	"runbook/runner/plan"
	"runbook/runner/project"
)

// live is a run that is recorded, from its beginning or its resumption to its
// end. Whoever has one holds the project's lock.
type live struct {
	*work
	project  *project.Project
	key      *project.Key
	patience time.Duration
	id       string
	writer   *journal.Writer
	signed   *plan.Plan // the plan that is carried out; nil: none
	pending  []runner.Notification
	past     *runner.Past // of a run that is resumed
	doubt    func(context.Context, runner.Intent) (runner.Doubt, error)
}

// carryOut runs the engine, closes the journal and says what is left to do.
func (l *live) carryOut(ctx context.Context) error {
	show := l.view.screen(l.env)
	log := &busy{Journal: l.writer}
	stopping, over := l.env.interrupts.gently(log.hosts)
	r := l.engine(show)
	r.Journal, r.Seal, r.Past, r.Pending = log, l.key, l.past, l.pending
	r.Stopping, r.Patience, r.Doubt = stopping, l.patience, l.doubt
	r.Holder = runner.Holder{Run: l.id, Session: rand.Text(), Who: who(l.env), Since: time.Now()}
	if l.signed != nil {
		r.Signed = l.signed.Signed()
		r.Signed.Replan = l.set.Replan
	}
	sum, err := l.run(ctx, r)
	over()
	if err != nil && l.past == nil && log.puts() == 0 {
		l.neverWas(ctx, err)
	}
	l.close(log, show)
	if broken := log.err(); broken != nil {
		err = broken
	}
	return l.end(sum, err, log.puts() > 0)
}

// neverWas closes a run that could not begin, so that nobody resumes it.
func (l *live) neverWas(ctx context.Context, why error) {
	now := time.Now()
	for _, r := range []runner.Record{runner.Halted{Reason: why.Error(), At: now}, runner.Ended{At: now}} {
		if err := l.writer.Put(context.WithoutCancel(ctx), r, true); err != nil {
			l.warn("%s", err)
		}
	}
}

// close ends what was open. None of it changes what became of the run.
func (l *live) close(log *busy, show screen) {
	if err := l.writer.Close(); err != nil && log.err() == nil {
		log.fail(err)
	}
	if err := l.project.Checkpoint(); err != nil {
		l.warn("%s; nothing is lost: it is made again from the journals", err)
	}
	if err := show.Err(); !unread(err) {
		l.warn("the run's output could not be written: %s; runbook show %s has it", err, l.id)
	}
}

// end is the run's exit code, with what the operator can do now. An error of the
// run itself, once it has begun, is as bad as that of a host.
func (l *live) end(sum runner.Summary, err error, begun bool) error {
	switch {
	case err != nil && begun:
		return failure{fmt.Errorf("run %s was stopped: %w\n  what it did until then is recorded; when that is mended: runbook resume %s", l.id, err, l.id), exitFailed}
	case err != nil:
		return err
	case sum.Interrupted:
		l.warn("interrupted: runbook resume %s goes on", l.id)
	case sum.Failed, sum.Unreachable:
		l.warn("not done: when the cause is mended, runbook resume %s tries again what failed and goes on", l.id)
	}
	return exit(sum)
}

func (l *live) warn(format string, args ...any) {
	fmt.Fprintf(l.env.Stderr, "runbook: "+format+"\n", args...)
}

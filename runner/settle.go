package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"runbook/modules"
)

// keptFor bounds how long a target can tell that it never had a command: it
// sweeps what it keeps after a week.
const keptFor = 6 * 24 * time.Hour

// past settles what an earlier life of the run had begun, and not seen the end
// of. It reports over where that is the outcome; otherwise the module's Check
// decides, and dirty says that steps were taken all the same.
func (l *loop) past(ctx context.Context, m modules.Module, o *outcome) (over, dirty bool, err error) {
	w := l.work
	if w == nil {
		return false, false, nil
	}
	if len(w.begun) == 0 {
		err := remind(m, w.seen)
		w.seen = nil
		return err != nil, false, err
	}
	begun := w.begun
	w.begun = nil
	last := begun[len(begun)-1]
	if i := slices.IndexFunc(begun, func(i Intent) bool { return i.Seen != nil }); i >= 0 {
		if err := remind(m, begun[i].Seen); err != nil {
			w.unsettled = true
			return true, false, err
		}
	}
	for _, i := range begun {
		if i.ID != "" {
			w.ids = append(w.ids, i.ID) // forgotten once the outcome is written down
		}
		if i.Pod.Mark != "" {
			w.pods = append(w.pods, i.Pod)
		}
	}
	dirty = len(begun) > 1 // those before it had ended
	fate, out, err := l.fate(ctx, last)
	if err != nil {
		w.unsettled = true
		return true, dirty, err
	}
	w.settled = "before the interruption: " + string(fate)
	switch {
	case fate == Never:
		return false, dirty, nil
	case !last.Opaque:
		return false, true, nil
	case fate == Gone || w.cut && out.Code > 128: // ended by a signal, and not by its own will
		return l.doubt(ctx, m, begun, o)
	}
	o.status, o.output = Changed, append(o.output, out)
	return true, true, l.remaining(ctx, m, begun, out, o)
}

// remind tells a module what it saw before the steps that an earlier life took.
func remind(m modules.Module, seen []byte) error {
	r, ok := m.(modules.Rememberer)
	if !ok || seen == nil {
		return nil
	}
	if err := r.Recall(seen); err != nil {
		return fmt.Errorf("what was seen before the interruption: %w", err)
	}
	return nil
}

// fate asks the target what became of a step.
func (l *loop) fate(ctx context.Context, i Intent) (Fate, modules.Output, error) {
	if i.Pod.Mark != "" {
		return l.podFate(ctx, i)
	}
	if i.ID == "" {
		return Gone, modules.Output{}, nil
	}
	fate, out := Gone, modules.Output{}
	err := l.looking(ctx, func() (err error) {
		fate, out, err = l.collect(ctx, i.ID)
		return err
	})
	if err != nil {
		return Gone, out, err
	}
	if fate == Never && (i.Boot != l.work.x.boot || time.Since(i.At) > keptFor) {
		fate = Gone // the machine has forgotten, in a reboot or with time
	}
	return fate, out, nil
}

// collect asks the machine itself, which has to be the run's for that.
func (l *loop) collect(ctx context.Context, id string) (Fate, modules.Output, error) {
	machine, _, err := l.grip(ctx)
	if err != nil {
		return Gone, modules.Output{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	fate, out, err := machine.Collect(ctx, id)
	if err != nil && !isUnreachable(err) && ctx.Err() == nil {
		return Gone, out, nil // it was asked, and cannot say
	}
	return fate, out, err
}

// doubt lets the operator decide about a command of which nobody knows whether
// it did what it does.
func (l *loop) doubt(ctx context.Context, m modules.Module, begun []Intent, o *outcome) (over, dirty bool, err error) {
	w, i := l.work, begun[len(begun)-1]
	decision := Fail
	if ask := w.x.play.run.Doubt; ask != nil {
		if decision, err = ask(ctx, i); err != nil {
			w.unsettled = true
			return true, false, err
		}
	}
	switch decision {
	case Rerun:
		w.settled += ", run again as asked"
		if i.Step == 0 {
			return false, false, nil
		}
		o.status = Changed
		return true, true, l.remaining(ctx, m, begun[:len(begun)-1], modules.Output{}, o)
	case Skip:
		w.settled += ", taken as done as asked"
		o.status = Changed
		err := l.remaining(ctx, m, begun, modules.Output{}, o)
		o.vars = map[string]any{"msg": "it is not known how the command ended"}
		return true, true, err
	}
	w.unsettled = true
	return true, false, fmt.Errorf("it is not known whether this has run, as the run was interrupted at %s: %s; look, and then resume with --unknown=rerun or --unknown=skip",
		i.At.Format(time.DateTime), i.Command)
}

// remaining takes the steps of an opaque change that no earlier life of the run
// has begun; those of ended have come to their end, the last with this output. A
// change of a single step has nothing left, whatever a Check would say of it now.
func (l *loop) remaining(ctx context.Context, m modules.Module, ended []Intent, out modules.Output, o *outcome) error {
	last := ended[len(ended)-1]
	c, err := l.check(ctx, m)
	switch {
	case err != nil && last.Of == 1 && out.Code == 0:
		return nil // it has ended well: what it has changed since is no error
	case err != nil:
		l.work.unsettled = true
		return fmt.Errorf("going on after the interruption: %w", err)
	case len(c.Steps) > 0:
		o.change, o.vars = c, c.Vars
	}
	names, left := sinceFirst(ended), false
	var taken modules.Step = modules.Run{Show: last.Command}
	for i, s := range c.Steps {
		switch name := l.work.stepName(s, i); {
		case name == last.stepName():
			taken = s
		case !names[name]:
			left = true
		}
	}
	if out.Code != 0 && !expected(taken, out.Code) {
		return &StepError{Step: taken, Output: out}
	}
	if last.Of == 1 || !left {
		return nil
	}
	if err := l.work.approved(c, l.target.env, false); err != nil {
		return err
	}
	_, err = l.takeAll(ctx, m, c.Steps, names, o)
	return err
}

// sinceFirst is the names of the steps that the last attempt began.
func sinceFirst(begun []Intent) map[string]bool {
	names := map[string]bool{}
	for _, i := range slices.Backward(begun) {
		names[i.stepName()] = true
		if i.Step == 0 {
			break
		}
	}
	return names
}

// lostStep says whether a step ended in a way that leaves its effect open.
func lostStep(ctx context.Context, err error) bool {
	var step *StepError
	var open unsettled
	return errors.As(err, &step) && step.Err != nil &&
		(isUnreachable(step.Err) || ctx.Err() != nil || errors.As(step.Err, &open) && open.Unsettled())
}

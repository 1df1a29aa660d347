//go:build linux

// Command demo shows the incident and its end on the lab: the fault, the plan,
// the apply, a second plan that finds nothing to do, and what was measured.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"runbook/tests/incident"
	"runbook/tests/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := show(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// measured is how long one part took.
type measured struct {
	part string
	took time.Duration
}

type demo struct {
	incident.Operator
	parts []measured
}

func show(ctx context.Context) (err error) {
	d := &demo{}
	title("The lab: eight hosts, a cluster, the fault")
	err = d.timed("lab up", func() error {
		l, err := lab.Up(ctx, lab.Config{Fault: lab.ClassC, Log: os.Stderr})
		d.Operator = incident.Operator{Lab: l, Root: ".", Binary: "./runbook", Echo: os.Stdout}
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.down(ctx)) }()
	for _, part := range []func(context.Context) error{d.fault, d.page, d.plan, d.apply, d.again} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return d.report()
}

// down takes the lab away, also when the demo was interrupted.
func (d *demo) down(ctx context.Context) error {
	title("The lab goes")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	began := time.Now()
	err := d.Lab.Down(ctx)
	fmt.Printf("%8.1f s  lab down\n", time.Since(began).Seconds())
	return err
}

func (d *demo) fault(ctx context.Context) error {
	title("The fault, as the lab itself sees it")
	return d.expect(ctx, false)
}

// expect looks at the cluster without runbook.
func (d *demo) expect(ctx context.Context, healthy bool) error {
	report, err := d.Lab.Probes(ctx)
	if err != nil {
		return err
	}
	fmt.Print(report)
	if report.Healthy() != healthy {
		return fmt.Errorf("healthy: %v, want %v", report.Healthy(), healthy)
	}
	return nil
}

// page ends the fault as the operators did by hand, and puts it back.
func (d *demo) page(ctx context.Context) error {
	title("The page of shell, host after host")
	cmd := exec.CommandContext(ctx, "sh", "tests/lab/page.sh")
	cmd.Env = append(os.Environ(), "RUNBOOK_LAB_STATE="+d.Lab.StateDir(), "KUBECTL="+d.Lab.Kubectl(),
		"URLS="+strings.Join(d.Lab.URLs(), " "))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := d.timed("the page of shell", cmd.Run); err != nil {
		return err
	}
	return d.timed("fault put back", func() error { return d.Lab.Reset(ctx, lab.ClassC) })
}

func (d *demo) plan(ctx context.Context) error {
	title("runbook plan " + incident.Playbook)
	return d.run(ctx, "runbook plan", "plan", incident.Playbook)
}

func (d *demo) apply(ctx context.Context) error {
	title("runbook apply " + incident.Playbook)
	if err := d.run(ctx, "runbook apply", "apply", "--yes", incident.Playbook); err != nil {
		return err
	}
	title("The cluster afterwards, as the lab itself sees it")
	return d.expect(ctx, true)
}

func (d *demo) again(ctx context.Context) error {
	title("A second plan")
	out, err := d.Run(ctx, "plan", "--detailed-exitcode", incident.Playbook)
	if err == nil && !strings.Contains(out.Stdout, "\nPlan: 0 change,") {
		err = errors.New("the second plan finds something to change")
	}
	return err
}

func (d *demo) run(ctx context.Context, part string, args ...string) error {
	return d.timed(part, func() error {
		out, err := d.Run(ctx, args...)
		if err == nil && out.Code != 0 {
			err = fmt.Errorf("%s: exit code %d", part, out.Code)
		}
		return err
	})
}

// report prints what was measured. It judges nothing: one run on a shared
// machine is a number, not a verdict.
func (d *demo) report() error {
	title("Measured in this run")
	times := map[string]time.Duration{}
	for _, t := range d.Lab.Timings {
		fmt.Printf("%8.1f s  lab: %s\n", t.Took.Seconds(), t.Part)
	}
	for _, p := range d.parts {
		times[p.part] = p.took
		fmt.Printf("%8.1f s  %s\n", p.took.Seconds(), p.part)
	}
	ratio := times["the page of shell"].Seconds() / times["runbook apply"].Seconds()
	_, err := fmt.Printf("\nThe six steps by the page of shell took %.1f times as long as by runbook apply.\n", ratio)
	return err
}

func (d *demo) timed(part string, do func() error) error {
	began := time.Now()
	err := do()
	d.parts = append(d.parts, measured{part, time.Since(began)})
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return nil
}

func title(text string) { fmt.Printf("\n== %s\n\n", text) }

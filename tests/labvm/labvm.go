//go:build linux

package labvm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	labparts "runbook/tests/lab/parts"
	"runbook/tests/lab/proc"
	"runbook/tests/labvm/parts"
)

const (
	// partsWithin bounds making all parts with both caches empty.
	partsWithin = 30 * time.Minute
	// upWithin bounds everything after the parts, which takes two minutes.
	upWithin = 15 * time.Minute
	// downWithin bounds clearing up after a lab that did not come up.
	downWithin = time.Minute
)

// Lab is a running lab. It lives on when the program that brought it up ends;
// Open finds it again.
type Lab struct {
	Parts   parts.Parts
	Shared  labparts.Parts // what is made from the other lab's source: Kubernetes, programs
	Timings []Timing       // how long each part of Up took

	cfg Config
	net network
	mu  sync.Mutex // guards Timings
}

// Timing is how long one part took.
type Timing struct {
	Part string
	Took time.Duration
}

// saved is what Open needs to know of a running lab.
type saved struct {
	Bare    bool
	Subnet  string
	Cache   string
	Parts   parts.Parts
	Shared  labparts.Parts
	Timings []Timing
}

// Up brings a lab up and returns when every machine answers and, unless it is
// bare, every node is Ready and every pod runs. What an earlier lab left is
// cleared first. With an empty cache it takes three minutes more, and eight more
// if the other lab's is empty too.
func Up(ctx context.Context, cfg Config) (*Lab, error) {
	l, err := configured(cfg)
	if err != nil {
		return nil, err
	}
	if err := l.preflight(ctx); err != nil {
		return nil, fmt.Errorf("the lab of virtual machines cannot start: %w", err)
	}
	unlock, err := lockState(l.cfg.State)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := l.down(ctx); err != nil {
		return nil, fmt.Errorf("clear the earlier lab: %w", err)
	}
	if err := l.step("parts", func() error { return l.makeParts(ctx) }); err != nil {
		return nil, err
	}
	upCtx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	if err := l.step("all", func() error { return l.up(upCtx) }); err != nil {
		clear, cancel := context.WithTimeout(context.WithoutCancel(ctx), downWithin)
		defer cancel()
		return nil, errors.Join(err, l.keepLogs(), l.down(clear))
	}
	return l, l.save()
}

// Open finds the lab that is up.
func Open(cfg Config) (*Lab, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(cfg.State, "lab.json"))
	if err != nil {
		return nil, fmt.Errorf("no lab of virtual machines is up: %w", err)
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(cfg.State, "lab.json"), err)
	}
	cfg.Bare, cfg.Subnet, cfg.Cache = s.Bare, s.Subnet, s.Cache
	l, err := configured(cfg)
	if err != nil {
		return nil, err
	}
	l.Parts, l.Shared, l.Timings = s.Parts, s.Shared, s.Timings
	return l, nil
}

func configured(cfg Config) (*Lab, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	net, err := plan(cfg.Subnet)
	return &Lab{cfg: cfg, net: net}, err
}

func (l *Lab) save() error {
	data, err := json.MarshalIndent(saved{l.cfg.Bare, l.cfg.Subnet, l.cfg.Cache, l.Parts, l.Shared, l.Timings}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.path("lab.json"), data, 0o600)
}

// up does the work of Up. The machines boot while the control plane starts:
// their kubelets call until it answers.
func (l *Lab) up(ctx context.Context) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	if !l.cfg.Bare {
		// The control plane makes the kubeconfig that goes into the seeds.
		if err := l.step("control plane", func() error { return l.controlPlaneUp(ctx) }); err != nil {
			return err
		}
		g.Go(func() error { return l.step("cluster", func() error { return l.clusterUp(gctx) }) })
	}
	g.Go(func() error {
		return l.step("machines", func() error { return inParallel(l.net.hosts, func(h Host) error { return l.boot(gctx, h) }) })
	})
	return g.Wait()
}

// prepare writes the lab's own files and brings up what machines and control
// plane stand on.
func (l *Lab) prepare(ctx context.Context) error {
	for _, dir := range []string{"procs", "logs"} {
		if err := os.MkdirAll(l.path(dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(l.path("subnet"), []byte(l.cfg.Subnet), 0o600); err != nil {
		return err
	}
	if err := l.makeKeys(); err != nil {
		return err
	}
	if err := l.writeInventory(); err != nil {
		return err
	}
	if err := l.networkUp(ctx); err != nil {
		return err
	}
	return l.serveKernel(ctx)
}

// start runs a process of the lab on this machine, with a log of its own.
func (l *Lab) start(name string, cmd *exec.Cmd) (proc.Record, error) {
	log, err := os.OpenFile(l.path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return proc.Record{}, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return proc.Start(l.path("procs"), name, cmd)
}

// step does one part and notes how long it took.
func (l *Lab) step(part string, do func() error) error {
	began := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Timings = append(l.Timings, Timing{part, took.Round(time.Millisecond)})
	fmt.Fprintf(l.cfg.Log, "%6.1fs  %s\n", took.Seconds(), part)
	return nil
}

// path is a path in the lab's state.
func (l *Lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.cfg.State}, elem...)...)
}

// lockState lets one program at a time bring labs up and down.
func lockState(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another program is bringing this lab up or down (it holds %s.lock): wait for it", dir)
	}
	return func() { _ = f.Close() }, nil
}

// inParallel does one thing for every host side by side and returns all errors,
// in the order of the hosts.
func inParallel(hosts []Host, do func(Host) error) error {
	errs := make([]error, len(hosts))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() {
			if err := do(h); err != nil {
				errs[i] = fmt.Errorf("%s: %w", h.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

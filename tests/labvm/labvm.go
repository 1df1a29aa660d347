//go:build linux

package labvm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"runbook/tests/lab"
	labparts "runbook/tests/lab/parts"
	"runbook/tests/lab/state"
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

	state.Dir
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
	unlock, err := l.Lock()
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
	return &Lab{Dir: state.Dir(cfg.State), cfg: cfg, net: net}, err
}

func (l *Lab) save() error {
	data, err := json.MarshalIndent(saved{l.cfg.Bare, l.cfg.Subnet, l.cfg.Cache, l.Parts, l.Shared, l.Timings}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.Path("lab.json"), data, 0o600)
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
		return l.step("machines", func() error { return lab.InParallel(l.net.hosts, func(h Host) error { return l.boot(gctx, h) }) })
	})
	return g.Wait()
}

// prepare writes the lab's own files and brings up what machines and control
// plane stand on.
func (l *Lab) prepare(ctx context.Context) error {
	if err := l.Make(l.cfg.Subnet); err != nil {
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

//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"runbook/tests/lab/parts"
	"runbook/tests/lab/pki"
	"runbook/tests/lab/state"
)

const (
	// upWithin bounds Up with an empty cache on a slow machine.
	upWithin = 30 * time.Minute
	// downWithin bounds clearing up after a lab that did not come up.
	downWithin = time.Minute
)

// Lab is a running lab. It lives on when the program that brought it up ends;
// Open finds it again.
type Lab struct {
	Fault   Fault
	Install Install // how Calico came into the cluster
	Stacked bool    // as Config has it
	Parts   parts.Parts
	Timings []Timing // how long each part of Up took

	state.Dir
	cfg Config
	net network
	mu  sync.Mutex // guards Timings

	nodeGrace  time.Duration // how long a node may be silent; zero: as the incident's may
	ca, etcdCA pki.Pair      // while the lab comes up
}

// saved is what Open needs to know of a running lab.
type saved struct {
	Fault   Fault
	Install Install
	Stacked bool
	Subnet  string
	Cache   string
	Parts   parts.Parts
	Timings []Timing
}

// Up brings a lab up and returns when the cluster has settled: every host
// answers, every node is Ready, and the pods that the fault does not touch run.
// What an earlier lab left is cleared first. It takes five to eight minutes
// more when the cache is empty.
func Up(ctx context.Context, cfg Config) (*Lab, error) {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	net, err := plan(cfg.Subnet)
	if err != nil {
		return nil, err
	}
	if err := preflight(ctx, cfg, net); err != nil {
		return nil, fmt.Errorf("the lab cannot start: %w", err)
	}
	l := &Lab{Fault: cfg.Fault, Install: cfg.Install, Stacked: cfg.Stacked, Dir: state.Dir(cfg.State), cfg: cfg, net: net}
	unlock, err := l.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := l.down(ctx); err != nil {
		return nil, fmt.Errorf("clear the earlier lab: %w", err)
	}
	if err := l.up(ctx); err != nil {
		clear, cancel := context.WithTimeout(context.WithoutCancel(ctx), downWithin)
		defer cancel()
		l.keepLogs()
		if downErr := l.down(clear); downErr != nil {
			err = fmt.Errorf("%w (and clearing up: %w)", err, downErr)
		}
		return nil, err
	}
	return l, l.save()
}

// MakeParts makes what a lab is built from and keeps it in the cache, without
// bringing a lab up.
func MakeParts(ctx context.Context, cfg Config) (parts.Parts, error) {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	cfg, err := cfg.withDefaults()
	if err != nil {
		return parts.Parts{}, err
	}
	if os.Geteuid() != 0 {
		return parts.Parts{}, ErrNotRoot
	}
	return cfg.parts(ctx)
}

// Open finds the lab that is up.
func Open(cfg Config) (*Lab, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(cfg.State, "lab.json"))
	if err != nil {
		return nil, fmt.Errorf("no lab is up: %w", err)
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(cfg.State, "lab.json"), err)
	}
	net, err := plan(s.Subnet)
	if err != nil {
		return nil, err
	}
	cfg.Subnet, cfg.Cache, cfg.Fault, cfg.Install, cfg.Stacked = s.Subnet, s.Cache, s.Fault, s.Install, s.Stacked
	return &Lab{Fault: s.Fault, Install: s.Install, Stacked: s.Stacked, Parts: s.Parts, Timings: s.Timings, Dir: state.Dir(cfg.State), cfg: cfg, net: net}, nil
}

func (l *Lab) save() error {
	data, err := json.MarshalIndent(saved{l.Fault, l.Install, l.Stacked, l.cfg.Subnet, l.cfg.Cache, l.Parts, l.Timings}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.Path("lab.json"), data, 0o600)
}

// up does the work of Up. The control plane and the hosts come up side by side;
// kubelets start when both are there.
func (l *Lab) up(ctx context.Context) error {
	p, err := timed(l, "parts", func() (parts.Parts, error) { return l.cfg.parts(ctx) })
	if err != nil {
		return err
	}
	l.Parts = p
	began := time.Now()
	if err := l.prepare(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.step("control plane", func() error { return l.controlPlaneUp(gctx) }) })
	g.Go(func() error { return l.clientUp(gctx) })
	g.Go(func() error {
		if err := l.step("hosts", func() error { return l.eachHost(gctx, l.bootHost) }); err != nil {
			return err
		}
		if err := l.step("fault", func() error { return l.eachHost(gctx, l.injectFault) }); err != nil {
			return err
		}
		return l.step("images", func() error { return l.eachHost(gctx, l.importImages) })
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := l.step("cluster", func() error { return l.clusterUp(ctx) }); err != nil {
		return err
	}
	l.note("all", time.Since(began))
	return nil
}

// prepare writes the lab's own files and brings up what hosts and control plane
// stand on.
func (l *Lab) prepare(ctx context.Context) error {
	if err := l.Make(l.cfg.Subnet, "pki"); err != nil {
		return err
	}
	for _, h := range append([]Host{l.net.client}, l.net.hosts...) {
		if err := os.MkdirAll(l.Path("hosts", h.Name), 0o755); err != nil {
			return err
		}
	}
	if err := raise(watchersLimit, l.Path("watchers"), watchers); err != nil {
		return err
	}
	private, public, err := newKey("lab")
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.Path("id"), private, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(l.Path("id.pub"), public, 0o644); err != nil {
		return err
	}
	if err := l.makePKI(); err != nil {
		return err
	}
	if err := l.bridgeUp(ctx); err != nil {
		return err
	}
	return l.serveApt(ctx)
}

// eachHost does one thing on all hosts side by side, and reports all that went
// wrong.
func (l *Lab) eachHost(ctx context.Context, do func(context.Context, Host) error) error {
	return inParallel(l.net.hosts, func(h Host) error { return do(ctx, h) })
}

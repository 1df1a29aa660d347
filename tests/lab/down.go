//go:build linux

package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"runbook/tests/lab/cgroup"
	"runbook/tests/lab/proc"
	"runbook/tests/lab/state"
)

// stopGrace is what a daemon of the control plane gets to end by itself. Hosts
// get none: the power is cut.
const stopGrace = 3 * time.Second

// groupsWithin is how long the control groups of hosts that were killed may stay.
const groupsWithin = 10 * time.Second

// Down takes the lab down: no process, namespace, mount, interface or control
// group of it is left. Down of a lab that is not up does nothing.
func Down(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	l := &Lab{Dir: state.Dir(cfg.State), cfg: cfg}
	unlock, err := l.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return l.down(ctx)
}

// Down takes the lab down.
func (l *Lab) Down(ctx context.Context) error { return Down(ctx, l.cfg) }

func (l *Lab) down(ctx context.Context) error {
	if err := l.Ours("RUNBOOK_LAB_STATE"); err != nil {
		return err
	}
	records, err := proc.Load(l.Path("procs"))
	if err != nil {
		return err
	}
	err = inParallel(records, func(r proc.Record) error {
		grace := stopGrace
		if strings.HasPrefix(r.Name, "node") || strings.HasPrefix(r.Name, clientName) {
			grace = 0
		}
		return r.Stop(ctx, grace)
	})
	if err != nil {
		return err // what follows would pull the ground from under them
	}
	net, err := l.leftNetwork()
	if err != nil {
		return err
	}
	return errors.Join(removeLinks(ctx, net), removeGroups(ctx, net), lower(watchersLimit, l.Path("watchers")), os.RemoveAll(l.StateDir()))
}

// removeGroups removes the hosts' control groups. A host that was just booting
// when its machine ended has no record: it dies with the machine, in a moment.
func removeGroups(ctx context.Context, net network) error {
	return poll(ctx, groupsWithin, func(context.Context) error { return cgroup.Remove(net.cgroup()) })
}

// leftNetwork is the network of the lab that is to go down, which need not be
// the one that this program was told of.
func (l *Lab) leftNetwork() (network, error) {
	subnet, err := l.Subnet()
	if err != nil {
		return network{}, err
	}
	return plan(cmp.Or(subnet, l.cfg.Subnet)) // none if it has not come so far as to have one
}

// removeLinks removes the bridge and the cables. A cable goes with its host, but
// the kernel takes its time for that.
func removeLinks(ctx context.Context, net network) error {
	names := []string{net.name}
	for _, h := range append([]Host{net.client}, net.hosts...) {
		names = append(names, h.link)
	}
	for _, name := range names {
		if _, err := os.Stat("/sys/class/net/" + name); err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, "ip", "link", "delete", name).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "Cannot find device") && !strings.Contains(string(out), "No such device") {
			return fmt.Errorf("remove the interface %s: %w: %s", name, err, out)
		}
	}
	return nil
}

// keepLogs saves the logs of a lab that did not come up, where the next attempt
// does not clear them away.
func (l *Lab) keepLogs() {
	kept := filepath.Join(l.cfg.Cache, "failed-logs")
	errs := []error{os.RemoveAll(kept), os.CopyFS(kept, os.DirFS(l.Path("logs")))}
	for _, h := range l.net.hosts {
		logs := l.Path("hosts", h.Name, "upper/var/log/lab")
		if _, err := os.Stat(logs); err == nil { // else it has not come so far
			errs = append(errs, os.CopyFS(filepath.Join(kept, h.Name), os.DirFS(logs)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintf(l.cfg.Log, "the logs could not be kept: %v\n", err)
		return
	}
	fmt.Fprintf(l.cfg.Log, "the logs are kept in %s\n", kept)
}

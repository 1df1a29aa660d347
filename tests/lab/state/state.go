// Package state is the folder in which a running lab, of whichever kind, keeps
// what it needs: its lock, its keys, its inventory, the records and the logs of
// its processes. The folder goes with the lab.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"runbook/tests/lab/proc"
)

// Dir is the folder of one lab.
type Dir string

// StateDir is where the running lab keeps what it needs. It goes with the lab.
func (d Dir) StateDir() string { return string(d) }

// Path is a path in the folder.
func (d Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

// Inventory is the path of an inventory of the hosts, with what ssh needs to
// reach them.
func (d Dir) Inventory() string { return d.Path("inventory.ini") }

// KnownHosts is the path of the hosts' real keys.
func (d Dir) KnownHosts() string { return d.Path("known_hosts") }

// Key is the path of the private key that root and ops accept on every host.
func (d Dir) Key() string { return d.Path("id") }

// Kubeconfig is the path of an administrator's kubeconfig. A lab without a
// cluster has none.
func (d Dir) Kubeconfig() string { return d.Path("kubeconfig") }

// Lock lets one program at a time bring this lab up and down. It does not wait.
func (d Dir) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(string(d)), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(string(d)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another program is bringing this lab up or down (it holds %s.lock): wait for it", d)
	}
	return func() { _ = f.Close() }, nil
}

// Make makes the folder and these in it, and notes the lab's network for whoever
// takes the lab down.
func (d Dir) Make(subnet string, dirs ...string) error {
	for _, dir := range append([]string{"procs", "logs"}, dirs...) {
		if err := os.MkdirAll(d.Path(dir), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(d.Path("subnet"), []byte(subnet), 0o600)
}

// Subnet is the network that Make noted; empty if the lab has not come so far.
func (d Dir) Subnet() (string, error) {
	subnet, err := os.ReadFile(d.Path("subnet"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(subnet), err
}

// Ours refuses a folder that holds something else than a lab: it would be
// removed with all that is in it. An error names the variable that points to
// the folder.
func (d Dir) Ours(variable string) error {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(d.Path("procs")); err != nil {
		return fmt.Errorf("%s is not empty and holds no lab: point %s to a folder that may be removed", d, variable)
	}
	return nil
}

// Start runs a process of the lab on this machine, with a log of its own. It
// outlives this program.
func (d Dir) Start(name string, cmd *exec.Cmd) (proc.Record, error) {
	log, err := os.OpenFile(d.Path("logs", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return proc.Record{}, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return proc.Start(d.Path("procs"), name, cmd)
}

// Process is a process of the lab that runs.
func (d Dir) Process(name string) (proc.Record, error) {
	all, err := proc.Load(d.Path("procs"))
	if err != nil {
		return proc.Record{}, err
	}
	for _, r := range all {
		if r.Name == name && r.Alive() {
			return r, nil
		}
	}
	return proc.Record{}, fmt.Errorf("%s is not running: there is no lab, or %s says why", name, d.Path("logs", name+".log"))
}

// Host is a host as the inventory has it.
type Host struct {
	Name, Address, Group string // the group is control_plane or workers
	PublicKey            []byte // of its sshd, in OpenSSH's format
}

// WriteInventory writes the inventory and known_hosts.
func (d Dir) WriteInventory(hosts []Host) error {
	var known strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&known, "%s %s", h.Address, h.PublicKey)
	}
	if err := os.WriteFile(d.KnownHosts(), []byte(known.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(d.Inventory(), []byte(d.inventory(hosts)), 0o644)
}

func (d Dir) inventory(hosts []Host) string {
	var b strings.Builder
	for _, group := range []string{"control_plane", "workers"} {
		fmt.Fprintf(&b, "[%s]\n", group)
		for _, h := range hosts {
			if h.Group == group {
				fmt.Fprintf(&b, "%s ansible_host=%s\n", h.Name, h.Address)
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, `[nodes:children]
control_plane
workers

[nodes:vars]
ansible_user=root
ansible_ssh_private_key_file=%s
ansible_ssh_common_args='-o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes'
`, d.Key(), d.KnownHosts())
	return b.String()
}

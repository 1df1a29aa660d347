//go:build linux

// Command labctl brings the lab up and down, and looks at it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"syscall"

	"github.com/spf13/cobra"

	"runbook/modules"
	"runbook/tests/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(os.Stdout, os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "labctl:", err)
		os.Exit(1)
	}
}

func command(out, progress io.Writer) *cobra.Command {
	cfg := lab.Config{Log: progress}
	root := &cobra.Command{Use: "labctl", Short: "bring the lab up and down", SilenceUsage: true, SilenceErrors: true}
	root.PersistentFlags().StringVar(&cfg.Subnet, "subnet", "", "the lab's network, a /16 (default $RUNBOOK_LAB_SUBNET or "+lab.DefaultSubnet+")")
	root.AddCommand(up(&cfg, out), down(&cfg), status(&cfg, out), probe(&cfg, out), reset(&cfg), power(&cfg, out), renew(&cfg), makeParts(&cfg, out))
	return root
}

func faultFlag(c *cobra.Command) *string {
	return c.Flags().String("fault", string(lab.ClassC), "what is wrong: a (the image's ipset), b (somebody rewrites Calico's sets), c (the hosts' ipset), d (Felix cannot reach the API) or none")
}

func installFlag(c *cobra.Command) *string {
	return c.Flags().String("install", string(lab.Manifest), "how Calico came into the cluster: manifest (kube-system) or operator (calico-system)")
}

func up(cfg *lab.Config, out io.Writer) *cobra.Command {
	c := &cobra.Command{Use: "up", Short: "bring the incident up", Args: cobra.NoArgs}
	fault, install := faultFlag(c), installFlag(c)
	c.Flags().BoolVar(&cfg.Stacked, "stacked", false, "a cluster that can be upgraded host by host: etcd on the control plane's hosts, kernels, workloads (--fault is none by default then)")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if cfg.Stacked && !c.Flags().Changed("fault") {
			*fault = string(lab.None)
		}
		if cfg.Fault, err = lab.ParseFault(*fault); err != nil {
			return err
		}
		if cfg.Install, err = lab.ParseInstall(*install); err != nil {
			return err
		}
		l, err := lab.Up(c.Context(), *cfg)
		if err != nil {
			return err
		}
		show(out, l)
		return nil
	}
	return c
}

func down(cfg *lab.Config) *cobra.Command {
	return &cobra.Command{Use: "down", Short: "take the lab down, leaving nothing", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return lab.Down(c.Context(), *cfg)
	}}
}

func status(cfg *lab.Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "say where everything is and how long it took", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		l, err := lab.Open(*cfg)
		if err != nil {
			return err
		}
		show(out, l)
		for _, t := range l.Timings {
			fmt.Fprintf(out, "%8.1fs  %s\n", t.Took.Seconds(), t.Part)
		}
		return nil
	}}
}

func probe(cfg *lab.Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "probe", Short: "look whether the cluster works, without runbook", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		l, err := lab.Open(*cfg)
		if err != nil {
			return err
		}
		report, err := l.Probes(c.Context())
		if err != nil {
			return err
		}
		fmt.Fprint(out, report)
		if !report.Healthy() {
			return fmt.Errorf("%d of %d probes fail", len(report.Failed()), len(report.Probes))
		}
		return nil
	}}
}

func reset(cfg *lab.Config) *cobra.Command {
	c := &cobra.Command{Use: "reset", Short: "put the incident back, without rebuilding", Args: cobra.NoArgs}
	fault, install := faultFlag(c), installFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f, err := lab.ParseFault(*fault)
		if err != nil {
			return err
		}
		i, err := lab.ParseInstall(*install)
		if err != nil {
			return err
		}
		l, err := lab.Open(*cfg)
		if err != nil {
			return err
		}
		return l.ResetInstall(c.Context(), f, i)
	}
	return c
}

func power(cfg *lab.Config, out io.Writer) *cobra.Command {
	use := "power HOST [on|off|reboot|stay-off]"
	return &cobra.Command{Use: use, Short: "say what the machine of a host is doing, or boot it, cut its power, reboot it, or have it stay off at its next reboot", Args: cobra.RangeArgs(1, 2), RunE: func(c *cobra.Command, args []string) error {
		l, err := lab.Open(*cfg)
		if err != nil {
			return err
		}
		if len(args) == 2 {
			do, ok := map[string]func(context.Context, string) error{"on": l.PowerOn, "off": l.PowerOff, "reboot": l.Reboot, "stay-off": l.StayOff}[args[1]]
			if !ok {
				return fmt.Errorf("%q: on, off, reboot or stay-off is wanted", args[1])
			}
			if err := do(c.Context(), args[0]); err != nil {
				return err
			}
		}
		state, err := l.Machine(c.Context(), args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "power     %s\nwhy       %s\nboots     %d\nboot id   %s\nkernel    %s\nloaded    %s\n",
			state.Power, state.Why, state.Boots, state.BootID, state.Kernel, state.Loaded)
		return nil
	}}
}

func renew(cfg *lab.Config) *cobra.Command {
	return &cobra.Command{Use: "renew [HOST...]", Short: "make hosts of a stacked lab what they were when it came up; all of them if none is named", RunE: func(c *cobra.Command, args []string) error {
		l, err := lab.Open(*cfg)
		if err != nil {
			return err
		}
		return l.RenewHosts(c.Context(), args...)
	}}
}

// makeParts prints the parts as the variables by which tests of other packages
// find them, for a shell to eval.
func makeParts(cfg *lab.Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "parts", Short: "make the parts of a lab and say where they are", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		p, err := lab.MakeParts(c.Context(), *cfg)
		if err != nil {
			return err
		}
		for _, v := range [][2]string{
			{"RUNBOOK_ROOTFS", p.Base},
			{"RUNBOOK_OLD_IPSET", p.OldIpset},
			{"RUNBOOK_APISERVER", filepath.Join(p.Kube, "kube-apiserver")},
		} {
			fmt.Fprintf(out, "export %s=%s\n", v[0], modules.Quote(v[1]))
		}
		return nil
	}}
}

// show prints what a person needs to use the lab.
func show(out io.Writer, l *lab.Lab) {
	fmt.Fprintf(out, "fault       %s\ninstall     %s\ninventory   %s\nkubeconfig  %s\nca          %s\nssh         ssh -i %s -o UserKnownHostsFile=%s root@%s\n",
		l.Fault, l.Install, l.Inventory(), l.Kubeconfig(), l.CA(), l.Key(), l.KnownHosts(), l.Hosts()[0].Address)
	fmt.Fprintf(out, "kubectl     %s\n", l.Kubectl())
	if l.Stacked {
		fmt.Fprintf(out, "audit log   %s\n", l.AuditLog())
	}
	for _, url := range l.URLs() {
		fmt.Fprintf(out, "url         %s\n", url)
	}
	names := l.Resolve()
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	sort.Strings(sorted)
	for _, name := range sorted {
		fmt.Fprintf(out, "name        %s is %s\n", name, names[name])
	}
}

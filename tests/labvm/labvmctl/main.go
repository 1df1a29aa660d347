//go:build linux

// Command labvmctl brings the lab of virtual machines up and down, and looks at it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"runbook/tests/labvm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(os.Stdout, os.Stderr).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "labvmctl:", err)
		os.Exit(1)
	}
}

func command(out, progress io.Writer) *cobra.Command {
	cfg := labvm.Config{Log: progress}
	root := &cobra.Command{Use: "labvmctl", Short: "bring the lab of virtual machines up and down", SilenceUsage: true, SilenceErrors: true}
	root.PersistentFlags().StringVar(&cfg.Subnet, "subnet", "", "the lab's network, a /16 (default $RUNBOOK_LABVM_SUBNET or "+labvm.DefaultSubnet+")")
	root.AddCommand(up(&cfg, out), down(&cfg), status(&cfg, out), reset(&cfg), console(&cfg, out), makeParts(&cfg, out))
	return root
}

func up(cfg *labvm.Config, out io.Writer) *cobra.Command {
	c := &cobra.Command{Use: "up", Short: "bring three machines and their cluster up", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		l, err := labvm.Up(c.Context(), *cfg)
		if err != nil {
			return err
		}
		show(out, l)
		return nil
	}}
	c.Flags().BoolVar(&cfg.Bare, "bare", false, "machines only, without a cluster")
	return c
}

func down(cfg *labvm.Config) *cobra.Command {
	return &cobra.Command{Use: "down", Short: "take the lab down, leaving nothing", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return labvm.Down(c.Context(), *cfg)
	}}
}

func status(cfg *labvm.Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "say where everything is and how long it took", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		l, err := labvm.Open(*cfg)
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

func reset(cfg *labvm.Config) *cobra.Command {
	return &cobra.Command{Use: "reset [MACHINE...]", Short: "give machines fresh disks, all or those named", RunE: func(c *cobra.Command, names []string) error {
		l, err := labvm.Open(*cfg)
		if err != nil {
			return err
		}
		return l.Reset(c.Context(), names...)
	}}
}

func console(cfg *labvm.Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "console MACHINE", Short: "print what a machine has said on its console", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		l, err := labvm.Open(*cfg)
		if err != nil {
			return err
		}
		log, err := l.Console(args[0])
		fmt.Fprint(out, log)
		return err
	}}
}

func makeParts(cfg *labvm.Config, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "parts", Short: "make the parts of a lab and say where they are", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		p, err := labvm.MakeParts(c.Context(), *cfg)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "disk     %s\npackages %s\nkernels  %s, then %s\n", p.Disk, p.KernelDebs, p.OldKernel, p.NewKernel)
		return nil
	}}
}

func show(out io.Writer, l *labvm.Lab) {
	fmt.Fprintf(out, "inventory   %s\nkernels     %s, then %s\nssh         ssh -i %s -o UserKnownHostsFile=%s root@%s\n",
		l.Inventory(), l.Parts.OldKernel, l.Parts.NewKernel, l.Key(), l.KnownHosts(), l.Hosts()[0].Address)
	if _, err := os.Stat(l.Kubeconfig()); err == nil {
		fmt.Fprintf(out, "kubeconfig  %s\nkubectl     %s\n", l.Kubeconfig(), l.Kubectl())
	}
}

//go:build linux

package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"runbook/tests/lab/parts"
)

const (
	// newerSuite has the newer kernel.
	newerSuite = "bookworm-backports"
	kernelMeta = "linux-image-cloud-amd64"
	keyring    = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// plainNames takes out of a file name what apt would write as a percent sign and
// a number: of a server that has no Release file it wants such a name twice
// encoded, and finds nothing.
var plainNames = strings.NewReplacer("+", "-", "~", "-", ":", "-", "%3a", "-")

// kernel is the packages that apt would fetch to bring the tree's kernel up to
// the newer suite's.
func (c Cache) kernel(ctx context.Context, kept parts.Cache, tree string) (string, error) {
	name := "kernel-" + parts.Key(newerSuite, kernelMeta, filepath.Base(tree), "plain names")
	return kept.Once(name, func(dir string) error {
		// apt's own folders stand apart: neither this machine's lists nor the tree
		// are touched.
		apt, err := os.MkdirTemp("", "labvm-apt-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(apt)
		options, err := aptOptions(ctx, apt, tree)
		if err != nil {
			return err
		}
		if _, err := parts.Run(exec.CommandContext(ctx, "apt-get", append(options, "update")...)); err != nil {
			return err
		}
		get := append(options, "--yes", "--no-install-recommends", "--download-only", "--target-release="+newerSuite, "install", kernelMeta)
		if _, err := parts.Run(exec.CommandContext(ctx, "apt-get", get...)); err != nil {
			return err
		}
		return copyPlain(filepath.Join(apt, "cache/archives"), dir)
	})
}

// aptOptions let apt work on the tree's packages, with both suites to choose
// from, and keep all it needs in a folder of its own.
func aptOptions(ctx context.Context, apt, tree string) ([]string, error) {
	mirror, err := parts.Mirror(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
			return nil, err
		}
	}
	var sources string
	for _, s := range []string{suite, newerSuite} {
		sources += fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, mirror, s)
	}
	list := filepath.Join(apt, "sources.list")
	return []string{
		"-q", "-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::Etc::preferencesparts=-",
		"-o", "Dir::State::Lists=" + filepath.Join(apt, "lists"), "-o", "Dir::Cache=" + filepath.Join(apt, "cache"),
		"-o", "Dir::State::Status=" + filepath.Join(tree, "var/lib/dpkg/status"),
		"-o", "APT::Sandbox::User=root", "-o", "APT::Update::Error-Mode=any",
	}, os.WriteFile(list, []byte(sources), 0o644)
}

// copyPlain copies the packages of a folder into another, under plain names.
func copyPlain(from, to string) error {
	debs, err := filepath.Glob(filepath.Join(from, "*.deb"))
	if err != nil {
		return err
	}
	if len(debs) == 0 {
		return errors.New("apt fetched no package: the tree's kernel is the newest")
	}
	for _, deb := range debs {
		data, err := os.ReadFile(deb)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, plainNames.Replace(filepath.Base(deb))), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// releaseOf is the release of the only kernel among the packages, as uname -r
// says it.
func releaseOf(ctx context.Context, debs string) (string, error) {
	deb, err := one(filepath.Join(debs, "linux-image-[0-9]*.deb"))
	if err != nil {
		return "", err
	}
	name, err := parts.Run(exec.CommandContext(ctx, "dpkg-deb", "--field", deb, "Package"))
	return strings.TrimPrefix(strings.TrimSpace(name), "linux-image-"), err
}

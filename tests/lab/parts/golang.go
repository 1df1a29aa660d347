package parts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	kubeVersion = "v1.34.4"
	kubeLDFlags = "-s -w -X k8s.io/component-base/version.gitVersion=" + kubeVersion +
		" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
)

// kubePrograms are built one after the other, so that progress can be seen.
var kubePrograms = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

// programs builds the lab's own programs, always: Go's own cache makes that
// cheap, and they are never stale.
func (c Cache) programs(ctx context.Context) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	out := filepath.Join(c.Dir, "programs")
	return out, goBuild(ctx, root, "-s -w", out+"/", "./tests/lab/programs/...", "./tests/lab/images/...")
}

func (c Cache) kubernetes(ctx context.Context) (string, error) {
	return c.module(ctx, "kube", func(src, dir string) error {
		for _, p := range kubePrograms {
			c.logf("building %s %s ...", p, kubeVersion)
			if err := goBuild(ctx, src, kubeLDFlags, dir+"/", "k8s.io/kubernetes/cmd/"+p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c Cache) coredns(ctx context.Context) (string, error) {
	return c.module(ctx, "coredns", func(src, dir string) error {
		return goBuild(ctx, src, "-s -w", dir+"/", ".")
	})
}

// module is the cache entry of a nested Go module under tests/lab, made anew
// when its versions change.
func (c Cache) module(ctx context.Context, name string, build func(src, dir string) error) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	src := filepath.Join(root, "tests", "lab", name)
	inputs := []string{kubeLDFlags}
	for _, file := range []string{"go.mod", "go.sum", "main.go", "tools.go"} {
		data, err := os.ReadFile(filepath.Join(src, file))
		if err != nil && !os.IsNotExist(err) {
			return "", err
		}
		inputs = append(inputs, string(data))
	}
	return c.once(name+"-"+key(inputs...), func(dir string) error { return build(src, dir) })
}

func goBuild(ctx context.Context, src, ldflags, out string, packages ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags", ldflags, "-o", out}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	_, err := run(cmd)
	return err
}

// moduleRoot is the folder of runbook's own go.mod. The lab is built from
// source, so it needs the source at hand.
func moduleRoot(ctx context.Context) (string, error) {
	dir, err := run(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "runbook"))
	return strings.TrimSpace(dir), err
}

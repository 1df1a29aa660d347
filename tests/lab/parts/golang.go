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
// cheap, and they are never stale. What came out has a place of its own by its
// content: a lab that is up starts programs at every boot of a host, and another
// copy of the source may build others meanwhile.
func (c Cache) programs(ctx context.Context) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	built, err := os.MkdirTemp(c.Dir, "building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(built)
	if err := goBuild(ctx, root, "-s -w", built+"/", "./tests/lab/programs/...", "./tests/lab/images/..."); err != nil {
		return "", err
	}
	sums, err := digests(built)
	if err != nil {
		return "", err
	}
	return c.once("programs-"+key(sums...), func(dir string) error { return os.CopyFS(dir, os.DirFS(built)) })
}

// digests are the names and contents of the files in a folder, in short.
func digests(dir string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		out = append(out, filepath.Base(p), key(string(data)))
	}
	return out, nil
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

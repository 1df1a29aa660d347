package modules

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

func (k *kubectl) validBackup() error {
	if !path.IsAbs(k.Backup) || strings.HasSuffix(k.Backup, "/") {
		return fmt.Errorf("backup is %q; it takes an absolute path: a directory that is there, and how the name begins, such as /root/backup/calico", k.Backup)
	}
	if len(k.Groups)+len(k.Objects) == 0 {
		return errors.New("backup takes groups or objects: what is to be kept")
	}
	for _, one := range k.Objects {
		if kind, name, _ := strings.Cut(one, "/"); kind == "" || name == "" || strings.Contains(name, "/") {
			return fmt.Errorf("objects: %q is not KIND/NAME", one)
		}
	}
	return nil
}

// backup keeps a state of the cluster in one file, which is there whole or not at
// all. Its name says which state: that of the first look, so that what changes
// while it is written is no new difference.
func (k *kubectl) backup(ctx context.Context, c outlook) (Change, error) {
	objects, err := k.kept(ctx, c)
	if err != nil {
		return Change{}, err
	}
	if len(objects) == 0 {
		return Change{}, fmt.Errorf("backup: there is nothing to keep: no custom kind of the groups [%s], and none of the objects [%s]",
			strings.Join(k.Groups, ", "), strings.Join(k.Objects, ", "))
	}
	file := k.Backup + "-" + k.stateMark(objects) + ".yaml"
	there, err := c.target.ReadFile(ctx, file)
	if err != nil {
		return Change{}, err
	}
	kinds := map[string]bool{}
	for _, o := range objects {
		kinds[dig[string](o, "kind")] = true
	}
	change := Change{Vars: map[string]any{"file": file, "count": len(objects), "kinds": len(kinds)}}
	if there.Exists {
		return change, nil
	}
	text, err := backupText(objects)
	if err != nil {
		return Change{}, err
	}
	change.Diffs = []Diff{{What: "backup " + k.Backup, Have: "none of this state", Want: "one"}}
	change.Steps = []Step{Write{Path: file, Data: text, Mode: 0o600, Secret: true, Event: true}}
	return change, nil
}

// kept reads what is to be kept: definitions first, then what needs them.
func (k *kubectl) kept(ctx context.Context, c outlook) ([]Object, error) {
	var definitions, customs, others []Object
	all, err := c.List(ctx, Ref{Kind: "customresourcedefinition", APIVersion: "apiextensions.k8s.io/v1"})
	if err != nil {
		return nil, err
	}
	for _, crd := range all {
		group := dig[string](crd, "spec", "group")
		if !slices.Contains(k.Groups, group) {
			continue
		}
		definitions = append(definitions, crd)
		found, err := c.List(ctx, Ref{Kind: dig[string](crd, "spec", "names", "plural") + "." + group, Namespace: "*"})
		if err != nil {
			return nil, err
		}
		customs = append(customs, found...)
	}
	for _, one := range k.Objects {
		kind, name, _ := strings.Cut(one, "/")
		o, err := c.Get(ctx, Ref{Kind: kind, Name: name, Namespace: k.Namespace})
		if err != nil {
			return nil, err
		}
		if o != nil {
			others = append(others, o)
		}
	}
	return slices.Concat(definitions, customs, others), nil
}

// stateMark names the state that was found first.
func (k *kubectl) stateMark(objects []Object) string {
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	if k.seen.mark == "" {
		sum := sha256.New()
		for _, o := range objects {
			fmt.Fprintln(sum, uidOf(o), dig[string](o, "metadata", "resourceVersion"))
		}
		k.seen.mark = fmt.Sprintf("%x", sum.Sum(nil)[:6])
	}
	return k.seen.mark
}

// backupText is YAML that kubectl takes, also where the objects are gone.
func backupText(objects []Object) ([]byte, error) {
	text := []byte("# A backup that runbook made. What is gone comes back with kubectl create -f, what has changed with kubectl replace -f.\n")
	for _, o := range objects {
		one, err := yaml.Marshal(unborn(o))
		if err != nil {
			return nil, fmt.Errorf("backup: %s: %w", objectTitle(o), err)
		}
		text = append(append(text, "---\n"...), one...)
	}
	return text, nil
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// argv is the command as a list of words.
func (k *kubectl) argv() ([]string, error) {
	list, ok := k.Command.([]any)
	switch {
	case k.Command == nil || ok && len(list) == 0:
		return nil, errors.New("command is missing; write it as a list: [ls, -l]")
	case !ok:
		return nil, fmt.Errorf("command is %s; write it as a list of words, for a shell line as [sh, -c, ...]", oneLineJSON(k.Command))
	}
	words := make([]string, len(list))
	for i, item := range list {
		switch item := item.(type) {
		case string:
			words[i] = item
		case map[string]any, []any, nil:
			return nil, fmt.Errorf("command: word %d is %s; it takes text and numbers", i+1, oneLineJSON(item))
		default:
			words[i] = fmt.Sprint(item)
		}
	}
	return words, nil
}

func (k *kubectl) validExec() error {
	_, err := k.argv()
	return errors.Join(k.validPods(), err)
}

// exec runs the command in every selected pod: as a look if it changes nothing,
// as a step otherwise.
func (k *kubectl) exec(ctx context.Context, c Cluster) (Change, error) {
	pods, err := k.standing(ctx, c)
	if err != nil {
		return Change{}, err
	}
	if k.ReadOnly {
		return k.execReadOnly(ctx, c, pods)
	}
	var change Change
	for _, pod := range pods {
		if phase := dig[string](pod, "status", "phase"); phase != "Running" {
			return Change{}, fmt.Errorf("%s is not running (phase %s); wait for it, or select with fields: status.phase=Running", podWords(pod), phase)
		}
		in, err := k.podCommand(pod)
		if err != nil {
			return Change{}, err
		}
		words := []string{"exec", in.Pod, "-c", in.Container}
		if in.Stdin != "" {
			words = append(words, "-i")
		}
		change.Steps = append(change.Steps, PodExec{PodCommand: in, Command: kubectlLine(in.Namespace, append(append(words, "--"), in.Argv...)...)})
	}
	return change, nil
}

func (k *kubectl) podCommand(pod Object) (PodCommand, error) {
	argv, err := k.argv()
	return PodCommand{
		Namespace: dig[string](pod, "metadata", "namespace"), Pod: nameOf(pod), Container: k.containerOf(pod),
		Argv: argv, Stdin: k.Stdin, Limit: k.limit(0),
	}, err
}

func (k *kubectl) execReadOnly(ctx context.Context, c Cluster, pods []Object) (Change, error) {
	change := Change{Wait: Wait{On: []Ref{k.ref()}, Interval: lookEvery}}
	results := []any{}
	for _, pod := range pods {
		in, err := k.podCommand(pod)
		if err != nil {
			return Change{}, err
		}
		out, err := c.Query(ctx, in)
		if err != nil {
			return Change{}, err
		}
		results = append(results, map[string]any{
			"pod": in.Pod, "node": dig[string](pod, "spec", "nodeName"), "container": in.Container,
			"rc": out.Code, "stdout": strings.TrimRight(out.Stdout, "\r\n"), "stderr": strings.TrimRight(out.Stderr, "\r\n"),
		})
		if out.Code != 0 {
			have := strings.TrimSpace(fmt.Sprintf("exit code %d %s", out.Code, lastWords(out)))
			change.Diffs = append(change.Diffs, Diff{What: strings.Join(in.Argv, " ") + " in " + podWords(pod), Have: have, Want: "exit code 0"})
		}
	}
	change.Vars = map[string]any{"pods": results, "count": len(results)}
	return awaiting(change, k.limit(0))
}

// lastWords is the end of what a command said, where the reason mostly is.
func lastWords(out Output) string {
	for _, text := range []string{out.Stderr, out.Stdout} {
		if lines := logLines(strings.TrimSpace(text)); len(lines) > 0 {
			return lines[len(lines)-1]
		}
	}
	return ""
}

func (k *kubectl) validRun() error {
	_, err := k.argv()
	switch {
	case err != nil:
		return err
	case k.Image == "":
		return errors.New("image is missing")
	case k.Namespace == "*":
		return errors.New("a pod runs in one namespace; say which instead of \"*\"")
	}
	return nil
}

// run is one step that makes, awaits and removes a pod.
func (k *kubectl) run(context.Context, Cluster) (Change, error) {
	argv, err := k.argv()
	if err != nil {
		return Change{}, err
	}
	command := make([]any, len(argv))
	for i, word := range argv {
		command[i] = word
	}
	env := []any{}
	for _, name := range slices.Sorted(maps.Keys(k.Env)) {
		env = append(env, map[string]any{"name": name, "value": k.Env[name]})
	}
	container := map[string]any{"name": "run", "image": k.Image, "command": command, "env": env}
	spec := map[string]any{"restartPolicy": "Never", "containers": []any{container}}
	if k.HostNetwork {
		spec["hostNetwork"] = true
	}
	line := []string{"run", k.Run, "--image=" + k.Image, "--restart=Never", "--attach", "--rm"}
	if k.Node != "" {
		// A node that is being repaired is tainted; that is when one wants to look.
		spec["nodeName"], spec["tolerations"] = k.Node, []any{map[string]any{"operator": "Exists"}}
	}
	if overrides := k.overrides(spec); overrides != "" {
		line = append(line, "--overrides="+overrides)
	}
	meta := map[string]any{"name": k.Run}
	if k.Namespace != "" {
		meta["namespace"] = k.Namespace
	}
	pod := Object{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
	line = append(append(line, "--command", "--"), argv...)
	return Change{Steps: []Step{PodRun{Pod: pod, Limit: k.limit(waitDefault), Command: kubectlLine(k.Namespace, line...)}}}, nil
}

// overrides is what kubectl run has no flag for.
func (k *kubectl) overrides(spec map[string]any) string {
	extra := map[string]any{}
	for _, key := range []string{"nodeName", "hostNetwork", "tolerations"} {
		if v, ok := spec[key]; ok {
			extra[key] = v
		}
	}
	if len(extra) == 0 {
		return ""
	}
	return oneLineJSON(map[string]any{"spec": extra})
}

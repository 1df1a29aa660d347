package modules

import (
	"context"
	"errors"
	"fmt"
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
func (k *kubectl) exec(ctx context.Context, c outlook) (Change, error) {
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

func (k *kubectl) execReadOnly(ctx context.Context, c outlook, pods []Object) (Change, error) {
	change := Change{Wait: Wait{On: []Ref{k.ref()}, Interval: lookEvery}}
	outputs, err := atOnce(pods, func(pod Object) (Output, error) {
		in, err := k.podCommand(pod)
		if err != nil {
			return Output{}, err
		}
		return c.Query(ctx, in)
	})
	if err != nil {
		return Change{}, err
	}
	argv, err := k.argv()
	if err != nil {
		return Change{}, err
	}
	results := []any{}
	for i, pod := range pods {
		out := outputs[i]
		results = append(results, map[string]any{
			"pod": nameOf(pod), "node": dig[string](pod, "spec", "nodeName"), "container": k.containerOf(pod),
			"rc": out.Code, "stdout": strings.TrimRight(out.Stdout, "\r\n"), "stderr": strings.TrimRight(out.Stderr, "\r\n"),
		})
		if out.Code != 0 {
			have := strings.TrimSpace(fmt.Sprintf("exit code %d %s", out.Code, lastWords(out)))
			change.Diffs = append(change.Diffs, Diff{What: strings.Join(argv, " ") + " in " + podWords(pod), Have: have, Want: "exit code 0"})
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

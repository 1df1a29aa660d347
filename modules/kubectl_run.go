package modules

import (
	"context"
	"errors"
	"maps"
	"slices"
)

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
func (k *kubectl) run(context.Context, outlook) (Change, error) {
	argv, err := k.argv()
	if err != nil {
		return Change{}, err
	}
	placing := k.placing()
	step := PodRun{Pod: k.pod(argv, placing), Limit: k.limit(waitDefault)}
	words := []string{"run", k.Run, "--image=" + k.Image, "--restart=Never", "--attach", "--rm"}
	for _, name := range slices.Sorted(maps.Keys(k.Env)) {
		words = append(words, "--env="+name+"="+k.Env[name])
	}
	if len(placing) > 0 {
		words = append(words, "--overrides="+oneLineJSON(map[string]any{"spec": placing}))
	}
	step.Command = kubectlLine(k.Namespace, append(append(words, "--command", "--"), argv...)...)
	return Change{Steps: []Step{step}}, nil
}

// placing is what of the pod kubectl run has no flag for: where it runs. A node
// that is being repaired is tainted, and that is when one wants to look.
func (k *kubectl) placing() map[string]any {
	placing := map[string]any{}
	if k.Node != "" {
		placing["nodeName"], placing["tolerations"] = k.Node, []any{map[string]any{"operator": "Exists"}}
	}
	if k.HostNetwork {
		placing["hostNetwork"] = true
	}
	return placing
}

func (k *kubectl) pod(argv []string, placing map[string]any) Object {
	command, env := []any{}, []any{}
	for _, word := range argv {
		command = append(command, word)
	}
	for _, name := range slices.Sorted(maps.Keys(k.Env)) {
		env = append(env, map[string]any{"name": name, "value": k.Env[name]})
	}
	spec := map[string]any{"restartPolicy": "Never", "containers": []any{
		map[string]any{"name": "run", "image": k.Image, "command": command, "env": env},
	}}
	maps.Copy(spec, placing)
	meta := map[string]any{"name": k.Run}
	if k.Namespace != "" {
		meta["namespace"] = k.Namespace
	}
	return Object{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
}

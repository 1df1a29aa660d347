package modules

import (
	"context"
	"errors"
	"maps"
	"slices"
)

func (k *kubectl) get(ctx context.Context, c outlook) (Change, error) {
	ref := k.ref()
	found, err := selectObjects(ctx, c, ref)
	if err != nil {
		return Change{}, err
	}
	vars := foundVars(found)
	var vague Unforeseen
	for _, o := range found {
		if err := c.staying(o); errors.As(err, &vague) {
			return Change{Vars: map[string]any{"items": vague, "pods": vague, "nodes": vague, "count": vague, "found": vague}}, nil
		}
		if err := c.settled(o); errors.As(err, &vague) && !slices.Contains(statusless, dig[string](o, "kind")) {
			vars["items"], vars["pods"], vars["nodes"] = vague, vague, vague
		}
	}
	return Change{Vars: vars}, nil
}

// statusless are kinds of which all is known that their author has said.
var statusless = []string{
	"ConfigMap", "Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "StorageClass", "LimitRange",
}

// foundVars is what register gets of objects: themselves, and for pods and nodes
// what playbooks ask most.
func foundVars(found []Object) map[string]any {
	list, pods, nodes := []any{}, []any{}, []any{}
	for _, o := range found {
		list = append(list, withoutBookkeeping(o))
		switch dig[string](o, "kind") {
		case "Pod":
			pods = append(pods, podFacts(o))
		case "Node":
			nodes = append(nodes, nodeFacts(o))
		}
	}
	return map[string]any{"items": list, "pods": pods, "nodes": nodes, "count": len(list), "found": len(list) > 0}
}

// withoutBookkeeping leaves out who owns which field: the server's own notes,
// often longer than the object.
func withoutBookkeeping(o Object) Object {
	meta := maps.Clone(dig[map[string]any](o, "metadata"))
	delete(meta, "managedFields")
	o = maps.Clone(o)
	o["metadata"] = meta
	return o
}

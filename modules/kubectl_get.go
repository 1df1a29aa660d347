package modules

import (
	"context"
	"maps"
)

func (k *kubectl) get(ctx context.Context, c Cluster) (Change, error) {
	ref := k.ref()
	found, err := selectObjects(ctx, c, ref)
	if err != nil {
		return Change{}, err
	}
	return Change{Vars: foundVars(found)}, nil
}

// foundVars is what register gets of objects: themselves, and for pods what
// playbooks ask most.
func foundVars(found []Object) map[string]any {
	list, pods := []any{}, []any{}
	for _, o := range found {
		list = append(list, withoutBookkeeping(o))
		if dig[string](o, "kind") == "Pod" {
			pods = append(pods, podFacts(o))
		}
	}
	return map[string]any{"items": list, "pods": pods, "count": len(list), "found": len(list) > 0}
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

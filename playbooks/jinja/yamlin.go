package jinja

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"runbook/runner/source"
)

// fromYAML reads one YAML document, with the scalars of YAML 1.1 as Ansible has
// them. The text is not quoted in errors: it may hold a secret.
func fromYAML(b *budget, text string) (Value, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, errors.New("the text is no YAML")
	}
	if len(doc.Content) == 0 {
		return None{}, nil
	}
	return yamlValue(b, doc.Content[0], 0)
}

// yamlValue pays for every node, so that aliases of aliases cannot fill the
// memory.
func yamlValue(b *budget, n *yaml.Node, depth int) (Value, error) {
	if err := b.spend(1); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("the YAML has more than %d levels", maxDepth)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return yamlValue(b, n.Alias, depth+1)
	case yaml.SequenceNode:
		items := make([]Value, len(n.Content))
		for i, item := range n.Content {
			v, err := yamlValue(b, item, depth+1)
			if err != nil {
				return nil, err
			}
			items[i] = v
		}
		return newList(items), nil
	case yaml.MappingNode:
		return yamlDict(b, n, depth)
	}
	return FromGo(source.Scalar(n)), nil
}

func yamlDict(b *budget, n *yaml.Node, depth int) (Value, error) {
	d, merged := &Dict{}, &Dict{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := yamlValue(b, n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if n.Content[i].Tag == "!!merge" {
			if err := mergeKeys(merged, v); err != nil {
				return nil, err
			}
			continue
		}
		key, err := yamlValue(b, n.Content[i], depth+1)
		if err == nil {
			err = d.set(key, v)
		}
		if err != nil {
			return nil, err
		}
	}
	if merged.Len() == 0 {
		return d, nil
	}
	for i, k := range d.keys {
		if err := merged.set(k, d.values[i]); err != nil {
			return nil, err
		}
	}
	return merged, nil
}

// mergeKeys adds the entries of what stands behind "<<"; the first of several
// wins.
func mergeKeys(into *Dict, v Value) error {
	from := []Value{v}
	if l, ok := v.(*List); ok {
		from = l.Items
	}
	for _, v := range from {
		d, ok := v.(*Dict)
		if !ok {
			return errors.New(`only mappings can be merged with "<<"`)
		}
		for i, k := range d.keys {
			_, had, err := into.lookup(k)
			if err == nil && !had {
				err = into.set(k, d.values[i])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

package modules

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// mergePatched is RFC 7386: a null removes a field, and a list replaces a list.
func mergePatched(have, patch any) any {
	over, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if before, ok := have.(map[string]any); ok {
		maps.Copy(out, before)
	}
	for key, value := range over {
		if value == nil {
			delete(out, key)
			continue
		}
		out[key] = mergePatched(out[key], value)
	}
	return out
}

// mergeDifference is the merge patch that makes the one of the other.
func mergeDifference(from, into Object) Object {
	patch := Object{}
	for key, value := range into {
		a, ok1 := from[key].(map[string]any)
		b, ok2 := value.(map[string]any)
		switch {
		case reflect.DeepEqual(from[key], value):
		case ok1 && ok2:
			patch[key] = mergeDifference(a, b)
		default:
			patch[key] = value
		}
	}
	for key := range from {
		if _, kept := into[key]; !kept {
			patch[key] = nil
		}
	}
	return patch
}

// laidOver sets the fields of over, with lists merged where each item of both
// has a name.
func laidOver(have, over any) any {
	before, ok1 := have.(map[string]any)
	fields, ok2 := over.(map[string]any)
	if ok1 && ok2 {
		out := map[string]any{}
		maps.Copy(out, before)
		for key, value := range fields {
			out[key] = laidOver(out[key], value)
		}
		return out
	}
	list, ok1 := have.([]any)
	items, ok2 := over.([]any)
	if !ok1 || !ok2 || !allNamed(list) || !allNamed(items) {
		return over
	}
	out := slices.Clone(list)
	for _, item := range items {
		at := slices.IndexFunc(out, func(other any) bool { return nameKey(other) == nameKey(item) })
		if at < 0 {
			out = append(out, item)
			continue
		}
		out[at] = laidOver(out[at], item)
	}
	return out
}

// withoutLost takes away what was applied before and is no longer.
func withoutLost(have, before, after any) any {
	now, ok1 := have.(map[string]any)
	old, ok2 := before.(map[string]any)
	if !ok1 || !ok2 {
		return have
	}
	fields, _ := after.(map[string]any)
	out := maps.Clone(now)
	for key, value := range old {
		if _, kept := fields[key]; !kept {
			delete(out, key)
		} else if _, there := out[key]; there {
			out[key] = withoutLost(out[key], value, fields[key])
		}
	}
	return out
}

// carryOver makes the difference between two states in a third.
func carryOver(to, from, into any) any {
	a, ok1 := from.(map[string]any)
	b, ok2 := into.(map[string]any)
	have, ok3 := to.(map[string]any)
	if !ok1 || !ok2 || !ok3 {
		return into
	}
	out := maps.Clone(have)
	for key, value := range b {
		if !reflect.DeepEqual(a[key], value) {
			out[key] = carryOver(have[key], a[key], value)
		}
	}
	for key := range a {
		if _, kept := b[key]; !kept {
			delete(out, key)
		}
	}
	return out
}

// needsItsKeys says whether only the server knows how to merge a strategic
// patch: by directives, or by another key than name.
func needsItsKeys(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.HasPrefix(key, "$") || value == nil || needsItsKeys(value) {
				return true
			}
		}
	case []any:
		return !allNamed(v) || slices.ContainsFunc(v, needsItsKeys)
	}
	return false
}

// renamed is an object with another name, also where the server has repeated it
// (in a label, say).
func renamed(v any, from, to string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = renamed(value, from, to)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = renamed(value, from, to)
		}
		return out
	case string:
		if v == from && from != "" {
			return to
		}
	}
	return v
}

package modules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// manifest reads the objects to apply, from the argument or the file. Lists are
// taken apart.
func (k *kubectl) manifest() ([]Object, error) {
	var whole []any
	switch given := k.Apply.(type) {
	case nil:
		return parseManifest(k.Src.Path, k.Src.Data)
	case string:
		return parseManifest("apply", []byte(given))
	case []any:
		whole = given
	default:
		whole = []any{given}
	}
	var objects []Object
	for i, item := range whole {
		o, ok := apiNumbers(item).(map[string]any)
		if !ok {
			return nil, fmt.Errorf("apply: item %d is %s; it takes objects with apiVersion, kind and metadata", i+1, oneLineJSON(item))
		}
		objects = append(objects, listItems(o)...)
	}
	return objects, nil
}

// parseManifest reads YAML documents as kubectl does, but a key that is given
// twice is an error.
func parseManifest(name string, data []byte) ([]Object, error) {
	var objects []Object
	for i, document := range yamlDocuments(string(data)) {
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", name, i+1, err)
		}
		if string(text) == "null" {
			continue
		}
		var o Object
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&o); err != nil {
			return nil, fmt.Errorf("%s: document %d is not an object: %w", name, i+1, err)
		}
		objects = append(objects, listItems(apiNumbers(o).(Object))...)
	}
	return objects, nil
}

// yamlDocuments splits YAML at its document markers.
func yamlDocuments(text string) []string {
	var all []string
	var one strings.Builder
	for line := range strings.Lines(text) {
		if word := strings.TrimRight(line, "\r\n"); word == "---" || strings.HasPrefix(line, "--- ") {
			all = append(all, one.String())
			one.Reset()
			line = strings.TrimPrefix(line, "---")
		}
		one.WriteString(line)
	}
	return append(all, one.String())
}

// listItems gives the items of a List, or the object itself.
func listItems(o Object) []Object {
	if strings.HasSuffix(dig[string](o, "kind"), "List") && dig[[]any](o, "items") != nil {
		return objectsAt(o, "items")
	}
	return []Object{o}
}

// apiNumbers turns numbers into those that objects of the API have.
func apiNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = apiNumbers(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = apiNumbers(item)
		}
		return out
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	case int:
		return int64(v)
	}
	return v
}

// validObjects refuses what no server could take.
func (k *kubectl) validObjects(objects []Object) error {
	if len(objects) == 0 {
		return errors.New("apply: no object given")
	}
	for i, o := range objects {
		for _, path := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}} {
			if dig[string](o, path...) == "" {
				return fmt.Errorf("apply: object %d (%s) has no %s", i+1, strings.TrimSpace(objectTitle(o)), strings.Join(path, "."))
			}
		}
		if there := dig[string](o, "metadata", "namespace"); k.Namespace != "" && there != "" && there != k.Namespace {
			return fmt.Errorf("apply: %s is in another namespace than %q; leave namespace out", objectTitle(o), k.Namespace)
		}
	}
	return nil
}

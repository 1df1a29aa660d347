package modules

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ignored are the fields that the server keeps for itself: they differ after
// every write and say nothing about what was asked.
var ignored = []string{".metadata.managedFields", ".metadata.resourceVersion", ".metadata.generation", ".metadata.uid", ".metadata.creationTimestamp", ".status"}

// objectDiffs lists the fields in which two states of an object differ. The
// values of a Secret are not shown; its annotations may repeat them.
func objectDiffs(have, want Object) []Diff {
	d := differ{what: objectTitle(want), hide: dig[string](want, "kind") == "Secret"}
	d.compare("", have, want)
	return d.diffs
}

type differ struct {
	what  string
	hide  bool // do not show values
	diffs []Diff
}

func (d *differ) compare(path string, have, want any) {
	if slices.Contains(ignored, path) || reflect.DeepEqual(have, want) {
		return
	}
	haveMap, ok1 := have.(map[string]any)
	wantMap, ok2 := want.(map[string]any)
	if ok1 && ok2 {
		d.maps(path, haveMap, wantMap)
		return
	}
	haveList, ok1 := have.([]any)
	wantList, ok2 := want.([]any)
	if ok1 && ok2 && allNamed(haveList) && allNamed(wantList) {
		d.maps(path, itemsByName(haveList), itemsByName(wantList))
		if sameItems(haveList, wantList) {
			d.add(path, have, want)
		}
		return
	}
	d.add(path, have, want)
}

func (d *differ) maps(path string, have, want map[string]any) {
	keys := maps.Clone(have)
	maps.Copy(keys, want)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := path + "." + key
		if strings.HasPrefix(key, "[") || strings.ContainsAny(key, "./") {
			at = path + "[" + strings.Trim(key, "[]") + "]"
		}
		d.compare(at, have[key], want[key])
	}
}

// sameItems tells whether lists have the same items in another order: of
// containers, say, the first is the default.
func sameItems(have, want []any) bool {
	return !reflect.DeepEqual(have, want) && reflect.DeepEqual(itemsByName(have), itemsByName(want))
}

func (d *differ) add(path string, have, want any) {
	diff := Diff{What: d.what + " " + path, Have: diffValue(have), Want: diffValue(want)}
	if d.hide && !strings.HasPrefix(path, ".metadata.labels") && path != ".type" {
		diff.Have, diff.Want = "(hidden)", "(hidden, differs)"
	}
	diff.Text = strings.Contains(diff.Have, "\n") || strings.Contains(diff.Want, "\n")
	d.diffs = append(d.diffs, diff)
}

func diffValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "absent"
	case string:
		return v
	}
	return oneLineJSON(v)
}

func nameKey(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

// allNamed tells whether each item of a list has a name of its own.
func allNamed(list []any) bool {
	for _, item := range list {
		if nameKey(item) == "" {
			return false
		}
	}
	return len(list) > 0 && len(itemsByName(list)) == len(list)
}

func itemsByName(list []any) map[string]any {
	m := make(map[string]any, len(list))
	for _, item := range list {
		m[fmt.Sprintf("[%s]", nameKey(item))] = item
	}
	return m
}

package modules

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// unitFolders are where systemd finds unit files, those that win first.
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

var unitSuffixes = []string{".service", ".socket", ".timer", ".target", ".path", ".mount", ".automount", ".slice", ".scope", ".swap", ".device"}

// fullUnit is a unit's name with its suffix.
func fullUnit(name string) string {
	if slices.Contains(unitSuffixes, path.Ext(name)) {
		return name
	}
	return name + ".service"
}

// notThere is the state of a unit that an earlier task of the plan brings.
const notThere = "not there yet"

// foresee makes a unit what earlier tasks of the plan would have left. A host
// without it gets it where the plan writes its file, or installs the package of
// its name; that of a package it is yet to be seen. A file that is new is read
// when the unit is first used: only who asks for reading again has it read.
func (u unitState) foresee(t Target, name string, reread bool) (unitState, error) {
	now := maps.Clone(u)
	full, missing := fullUnit(name), u["LoadState"] == "not-found"
	e, ok, err := foreseen(t, AUnit, full)
	if err != nil {
		return u, err
	}
	if ok {
		unit, _ := e.State.(Unit)
		now.become(unit.Active, unit.Boot)
		now.rereadUnless(missing && !reread, t, full)
		return now, nil
	}
	base := strings.TrimSuffix(full, ".service")
	brings, packaged, err := foreseen(t, APackage, base)
	file, written := unitFile(t, full)
	vague, unsure := file.State.(Unforeseen)
	switch {
	case missing && written && unsure:
		return u, vague
	case missing && written:
		now.become("inactive", bootOf(file))
		now["CanReload"] = canReload(file)
	case missing && packaged && err != nil:
		return u, err
	case missing && packaged && !brings.Gone:
		now.become(notThere, notThere)
	case missing:
		return u, hoped(t, fmt.Sprintf("unit %q", name), nil)
	case packaged && brings.Gone:
		return u, Unforeseen{fmt.Sprintf("what becomes of unit %q, whose package %s removes", name, byTask(brings.By))}
	}
	now.rereadUnless(missing && !reread, t, full)
	return now, nil
}

// become is a unit in another state. What is empty stays as it is.
func (u unitState) become(active, boot string) {
	if u["LoadState"] != "masked" || boot != "" && boot != "masked" {
		u["LoadState"] = "loaded"
	}
	if active != "" && active != u["ActiveState"] {
		u["ActiveState"], u["SubState"] = active, map[bool]string{true: "dead"}[active == "inactive"]
		delete(u, "ActiveEnterTimestamp")
	}
	if boot != "" {
		u["UnitFileState"] = boot
	}
	if boot == "masked" {
		u["LoadState"] = "masked"
	}
}

// unitFile is the file of a unit, or of its template, that the plan writes.
func unitFile(t Target, full string) (Effect, bool) {
	names := []string{full}
	if before, _, instance := strings.Cut(full, "@"); instance {
		names = append(names, before+"@"+path.Ext(full))
	}
	for _, name := range names {
		for _, folder := range unitFolders {
			if e, ok := t.Predicted(APath, folder+"/"+name); ok && !e.Gone {
				return e, true
			}
		}
	}
	return Effect{}, false
}

// bootOf is what systemd would say of a new unit file: disabled where something
// in it says what would start it. It is empty where its text is not known.
func bootOf(e Effect) string {
	f, _ := e.State.(File)
	switch text := string(f.Data); {
	case f.Data == nil:
		return "disabled"
	case strings.Contains(text, "WantedBy=") || strings.Contains(text, "RequiredBy=") || strings.Contains(text, "Also="):
		return "disabled"
	}
	return "static"
}

func canReload(e Effect) string {
	f, _ := e.State.(File)
	if f.Data == nil || strings.Contains(string(f.Data), "ExecReload=") {
		return "yes"
	}
	return "no"
}

// rereadUnless says of a unit that is not fresh that its file changes with the
// plan, unless the plan has had systemd read it again since.
func (u unitState) rereadUnless(fresh bool, t Target, full string) {
	changed := changedUnits(t, full)
	if fresh || changed == nil {
		return
	}
	if e, ok := t.Predicted(AUnit, ""); ok {
		read, _ := e.State.([]string)
		changed = slices.DeleteFunc(changed, func(c string) bool { return slices.Contains(read, c) })
		u["NeedDaemonReload"] = "no"
	}
	if len(changed) > 0 {
		u["NeedDaemonReload"] = "yes"
	}
}

// changedUnits are the unit files that the plan changes, each with the task that
// does; those of one unit and its additions where it has a name.
func changedUnits(t Target, full string) []string {
	var changed []string
	for _, folder := range unitFolders {
		found, _ := t.Predicted(SomePaths, folder+"/**")
		all, _ := found.State.([]Effect)
		for _, e := range all {
			first, _, _ := strings.Cut(strings.TrimPrefix(e.Name, folder+"/"), "/")
			if full == "" || first == full || first == full+".d" {
				changed = append(changed, e.Name+"\n"+e.By)
			}
		}
	}
	return changed
}

// rereading is what having systemd read its files again would leave: nothing
// that the plan has changed so far is news to it then.
func rereading(t Target) []Effect {
	return []Effect{{Thing: AUnit, Name: "", State: changedUnits(t, "")}}
}

// effects are what the unit would be when its steps are taken.
func (w unitWish) effects(t Target, now unitState) []Effect {
	unit := Unit{Active: now["ActiveState"], Boot: now["UnitFileState"]}
	switch {
	case w.state == "stopped":
		unit.Active = "inactive"
	case w.state != "":
		unit.Active = "active"
	}
	switch {
	case w.masked != nil && *w.masked:
		unit.Boot = "masked"
	case w.masked != nil && unit.Boot == "masked":
		unit.Boot = "disabled"
	}
	if w.enabled != nil && !slices.Contains(fixedAtBoot, unit.Boot) {
		unit.Boot = map[bool]string{true: "enabled", false: "disabled"}[*w.enabled]
	}
	effects := []Effect{{Thing: AUnit, Name: fullUnit(w.name), State: unit}}
	if w.reread {
		effects = append(effects, rereading(t)...)
	}
	return effects
}

// unsure says what cannot be foreseen of a unit that a package of its name
// brings: a package may start its unit, and enable it, by itself.
func (w unitWish) unsure(t Target, now unitState) error {
	e, _ := t.Predicted(APackage, strings.TrimSuffix(fullUnit(w.name), ".service"))
	what := ""
	switch {
	case now["ActiveState"] == notThere && w.state == "stopped":
		what = "starts"
	case now["UnitFileState"] == notThere && w.enabled != nil && !*w.enabled:
		what = "enables"
	case now["UnitFileState"] == notThere && w.masked != nil && !*w.masked:
		what = "masks"
	default:
		return nil
	}
	return Unforeseen{fmt.Sprintf("whether package %q, which %s installs, %s unit %q", e.Name, byTask(e.By), what, w.name)}
}

// seen and recallUnit keep a first look in the journal, so that a resumed run does
// not restart a second time.
func (u *unitState) seen() []byte {
	if u == nil {
		return nil
	}
	data, _ := json.Marshal(*u) // a map of texts has no other outcome
	return data
}

func recallUnit(seen []byte) (*unitState, error) {
	first := unitState{}
	if err := json.Unmarshal(seen, &first); err != nil {
		return nil, fmt.Errorf("what was first seen of the unit cannot be read: %w", err)
	}
	return &first, nil
}

package modules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// aptLists is the State of aptStamp after package lists were fetched: the files
// below /etc/apt that the plan had changed by then, each with its task.
type aptLists struct{ sources []string }

// foresee makes the packages of the look what earlier tasks of the plan would
// have left, and says what of the package lists is not known yet.
func (l *aptLook) foresee(t Target, words []string) error {
	for _, word := range words {
		name, _ := splitAptWord(word)
		e, ok, err := foreseen(t, APackage, l.bare(name))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		version, _ := e.State.(string)
		switch {
		case !e.Gone:
			l.packages[name] = aptPackage{"installed", name, l.arch, version}
		case version != "": // config-files
			l.packages[name] = aptPackage{status: version, name: name, arch: l.arch}
		default:
			l.packages[name] = aptPackage{}
		}
	}
	changed := changedSources(t)
	e, fetched, err := foreseen(t, APath, aptStamp)
	if err != nil {
		l.unsure, fetched = err, false
	}
	lists, _ := e.State.(aptLists)
	l.fetched = fetched
	for _, c := range changed {
		name, by, _ := strings.Cut(c, "\n")
		l.unsure = Unforeseen{fmt.Sprintf("what the package lists have when %s has changed %s", byTask(by), name)}
		if !slices.Contains(lists.sources, c) {
			l.sourcesNewer = true
		}
	}
	return nil
}

// changedSources are the files below /etc/apt whose content the plan changes,
// each with the task that does.
func changedSources(t Target) []string {
	found, _ := t.Predicted(SomePaths, "/etc/apt/**")
	all, _ := found.State.([]Effect)
	var changed []string
	for _, e := range all {
		f, known := e.State.(File)
		if !e.Gone && known && (f.Mode.IsDir() || f.Data == nil && f.Size >= 0) {
			continue // a directory, or only a mode
		}
		changed = append(changed, e.Name+"\n"+e.By)
	}
	return changed
}

// fetchedLists is what fetching the package lists leaves.
func fetchedLists(t Target) Effect {
	return Effect{Thing: APath, Name: aptStamp, State: aptLists{changedSources(t)}}
}

// foresee takes from what apt says that it would do what earlier tasks of the
// plan have done by then, of which apt knows nothing, and adds what they make
// necessary.
func (p *aptPlan) foresee(t Target, a *apt, look aptLook, words []string) {
	p.installs = slices.DeleteFunc(p.installs, func(c aptChange) bool { return installedAhead(t, c) })
	p.configure = slices.DeleteFunc(p.configure, func(c aptChange) bool { return installedAhead(t, c) })
	for i, c := range p.installs {
		if e, ok := t.Predicted(APackage, c.name); ok {
			p.installs[i].from = versionOf(e)
		}
	}
	p.removals = slices.DeleteFunc(p.removals, func(c aptChange) bool {
		e, ok := t.Predicted(APackage, c.name)
		return ok && e.Gone && (c.to != "purged" || e.State == nil)
	})
	for i, c := range p.removals {
		if e, ok := t.Predicted(APackage, c.name); ok && !e.Gone {
			p.removals[i].from = versionOf(e)
		}
	}
	for _, list := range []*[]string{&p.held, &p.older} {
		*list = slices.DeleteFunc(*list, func(name string) bool {
			_, still := p.version(name)
			return !still
		})
	}
	for _, word := range words {
		p.necessary(t, a, look, word)
	}
}

// necessary adds the change of a package that is asked for and that is only by
// the plan not what it should be.
func (p *aptPlan) necessary(t Target, a *apt, look aptLook, word string) {
	name, version := splitAptWord(word)
	bare := look.bare(name)
	e, ok := t.Predicted(APackage, bare)
	if _, has := p.version(bare); has || !ok {
		return
	}
	switch policy := look.policyOf(name); {
	case a.State == aptAbsent && !e.Gone:
		to := "removed"
		if a.Purge {
			to = "purged"
		}
		p.removals = append(p.removals, aptChange{bare, versionOf(e), to})
	case a.State == aptAbsent:
	case version != "" && !strings.Contains(version, "*"):
		p.installs = append(p.installs, aptChange{bare, versionOf(e), version})
	case policy != nil:
		p.installs = append(p.installs, aptChange{bare, versionOf(e), policy.candidate})
	}
}

func installedAhead(t Target, c aptChange) bool {
	e, ok := t.Predicted(APackage, c.name)
	return ok && !e.Gone && versionOf(e) == c.to
}

// versionOf is the version that a package would have; empty where it is gone.
func versionOf(e Effect) string {
	version, _ := e.State.(string)
	if e.Gone {
		return ""
	}
	return version
}

// effects are the packages as the plan leaves them, those that were named last.
// The State of one that is removed and not purged is config-files.
func (p aptPlan) effects(words []string) []Effect {
	var all []Effect
	for _, c := range slices.Concat(p.configure, p.installs) {
		all = append(all, Effect{Thing: APackage, Name: c.name, State: c.to})
	}
	for _, c := range p.removals {
		e := Effect{Thing: APackage, Name: c.name, Gone: true}
		if c.to == "removed" {
			e.State = "config-files"
		}
		all = append(all, e)
	}
	named := func(e Effect) int {
		return slices.IndexFunc(words, func(w string) bool {
			name, _ := splitAptWord(w)
			return name == e.Name
		})
	}
	slices.SortStableFunc(all, func(a, b Effect) int { return named(a) - named(b) })
	return all
}

// Seen is what the first look found: a resumed run does not fetch the package
// lists a second time.
func (a *apt) Seen() []byte {
	if a.seen == nil {
		return nil
	}
	data, _ := json.Marshal(aptRemembered{a.seen.stamp, a.seen.versions}) // texts have no other outcome
	return data
}

// Recall takes what Seen gave.
func (a *apt) Recall(seen []byte) error {
	var r aptRemembered
	if err := json.Unmarshal(seen, &r); err != nil {
		return fmt.Errorf("what was first seen of the packages cannot be read: %w", err)
	}
	a.seen = &aptSeen{r.Stamp, r.Versions}
	return nil
}

type aptRemembered struct {
	Stamp    string            `json:"stamp"`
	Versions map[string]string `json:"versions"`
}

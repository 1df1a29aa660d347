package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// aptPlan is what `apt-get -s` says that apt would do.
type aptPlan struct {
	installs  []aptChange // new, upgraded and downgraded packages
	removals  []aptChange // to is "removed" or "purged"
	configure []aptChange // packages that are unpacked already
	held      []string    // on hold, and changed nevertheless
	older     []string    // downgraded
	kept      []string    // kept back
	phased    []string    // deferred due to phasing
}

type aptChange struct{ name, from, to string }

// simulate asks apt what it would do about the words and refuses what was not
// permitted.
func (a *apt) simulate(ctx context.Context, t Target, look aptLook, words []string) (aptPlan, error) {
	out, err := t.Query(ctx, Run{Argv: a.simulation(look, words, a.Autoremove), Env: aptEnv()})
	if err != nil {
		return aptPlan{}, err
	}
	if out.Code != 0 {
		return aptPlan{}, aptRefusal(out, look, words)
	}
	plan := parseAptPlan(out.Stdout)
	plan.foresee(t, a, look, words)
	permitted, err := a.permitted(ctx, t, look, plan, words)
	if err != nil {
		return aptPlan{}, err
	}
	return plan, a.refuse(plan, permitted)
}

func (a *apt) simulation(look aptLook, words []string, autoremove bool) []string {
	argv := append([]string{"apt-get"}, look.options()...)
	argv = append(argv, "-s", "-q", "-o", "Debug::NoLocking=1", "-o", "APT::Get::Show-User-Simulation-Note=false")
	return append(argv, a.order(words, autoremove)...)
}

// order is what apt-get is told to do, for the simulation and for the step.
func (a *apt) order(words []string, autoremove bool) []string {
	var argv []string
	for _, option := range []struct {
		wanted bool
		word   string
	}{
		{a.OnlyUpgrade, "--only-upgrade"},
		{a.Purge, "--purge"},
		{autoremove && !a.autoremoves(), "--auto-remove"},
		{a.InstallRecommends != nil && *a.InstallRecommends, "--install-recommends"},
		{a.InstallRecommends != nil && !*a.InstallRecommends, "--no-install-recommends"},
	} {
		if option.wanted {
			argv = append(argv, option.word)
		}
	}
	switch {
	case a.autoremoves():
		return append(argv, "autoremove")
	case a.Upgrade == "full" || a.Upgrade == "dist":
		return append(argv, "dist-upgrade")
	case a.upgrades():
		return append(argv, "--with-new-pkgs", "upgrade")
	case a.State == aptAbsent:
		argv = append(argv, "remove", "--")
	default:
		argv = append(argv, "install", "--")
	}
	return append(argv, words...)
}

// autoremoves says that removing what is no longer needed is all that is asked.
func (a *apt) autoremoves() bool { return a.Autoremove && len(a.Name) == 0 && !a.upgrades() }

// permitted lists the removals that were asked for; nil means all of them.
func (a *apt) permitted(ctx context.Context, t Target, look aptLook, plan aptPlan, words []string) ([]string, error) {
	all, names, err := a.removable()
	if all || err != nil || a.autoremoves() {
		return nil, err
	}
	permitted := append([]string{}, names...)
	if a.State == aptAbsent {
		for _, word := range words {
			permitted = append(permitted, look.bare(word))
		}
	}
	if !a.Autoremove || len(plan.removals) == 0 {
		return permitted, nil
	}
	// What goes only because of autoremove is what goes no longer without it.
	out, err := t.Query(ctx, Run{Argv: a.simulation(look, words, false), Env: aptEnv()})
	if err != nil {
		return nil, err
	}
	if out.Code != 0 {
		return nil, fmt.Errorf("apt cannot do it without autoremove: %s", strings.Join(aptErrors(out.Stderr), "; "))
	}
	needed := parseAptPlan(out.Stdout)
	for _, r := range plan.removals {
		if !needed.removes(r.name) {
			permitted = append(permitted, r.name)
		}
	}
	return permitted, nil
}

func (a *apt) refuse(plan aptPlan, permitted []string) error {
	var unasked []string
	for _, r := range plan.removals {
		if permitted != nil && !slices.Contains(permitted, r.name) {
			unasked = append(unasked, r.name)
		}
	}
	switch {
	case len(unasked) > 0:
		return fmt.Errorf("apt would also remove %s; permit it with allow_remove", quotedList(unasked))
	case len(plan.held) > 0 && !a.AllowHeld:
		return fmt.Errorf("%s on hold; permit the change with allow_change_held_packages: true", quotedList(plan.held))
	case len(plan.older) > 0 && !a.AllowDowngrade:
		return fmt.Errorf("the wanted version of %s is older than the installed one; permit it with allow_downgrade: true", quotedList(plan.older))
	}
	return nil
}

// aptRefusal is apt's own refusal in the user's words.
func aptRefusal(out Output, look aptLook, words []string) error {
	said := aptErrors(out.Stderr)
	for _, word := range words {
		name, version := splitAptWord(word)
		policy := look.policyOf(name)
		if version == "" || policy == nil || !slices.Contains(said, fmt.Sprintf("Version '%s' for '%s' was not found", version, name)) {
			continue
		}
		if len(policy.versions) == 0 {
			return fmt.Errorf("package %q has no version at all in this host's package lists, and %q is wanted", name, version)
		}
		return fmt.Errorf("package %q has no version %q in this host's package lists, which have %s; try update_cache: true", name, version, quotedList(policy.versions))
	}
	if len(said) == 0 {
		return fmt.Errorf("apt-get -s ends with code %d and no word why", out.Code)
	}
	return errors.New("apt cannot do it: " + strings.Join(said, "; "))
}

var aptPlanLine = regexp.MustCompile(`^(Inst|Conf|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?`)

// aptSections are the headings under which apt lists names, two spaces before
// each line.
var aptSections = map[string]func(*aptPlan) *[]string{
	"The following held packages will be changed:":              func(p *aptPlan) *[]string { return &p.held },
	"The following packages will be DOWNGRADED:":                func(p *aptPlan) *[]string { return &p.older },
	"The following packages have been kept back:":               func(p *aptPlan) *[]string { return &p.kept },
	"The following upgrades have been deferred due to phasing:": func(p *aptPlan) *[]string { return &p.phased },
}

func parseAptPlan(text string) aptPlan {
	var plan aptPlan
	var section func(*aptPlan) *[]string
	unpacked := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			if section != nil {
				names := section(&plan)
				*names = append(*names, strings.Fields(line)...)
			}
			continue
		}
		section = aptSections[line]
		m := aptPlanLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch change := (aptChange{m[2], m[3], m[4]}); m[1] {
		case "Inst":
			unpacked[change.name] = true
			plan.installs = append(plan.installs, change)
		case "Remv":
			change.to = "removed"
			plan.removals = append(plan.removals, change)
		case "Purg":
			change.to = "purged"
			plan.purge(change)
		case "Conf":
			if !unpacked[change.name] {
				plan.configure = append(plan.configure, change)
			}
		}
	}
	return plan
}

// purge records a purge, which apt prints after the removal of the package if
// it was installed.
func (p *aptPlan) purge(change aptChange) {
	for i := range p.removals {
		if p.removals[i].name == change.name {
			p.removals[i].to = change.to
			return
		}
	}
	p.removals = append(p.removals, change)
}

func (p aptPlan) removes(name string) bool {
	return slices.ContainsFunc(p.removals, func(c aptChange) bool { return c.name == name })
}

func (p aptPlan) empty() bool { return len(p.installs)+len(p.removals)+len(p.configure) == 0 }

// version is the one that a package will have; nothing where it goes.
func (p aptPlan) version(name string) (string, bool) {
	for _, c := range p.installs {
		if c.name == name {
			return c.to, true
		}
	}
	for _, c := range p.configure {
		if c.name == name {
			return c.to, true
		}
	}
	return "", p.removes(name)
}

func (p aptPlan) diffs(look aptLook) []Diff {
	var diffs []Diff
	for _, c := range p.installs {
		have := c.from
		if p := look.packages[c.name]; p.present() && p.status != "installed" {
			have = p.current()
		}
		if have == "" {
			have = "not installed"
		}
		diffs = append(diffs, Diff{What: "package " + c.name, Have: have, Want: c.to})
	}
	for _, c := range p.removals {
		diffs = append(diffs, Diff{What: "package " + c.name, Have: c.from, Want: c.to})
	}
	for _, c := range p.configure {
		diffs = append(diffs, Diff{What: "package " + c.name, Have: c.to + ", not configured", Want: c.to})
	}
	return diffs
}

func (p aptPlan) notes(look aptLook) []string {
	var notes []string
	if len(p.kept) > 0 {
		notes = append(notes, "apt keeps back "+quotedList(p.kept))
	}
	if len(p.phased) > 0 {
		notes = append(notes, "apt defers "+quotedList(p.phased)+": the upgrade is not offered to all machines yet")
	}
	for _, c := range p.installs {
		if policy := look.policyOf(c.name); policy != nil && policy.phased != "" && policy.candidate == c.to {
			notes = append(notes, fmt.Sprintf("package %q: version %s is offered to %s%% of all machines so far, and is installed because it is named", c.name, c.to, policy.phased))
		}
	}
	for _, b := range look.broken {
		notes = append(notes, fmt.Sprintf("package %q is %s: apt has to configure it first, and fails where that fails", b.name, b.status))
	}
	return notes
}

func (p aptPlan) vars() map[string]any {
	names := func(changes []aptChange) []any {
		list := make([]any, len(changes))
		for i, c := range changes {
			list[i] = c.name
		}
		return list
	}
	return map[string]any{"install": names(p.installs), "remove": names(p.removals), "configure": names(p.configure), "kept_back": anyList(append(slices.Clone(p.kept), p.phased...))}
}

func quotedList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(quoted, ", ")
}

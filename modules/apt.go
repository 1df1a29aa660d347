package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

func init() {
	register(Def{
		Name: "apt",
		Doc:  "Install, upgrade or remove packages of Debian and Ubuntu",
		New: func() Module {
			return &apt{State: aptPresent, Upgrade: "no", UpdateErrors: "fail", LockTimeout: time.Minute}
		},
	})
}

const (
	aptPresent = "present"
	aptAbsent  = "absent"
	aptLatest  = "latest"
)

// apt plans what apt-get itself says that it would do: every package that it
// would install, upgrade, remove or configure is in the change, asked for or not.
type apt struct {
	Name              []string      `arg:"name" alias:"package pkg" doc:"Packages, as NAME, NAME:ARCHITECTURE or NAME=VERSION."`
	State             string        `arg:"state" enum:"present absent latest" doc:"Whether the packages are installed, removed, or of the newest version that apt would choose."`
	OnlyUpgrade       bool          `arg:"only_upgrade" doc:"Leave packages alone that are not installed; they are listed in not_installed."`
	MustExist         bool          `arg:"must_exist" doc:"With only_upgrade, fail where a package is not installed, instead of saying so in a note."`
	UpdateCache       bool          `arg:"update_cache" alias:"update-cache" doc:"Fetch the package lists first."`
	CacheValidTime    time.Duration `arg:"cache_valid_time" doc:"Seconds for which lists that were fetched without any error are good enough; implies update_cache."`
	UpdateErrors      string        `arg:"update_errors" enum:"fail warn" doc:"What lists that cannot be fetched are: the end of the task, or a note."`
	LockTimeout       time.Duration `arg:"lock_timeout" doc:"Seconds to wait for another apt or dpkg to end."`
	AllowDowngrade    bool          `arg:"allow_downgrade" alias:"allow-downgrade allow_downgrades allow-downgrades" doc:"Permit older versions than the installed ones."`
	AllowHeld         bool          `arg:"allow_change_held_packages" doc:"Permit changes of packages that are on hold."`
	AllowRemove       any           `arg:"allow_remove" doc:"Permit the removal of packages that were not named: true, or a list of their names."`
	InstallRecommends *bool         `arg:"install_recommends" alias:"install-recommends" doc:"Whether recommended packages are installed too; the host's setting where not given."`
	Autoremove        bool          `arg:"autoremove" doc:"Also remove packages that were installed for others and are no longer needed."`
	Purge             bool          `arg:"purge" doc:"Remove configuration files too."`
	Upgrade           string        `arg:"upgrade" enum:"no yes safe full dist" doc:"Upgrade all packages: yes and safe never remove one, full and dist may where allow_remove permits."`

	seen *aptSeen
}

// aptSeen is what the first look found, so that later looks can tell what has
// changed since.
type aptSeen struct {
	stamp    string
	versions map[string]string
}

// aptWord is what Debian allows as a package name, with an architecture and a
// version. A name that ends in a minus would be an order to remove it.
var aptWord = regexp.MustCompile(`^([a-z0-9][a-z0-9+.-]*[a-z0-9+](?::[a-z0-9-]+)?)(?:=([A-Za-z0-9][A-Za-z0-9.+:~*-]*))?$`)

func (a *apt) Validate() error {
	for _, word := range a.Name {
		if !aptWord.MatchString(word) {
			return fmt.Errorf("name: %q is not a package name; wanted NAME, NAME:ARCHITECTURE or NAME=VERSION", word)
		}
	}
	if _, _, err := a.removable(); err != nil {
		return err
	}
	switch named := len(a.Name) > 0; {
	case named && a.upgrades():
		return errors.New("name and upgrade exclude one another; use state: latest to upgrade the named packages")
	case !named && !a.upgrades() && !a.updates() && !a.Autoremove:
		return errors.New("one of name, upgrade, update_cache or autoremove is needed")
	case a.OnlyUpgrade && (!named || a.State == aptAbsent):
		return errors.New("only_upgrade needs name, and state present or latest")
	case a.MustExist && !a.OnlyUpgrade:
		return errors.New("must_exist has a meaning only with only_upgrade")
	case a.State == aptAbsent && slices.ContainsFunc(a.Name, func(w string) bool { return strings.Contains(w, "=") }):
		return errors.New("name: a version has no meaning with state: absent")
	case a.LockTimeout < 0 || a.CacheValidTime < 0:
		return errors.New("lock_timeout and cache_valid_time cannot be negative")
	}
	return nil
}

func (a *apt) Check(ctx context.Context, t Target) (Change, error) {
	look, err := a.look(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if a.seen == nil {
		a.seen = look.seen()
	}
	stale := a.stale(look)
	change := Change{}
	if (stale != "" || look.fetched) && look.unsure == nil && (len(a.Name) > 0 || a.upgrades()) {
		change.Notes, err = a.refresh(ctx, t, &look)
		defer look.discard(ctx, t)
		if err != nil {
			return Change{}, err
		}
	}
	todo, notes, err := a.compare(look)
	if err != nil {
		return Change{}, err
	}
	if look.unsure != nil && a.needsLists(todo) {
		return Change{}, look.unsure
	}
	plan := aptPlan{}
	if len(todo) > 0 || a.upgrades() || (a.Autoremove && len(a.Name) == 0) {
		if plan, err = a.simulate(ctx, t, look, todo); err != nil {
			return Change{}, err
		}
	}
	change.Notes = append(append(change.Notes, notes...), plan.notes(look)...)
	change.Vars = a.vars(look, plan)
	if stale != "" {
		change.Diffs = append(change.Diffs, Diff{What: "package lists", Have: stale, Want: "fetched"})
		change.Steps = append(change.Steps, a.update())
		change.Effects = append(change.Effects, fetchedLists(t))
	}
	if !plan.empty() {
		change.Effects = append(change.Effects, plan.effects(a.Name)...)
		change.Diffs = append(change.Diffs, plan.diffs(look)...)
		change.Steps = append(change.Steps, a.act(plan, todo))
	}
	if stale == "" && a.updates() && strings.HasPrefix(look.stamp, aptPartial) {
		change.Notes = append(change.Notes, "some package lists could not be fetched, and are used as they were: "+strings.Join(look.unfetched, "; "))
	}
	if len(change.Steps) > 0 {
		change.Notes = append(change.Notes, look.lockNotes(a.LockTimeout)...)
	}
	return change, nil
}

// needsLists says whether what there is to do hangs on the package lists.
func (a *apt) needsLists(todo []string) bool {
	if a.State == aptAbsent {
		return false
	}
	return len(todo) > 0 || a.upgrades() || a.State == aptLatest && len(a.Name) > 0
}

// compare tells which of the words apt has to be asked about.
func (a *apt) compare(look aptLook) (todo, notes []string, err error) {
	for _, word := range a.Name {
		name, version := splitAptWord(word)
		have, policy := look.packages[name], look.policyOf(name)
		switch {
		case a.State == aptAbsent:
			if have.present() || (a.Purge && have.status == "config-files") {
				todo = append(todo, word)
			}
		case policy == nil && !have.present():
			return nil, nil, look.unknown(name)
		case !have.present() && a.OnlyUpgrade:
			if a.MustExist {
				return nil, nil, fmt.Errorf("package %q is not installed, and only_upgrade with must_exist wants it to be", name)
			}
			notes = append(notes, fmt.Sprintf("package %q is not installed, and only_upgrade leaves it so", name))
		case have.status != "installed", version != "" && version != have.version,
			a.State == aptLatest && version == "" && policy != nil && policy.candidate != have.version:
			todo = append(todo, word)
		}
	}
	if len(todo) > 0 && look.interrupted && len(look.dpkgHolders()) == 0 {
		return nil, nil, errors.New("dpkg was interrupted on this host, and nothing can be installed until `dpkg --configure -a` has been run there")
	}
	return todo, notes, nil
}

// unknown is the error for a name that no list has.
func (l aptLook) unknown(name string) error {
	if l.unsure != nil {
		return l.unsure
	}
	if l.lists != "" {
		return fmt.Errorf("package %q is not in this host's package lists, fetched just now: either the name is wrong or its repository is not among the sources", name)
	}
	return fmt.Errorf("package %q is not in this host's package lists: either the name is wrong or the lists are old; try update_cache: true", name)
}

// stale says why the package lists have to be fetched, or nothing.
func (a *apt) stale(look aptLook) string {
	word, at, _ := strings.Cut(look.stamp, " ")
	switch age, known := look.age(at); {
	case !a.updates():
		return ""
	case look.stamp != a.seen.stamp:
		return "" // this task has fetched them
	case look.fetched && !look.sourcesNewer && a.CacheValidTime > 0:
		return "" // an earlier task of the plan has
	case look.fetched && !look.sourcesNewer:
		return "fetched by an earlier task"
	case !known:
		return "never fetched by runbook"
	case word != aptClean:
		return "partly fetched " + age.String() + " ago"
	case look.sourcesNewer:
		return "older than the sources"
	case look.noLists:
		return "not there"
	case a.CacheValidTime > 0 && age >= 0 && age <= a.CacheValidTime:
		return ""
	default:
		return "fetched " + age.String() + " ago"
	}
}

func (a *apt) vars(look aptLook, plan aptPlan) map[string]any {
	packages, missing, changed := map[string]any{}, []any{}, false
	for _, word := range a.Name {
		name, _ := splitAptWord(word)
		have := look.packages[name]
		entry := map[string]any{
			"old": a.seen.versions[name], "new": have.current(), "candidate": "",
			"installed": have.status == "installed", "status": have.state(),
		}
		if p := look.policyOf(name); p != nil {
			entry["candidate"] = p.candidate
		}
		if to, planned := plan.version(look.bare(name)); planned {
			entry["new"] = to
		}
		if !have.present() && a.State != aptAbsent {
			missing = append(missing, name)
		}
		packages[name] = entry
		changed = changed || a.seen.versions[name] != have.current()
	}
	vars := map[string]any{
		"packages": packages, "not_installed": missing, "held": anyList(look.holds),
		"cache_updated": look.stamp != a.seen.stamp, "simulated": plan.vars(),
	}
	if len(a.Name) > 0 {
		vars["packages_changed"] = changed
	}
	return vars
}

func (a *apt) updates() bool  { return a.UpdateCache || a.CacheValidTime > 0 }
func (a *apt) upgrades() bool { return a.Upgrade != "" && a.Upgrade != "no" }

// removable reads allow_remove: all packages, or these.
func (a *apt) removable() (all bool, names []string, err error) {
	switch v := a.AllowRemove.(type) {
	case nil:
	case bool:
		return v, nil, nil
	case string:
		names = append(names, v)
	case []any:
		for _, item := range v {
			name, ok := item.(string)
			if !ok {
				return false, nil, fmt.Errorf("allow_remove: wanted package names, found %v", item)
			}
			names = append(names, name)
		}
	default:
		return false, nil, fmt.Errorf("allow_remove: wanted true, false or a list of package names, found %v", v)
	}
	return false, names, nil
}

func splitAptWord(word string) (name, version string) {
	name, version, _ = strings.Cut(word, "=")
	return name, version
}

func anyList(words []string) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return list
}

package modules

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// unitState is what `systemctl show` says of one unit, by property.
type unitState map[string]string

var unitProperties = []string{
	"LoadState", "ActiveState", "SubState", "Result", "Type", "RemainAfterExit", "UnitFileState", "NeedDaemonReload",
	"CanReload", "InvocationID", "ExecMainStartTimestampMonotonic", "StateChangeTimestampMonotonic", "ActiveEnterTimestamp",
}

// unitSettles is how long a unit may take to get out of a state between two
// others: systemd's own default for a start or a stop.
const unitSettles = 90 * time.Second

var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*$`)

func validUnitName(name string) error {
	if !unitName.MatchString(name) {
		return fmt.Errorf("name: %q is not the name of a unit", name)
	}
	return nil
}

func systemctl(words ...string) Run {
	return Run{Argv: append([]string{"systemctl"}, words...), Env: systemctlEnv()}
}

func systemctlEnv() map[string]string { return map[string]string{"LC_ALL": "C", "PATH": systemPath} }

// unitQuery asks for the properties of a unit, or where it has no name, whether
// systemd knows that the file of any has changed. That does not tell of files
// that are new, such as a first addition to a unit: so with reread the folders
// are compared with the time at which systemd has last read them.
func unitQuery(name string, reread bool) Run {
	script := "systemctl show --property=" + strings.Join(unitProperties, ",") + " " + Quote(name) + " || exit\n"
	if name == "" {
		script = "systemctl show --property=NeedDaemonReload '*' || exit\n"
	}
	if reread {
		script += `for property in UnitsLoadTimestamp UnitsLoadStartTimestamp; do
	read=$(systemctl show --property=$property --timestamp=us --value 2>/dev/null)
	[ -z "$read" ] || break
done
[ -z "$read" ] || [ -z "$(find /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system \
	-newermt "$read" 2>/dev/null)" ] || echo NeedDaemonReload=yes
exit 0
`
	}
	return Run{Shell: script, Env: systemctlEnv()}
}

func lookAtUnit(ctx context.Context, t Target, name string, reread bool) (unitState, error) {
	unit, err := showUnits(ctx, t, unitQuery(name, reread))
	if err != nil {
		return nil, err
	}
	unit, err = unit.foresee(t, name, reread)
	switch {
	case err != nil:
		return nil, err
	case unit["LoadState"] == "not-found":
		return nil, fmt.Errorf("this host has no unit %q; a package that brings it has to be installed first", name)
	case unit["LoadState"] != "loaded" && unit["LoadState"] != "masked":
		return nil, fmt.Errorf("systemd cannot load the unit %q (%s); see `systemctl status %s` there", name, unit["LoadState"], name)
	}
	return unit, nil
}

// showUnits reads properties. What is yes once stays so.
func showUnits(ctx context.Context, t Target, query Run) (unitState, error) {
	out, err := t.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	if out.Code != 0 {
		return nil, fmt.Errorf("systemd does not answer on this host (code %d): %s", out.Code, lastLine(out.Stderr))
	}
	unit := unitState{}
	for line := range strings.Lines(out.Stdout) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok && unit[key] != "yes" {
			unit[key] = value
		}
	}
	return unit, nil
}

func rereadUnits(ctx context.Context, t Target) (Change, error) {
	units, err := showUnits(ctx, t, unitQuery("", true))
	if err != nil {
		return Change{}, err
	}
	units.rereadUnless(false, t, "")
	var c Change
	if units["NeedDaemonReload"] == "yes" {
		c.needReread()
		c.Effects = rereading(t)
	}
	return c, nil
}

func (c *Change) needReread() {
	c.Diffs = append(c.Diffs, Diff{What: "unit files", Have: "changed since systemd has read them", Want: "read again"})
	c.Steps = append(c.Steps, systemctl("daemon-reload"))
}

// unitWish is what is asked of a unit. Empty and nil are "as it is".
type unitWish struct {
	name            string
	state           string
	enabled, masked *bool
	reread          bool
}

// compare needs the first look beside the present one: that a unit was
// restarted in between is seen by its invocation.
func (w unitWish) compare(t Target, first, now unitState) (Change, error) {
	if err := w.unsure(t, now); err != nil {
		return Change{}, err
	}
	c := Change{Vars: map[string]any{
		"name": w.name, "state": now.word(), "enabled": now.enabled(), "status": now.vars(),
	}}
	if w.reread && now["NeedDaemonReload"] == "yes" {
		c.needReread()
	}
	if err := w.compareMask(&c, now); err != nil {
		return Change{}, err
	}
	w.compareBoot(&c, now)
	if err := w.compareState(&c, first, now); err != nil {
		return Change{}, err
	}
	if len(c.Steps) > 0 {
		c.Effects = w.effects(t, now)
		c.Vars["enabled"] = c.Effects[0].State.(Unit).Boot == "enabled"
		delete(c.Vars, "state") // how the unit will do nobody knows
		delete(c.Vars, "status")
	}
	if len(c.Steps) > 0 && !w.reread && now["NeedDaemonReload"] == "yes" {
		c.Notes = append(c.Notes, fmt.Sprintf("the unit file of %q has changed and systemd still uses the old one; see daemon_reload of the module systemd", w.name))
	}
	return c, nil
}

func (w unitWish) compareMask(c *Change, now unitState) error {
	is := now["LoadState"] == "masked"
	if w.masked == nil {
		if is && (w.state != "" && w.state != "stopped" || w.enabled != nil && *w.enabled) {
			return fmt.Errorf("unit %q is masked, so it can be neither started nor enabled; unmask it with masked: false of the module systemd", w.name)
		}
		return nil
	}
	if is == *w.masked {
		return nil
	}
	verb := map[bool]string{true: "mask", false: "unmask"}[*w.masked]
	w.differ(c, "mask", now["UnitFileState"], verb+"ed", verb)
	return nil
}

// fixedAtBoot are the states of a unit file that enable and disable cannot
// change: nothing in the unit says what would start it.
var fixedAtBoot = []string{"static", "indirect", "generated", "transient", "alias", ""}

func (w unitWish) compareBoot(c *Change, now unitState) {
	state := now["UnitFileState"]
	switch {
	case w.enabled == nil:
	case slices.Contains(fixedAtBoot, state):
		if state == "" {
			state = "without a unit file"
		}
		c.Notes = append(c.Notes, fmt.Sprintf("unit %q is %s: it can be neither enabled nor disabled", w.name, state))
	case *w.enabled && state != "enabled":
		w.differ(c, "start at boot", state, "enabled", "enable")
	case !*w.enabled && now.enabled():
		w.differ(c, "start at boot", state, "disabled", "disable")
	}
}

func (w unitWish) compareState(c *Change, first, now unitState) error {
	again := now["InvocationID"] != first["InvocationID"] ||
		now["ExecMainStartTimestampMonotonic"] != first["ExecMainStartTimestampMonotonic"]
	running := now.running() || again && now.ended()
	switch w.state {
	case "started":
		if !running {
			w.start(c, now)
		}
	case "stopped":
		if now["ActiveState"] == "deactivating" {
			w.settle(c, now, "inactive")
		} else if now["ActiveState"] != "inactive" && now["ActiveState"] != "failed" {
			w.differ(c, "state", now.word(), "stopped", "stop")
		}
	case "restarted":
		switch {
		case !again:
			w.differ(c, "state", now.since(), "restarted", "restart")
		case now["ActiveState"] == "failed":
			return fmt.Errorf("unit %q has failed after its restart (%s); see `journalctl -u %s` there", w.name, now["Result"], w.name)
		case !running:
			w.start(c, now)
		}
	case "reloaded":
		reloaded := again || now["StateChangeTimestampMonotonic"] != first["StateChangeTimestampMonotonic"]
		switch {
		case !now.running():
			w.start(c, now)
		case reloaded:
		case now["CanReload"] != "yes":
			return fmt.Errorf("unit %q cannot be reloaded: it has no ExecReload; use state: restarted", w.name)
		default:
			w.differ(c, "state", now.since(), "reloaded", "reload")
		}
	}
	return nil
}

// start starts a unit, unless systemd is at it already.
func (w unitWish) start(c *Change, now unitState) {
	if now["ActiveState"] == "activating" {
		w.settle(c, now, "active")
		return
	}
	w.differ(c, "state", now.word(), "started", "start")
}

func (w unitWish) settle(c *Change, now unitState, want string) {
	c.Diffs = append(c.Diffs, Diff{What: "state of unit " + w.name, Have: now.word(), Want: want})
	c.Wait.Timeout = unitSettles
}

func (w unitWish) differ(c *Change, what, have, want, verb string) {
	c.Diffs = append(c.Diffs, Diff{What: what + " of unit " + w.name, Have: have, Want: want})
	c.Steps = append(c.Steps, systemctl(verb, w.name))
}

func (u unitState) running() bool {
	return slices.Contains([]string{"active", "reloading", "refreshing"}, u["ActiveState"])
}

// ended says that the unit is one that runs to its end, and has done so well.
func (u unitState) ended() bool {
	return u["Type"] == "oneshot" && u["RemainAfterExit"] == "no" && u["ActiveState"] == "inactive" && u["Result"] == "success"
}

func (u unitState) enabled() bool {
	return u["UnitFileState"] == "enabled" || u["UnitFileState"] == "enabled-runtime"
}

// word is the state as systemctl shows it: active (running).
func (u unitState) word() string {
	if u["SubState"] == "" {
		return u["ActiveState"]
	}
	return u["ActiveState"] + " (" + u["SubState"] + ")"
}

func (u unitState) since() string {
	if at := u["ActiveEnterTimestamp"]; u.running() && at != "" {
		return u.word() + " since " + at
	}
	return u.word()
}

func (u unitState) vars() map[string]any {
	vars := make(map[string]any, len(u))
	for k, v := range u {
		vars[k] = v
	}
	return vars
}

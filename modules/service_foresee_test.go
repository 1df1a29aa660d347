package modules

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const noUnit = "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n"

func plannedUnitFile(name, text string) Effect {
	return plannedFile("/etc/systemd/system/"+name, text)
}

func plannedPackage(name, version string) Effect {
	return Effect{Thing: APackage, Name: name, State: version, By: "install"}
}

func TestUnitsOfAPlan(t *testing.T) {
	const wanted = "[Install]\nWantedBy=multi-user.target\n"
	unit := func(u Unit) Effect { return Effect{Thing: AUnit, Name: "web.service", State: u, By: "before"} }
	changed := func(folder string, found ...Effect) Effect {
		return Effect{Thing: SomePaths, Name: folder + "/**", State: found}
	}
	ours := changed("/etc/systemd/system", plannedUnitFile("web.service", wanted), plannedUnitFile("other.service", ""))
	for name, c := range map[string]struct {
		m     systemd
		now   string // what systemctl shows; empty: there is no such unit
		ahead []Effect
		diffs []string // what: have -> want
		notes int
		leave *Unit
		err   string
	}{
		"no such unit": {m: systemd{State: "started"}, err: `this host has no unit "web"; a package that brings it has to be installed first`},
		"its file is written": {m: systemd{State: "started"}, ahead: []Effect{plannedUnitFile("web.service", wanted)},
			diffs: []string{"state of unit web: inactive (dead) -> started"}, leave: &Unit{"active", "disabled"}},
		"its file is written, and it shall start at boot": {m: systemd{State: "started", Enabled: new(true)}, ahead: []Effect{plannedUnitFile("web.service", wanted)},
			diffs: []string{"start at boot of unit web: disabled -> enabled", "state of unit web: inactive (dead) -> started"}, leave: &Unit{"active", "enabled"}},
		"it can not start at boot": {m: systemd{State: "stopped", Enabled: new(true)}, ahead: []Effect{plannedUnitFile("web.service", "[Service]\n")}, notes: 1},
		"it shall not run":         {m: systemd{State: "stopped", Enabled: new(false)}, ahead: []Effect{plannedUnitFile("web.service", wanted)}},
		"it can not be reloaded": {m: systemd{State: "reloaded"}, ahead: []Effect{plannedUnitFile("web.service", wanted), unit(Unit{"active", "disabled"})},
			now: strings.Replace(running, "CanReload=yes", "CanReload=no", 1), err: `unit "web" cannot be reloaded`},
		"nobody knows its file": {m: systemd{State: "started"}, ahead: []Effect{{Thing: APath, Name: "/etc/systemd/system/web.service", State: Unforeseen{"why"}}}, err: "known after apply: why"},
		"its package is installed": {m: systemd{State: "started", Enabled: new(true)}, ahead: []Effect{plannedPackage("web", "1")},
			diffs: []string{"start at boot of unit web: not there yet -> enabled", "state of unit web: not there yet -> started"}, leave: &Unit{"active", "enabled"}},
		"its package may start it": {m: systemd{State: "stopped"}, ahead: []Effect{plannedPackage("web", "1")},
			err: `known after apply: whether package "web", which the task "install" installs, starts unit "web"`},
		"its package may enable it": {m: systemd{Enabled: new(false)}, ahead: []Effect{plannedPackage("web", "1")},
			err: `known after apply: whether package "web", which the task "install" installs, enables unit "web"`},
		"some package is installed": {m: systemd{State: "started"}, ahead: []Effect{{Thing: APackage, Name: anyPackage, State: "1", By: "install"}},
			err: `known after apply: whether unit "web" comes with package "", which the task "install" installs`},
		"its package goes": {m: systemd{State: "started"}, now: running, ahead: []Effect{{Thing: APackage, Name: "web", Gone: true, By: "remove"}},
			err: `known after apply: what becomes of unit "web", whose package the task "remove" removes`},
		"started already":        {m: systemd{State: "started", Enabled: new(true)}, ahead: []Effect{unit(Unit{"active", "enabled"})}},
		"started, to be stopped": {m: systemd{State: "stopped"}, ahead: []Effect{unit(Unit{"active", "enabled"})}, diffs: []string{"state of unit web: active -> stopped"}, leave: &Unit{"inactive", "enabled"}},
		"stopped, to be started": {m: systemd{State: "started"}, now: running, ahead: []Effect{unit(Unit{"inactive", "enabled"})},
			diffs: []string{"state of unit web: inactive (dead) -> started"}, leave: &Unit{"active", "enabled"}},
		"masked by then": {m: systemd{State: "started"}, now: running, ahead: []Effect{unit(Unit{"inactive", "masked"})}, err: `unit "web" is masked`},
		"unmasked by then": {m: systemd{State: "started"}, now: strings.NewReplacer("LoadState=loaded", "LoadState=masked", "UnitFileState=enabled", "UnitFileState=masked").Replace(running),
			ahead: []Effect{unit(Unit{"active", "disabled"})}},
		"restarted twice": {m: systemd{State: "restarted"}, now: running, ahead: []Effect{unit(Unit{"active", "enabled"})},
			diffs: []string{"state of unit web: active (running) since Sun 2026-11-22 22:08:47 UTC -> restarted"}, leave: &Unit{"active", "enabled"}},
		"nobody knows the unit": {m: systemd{State: "started"}, now: running, ahead: []Effect{{Thing: AUnit, Name: "web.service", State: Unforeseen{"why"}}}, err: "known after apply: why"},
		"its file changes": {m: systemd{State: "restarted", DaemonReload: true}, now: running, ahead: []Effect{ours},
			diffs: []string{"unit files: changed since systemd has read them -> read again", "state of unit web: active (running) since Sun 2026-11-22 22:08:47 UTC -> restarted"}, leave: &Unit{"active", "enabled"}},
		"its file changes, and nobody asks": {m: systemd{State: "restarted"}, now: running, ahead: []Effect{ours}, notes: 1,
			diffs: []string{"state of unit web: active (running) since Sun 2026-11-22 22:08:47 UTC -> restarted"}, leave: &Unit{"active", "enabled"}},
		"another's file changes": {m: systemd{State: "started", DaemonReload: true}, now: running,
			ahead: []Effect{changed("/etc/systemd/system", plannedUnitFile("other.service", ""))}},
		"an addition changes": {m: systemd{State: "started", DaemonReload: true}, now: running,
			ahead: []Effect{changed("/run/systemd/system", plannedFile("/run/systemd/system/web.service.d/a.conf", ""))},
			diffs: []string{"unit files: changed since systemd has read them -> read again"}, leave: &Unit{"active", "enabled"}},
		"its file was read since": {m: systemd{State: "started", DaemonReload: true}, now: running,
			ahead: []Effect{ours, {Thing: AUnit, Name: "", State: []string{"/etc/systemd/system/web.service\nbefore"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.m
			m.Name = "web"
			now := c.now
			if now == "" {
				now = noUnit
			}
			target := &fake{commands: map[string]Output{unitQuery("web", m.DaemonReload).String(): {Stdout: now}}, predicted: c.ahead}
			change, err := m.Check(t.Context(), target)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.diffs, said(change.Diffs))
			assert.Len(t, change.Notes, c.notes)
			if c.leave == nil {
				assert.Empty(t, change.Effects)
				return
			}
			assert.Equal(t, Effect{Thing: AUnit, Name: "web.service", State: *c.leave}, change.Effects[0])
		})
	}
}

func said(diffs []Diff) []string {
	var all []string
	for _, d := range diffs {
		all = append(all, d.What+": "+d.Have+" -> "+d.Want)
	}
	return all
}

func TestReadingUnitFilesOfAPlan(t *testing.T) {
	query := unitQuery("", true).String()
	files := Effect{Thing: SomePaths, Name: "/etc/systemd/system/**", State: []Effect{plannedUnitFile("web.service", "")}}
	target := &fake{commands: map[string]Output{query: {Stdout: "NeedDaemonReload=no\n"}}}
	assert.Empty(t, check(t, &systemd{DaemonReload: true}, target).Steps)

	target.predicted = []Effect{files}
	change := check(t, &systemd{DaemonReload: true}, target)
	assert.Equal(t, []string{"systemctl daemon-reload"}, stepLines(change))
	require.Len(t, change.Effects, 1)

	target.predicted = append(target.predicted, change.Effects[0])
	assert.Empty(t, check(t, &systemd{DaemonReload: true}, target).Steps, "an earlier task has had them read")

	again := plannedUnitFile("web.service", "")
	again.By = "later"
	target.predicted[0].State = []Effect{again}
	assert.Len(t, check(t, &systemd{DaemonReload: true}, target).Steps, 1, "a task after it has changed the file again")
}

func TestATemplatesUnitIsWrittenWithIt(t *testing.T) {
	target := &fake{commands: map[string]Output{unitQuery("web@1", false).String(): {Stdout: noUnit}}, predicted: []Effect{plannedUnitFile("web@.service", "")}}
	assert.Len(t, check(t, &service{Name: "web@1", State: "started"}, target).Steps, 1)
	target = &fake{commands: map[string]Output{unitQuery("web.timer", false).String(): {Stdout: noUnit}}, predicted: []Effect{plannedUnitFile("web.timer", "")}}
	assert.Len(t, check(t, &service{Name: "web.timer", State: "started"}, target).Steps, 1)
}

// A run that died after its restart does not restart a second time.
func TestServiceRemembersWhatItSawFirst(t *testing.T) {
	query := unitQuery("web", false).String()
	for name, made := range map[string]func() Module{
		"service": func() Module { return &service{Name: "web", State: "restarted"} },
		"systemd": func() Module { return &systemd{Name: "web", State: "restarted"} },
	} {
		t.Run(name, func(t *testing.T) {
			first := made()
			assert.Nil(t, first.(Rememberer).Seen())
			require.Len(t, check(t, first, &fake{commands: map[string]Output{query: {Stdout: running}}}).Steps, 1)
			seen := first.(Rememberer).Seen()

			restarted := &fake{commands: map[string]Output{query: {Stdout: strings.Replace(running, "4be72a4b", "11111111", 1)}}}
			resumed := made()
			require.NoError(t, resumed.(Rememberer).Recall(seen))
			assert.Empty(t, check(t, resumed, restarted).Steps)
			assert.Len(t, check(t, made(), restarted).Steps, 1, "who does not remember restarts again")
			assert.ErrorContains(t, made().(Rememberer).Recall([]byte("{")), "what was first seen of the unit cannot be read")
		})
	}
}

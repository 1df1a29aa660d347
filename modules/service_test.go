package modules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// running is a unit as systemctl 252 shows it.
const running = `Type=simple
RemainAfterExit=no
Result=success
ExecMainStartTimestampMonotonic=1500000
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
StateChangeTimestampMonotonic=1500100
ActiveEnterTimestamp=Sun 2026-11-22 22:08:47 UTC
CanReload=yes
NeedDaemonReload=no
InvocationID=4be72a4b4fd34c7f8b6b6b5a7c1f9d10
`

// inactive turns it into one that does not run.
var inactive = []string{"ActiveState=active", "ActiveState=inactive", "SubState=running", "SubState=dead"}

var serviceCases = map[string]struct {
	m       systemd
	replace []string
	again   []string // what a second look finds otherwise, and needs nothing
	diffs   []Diff
	steps   []string
	notes   []string
	fails   string
}{
	"started":  {m: systemd{State: "started"}},
	"to start": {m: systemd{State: "started"}, replace: inactive, diffs: []Diff{{What: "state of unit web", Have: "inactive (dead)", Want: "started"}}, steps: []string{"systemctl start web"}},
	"starting": {m: systemd{State: "started"}, replace: []string{"ActiveState=active", "ActiveState=activating", "SubState=running", "SubState=auto-restart"},
		diffs: []Diff{{What: "state of unit web", Have: "activating (auto-restart)", Want: "active"}}},
	"stopped":  {m: systemd{State: "stopped"}, replace: inactive},
	"to stop":  {m: systemd{State: "stopped"}, diffs: []Diff{{What: "state of unit web", Have: "active (running)", Want: "stopped"}}, steps: []string{"systemctl stop web"}},
	"stopping": {m: systemd{State: "stopped"}, replace: []string{"ActiveState=active", "ActiveState=deactivating", "SubState=running", "SubState=stop-sigterm"}, diffs: []Diff{{What: "state of unit web", Have: "deactivating (stop-sigterm)", Want: "inactive"}}},
	"restarted": {
		m: systemd{State: "restarted"}, again: []string{"4be72a4b", "11111111"},
		diffs: []Diff{{What: "state of unit web", Have: "active (running) since Sun 2026-11-22 22:08:47 UTC", Want: "restarted"}},
		steps: []string{"systemctl restart web"},
	},
	"reloaded": {
		m: systemd{State: "reloaded"}, again: []string{"StateChangeTimestampMonotonic=1500100", "StateChangeTimestampMonotonic=1600000"},
		diffs: []Diff{{What: "state of unit web", Have: "active (running) since Sun 2026-11-22 22:08:47 UTC", Want: "reloaded"}},
		steps: []string{"systemctl reload web"},
	},
	"not to reload": {m: systemd{State: "reloaded"}, replace: []string{"CanReload=yes", "CanReload=no"}, fails: `unit "web" cannot be reloaded: it has no ExecReload; use state: restarted`},
	"enabled":       {m: systemd{Enabled: new(true)}},
	"to enable": {m: systemd{Enabled: new(true)}, replace: []string{"UnitFileState=enabled", "UnitFileState=disabled"},
		diffs: []Diff{{What: "start at boot of unit web", Have: "disabled", Want: "enabled"}}, steps: []string{"systemctl enable web"}},
	"enabled until the next boot": {m: systemd{Enabled: new(true)}, replace: []string{"UnitFileState=enabled", "UnitFileState=enabled-runtime"},
		diffs: []Diff{{What: "start at boot of unit web", Have: "enabled-runtime", Want: "enabled"}}, steps: []string{"systemctl enable web"}},
	"to disable": {m: systemd{Enabled: new(false)}, diffs: []Diff{{What: "start at boot of unit web", Have: "enabled", Want: "disabled"}}, steps: []string{"systemctl disable web"}},
	"neither": {m: systemd{Enabled: new(true)}, replace: []string{"UnitFileState=enabled", "UnitFileState=static"},
		notes: []string{`unit "web" is static: it can be neither enabled nor disabled`}},
	"masked": {m: systemd{State: "started"}, replace: []string{"LoadState=loaded", "LoadState=masked"},
		fails: `unit "web" is masked, so it can be neither started nor enabled; unmask it with masked: false of the module systemd`},
	"to unmask": {m: systemd{Masked: new(false)}, replace: []string{"LoadState=loaded", "LoadState=masked", "UnitFileState=enabled", "UnitFileState=masked"},
		diffs: []Diff{{What: "mask of unit web", Have: "masked", Want: "unmasked"}}, steps: []string{"systemctl unmask web"}},
	"to read again": {m: systemd{DaemonReload: true}, replace: []string{"NeedDaemonReload=no", "NeedDaemonReload=no\nNeedDaemonReload=yes\nNeedDaemonReload=no"},
		diffs: []Diff{{What: "unit files", Have: "changed since systemd has read them", Want: "read again"}}, steps: []string{"systemctl daemon-reload"}},
	"with the old file": {m: systemd{State: "stopped"}, replace: []string{"NeedDaemonReload=no", "NeedDaemonReload=yes"},
		diffs: []Diff{{What: "state of unit web", Have: "active (running)", Want: "stopped"}}, steps: []string{"systemctl stop web"},
		notes: []string{`the unit file of "web" has changed and systemd still uses the old one; see daemon_reload of the module systemd`}},
	"no such unit": {m: systemd{State: "stopped"}, replace: []string{"LoadState=loaded", "LoadState=not-found"}, fails: `this host has no unit "web"; a package that brings it has to be installed first`},
	"a bad unit":   {m: systemd{State: "stopped"}, replace: []string{"LoadState=loaded", "LoadState=bad-setting"}, fails: "systemd cannot load the unit \"web\" (bad-setting); see `systemctl status web` there"},
}

func TestService(t *testing.T) {
	for name, c := range serviceCases {
		t.Run(name, func(t *testing.T) {
			m := c.m
			m.Name = "web"
			require.NoError(t, m.Validate())
			first := strings.NewReplacer(c.replace...).Replace(running)
			require.Equal(t, c.replace == nil, first == running)
			query := unitQuery("web", m.DaemonReload).String()
			target := &fake{commands: map[string]Output{query: {Stdout: first}}}
			change, err := m.Check(t.Context(), target)
			if c.fails != "" {
				assert.EqualError(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.diffs, change.Diffs)
			assert.ElementsMatch(t, c.steps, stepLines(change))
			assert.Equal(t, c.notes, change.Notes)
			assert.Equal(t, len(c.diffs) > 0 && len(c.steps) == 0, change.Wait.Timeout == 90*time.Second)
			if c.again != nil {
				assert.Len(t, check(t, &m, target).Steps, 1, "nobody has done it yet")
				target.commands[query] = Output{Stdout: strings.NewReplacer(c.again...).Replace(first)}
				assert.Empty(t, check(t, &m, target).Diffs)
			}
		})
	}
}

func TestServiceHasFailedAfterItsRestart(t *testing.T) {
	m := &service{Name: "web", State: "restarted"}
	query := unitQuery("web", false).String()
	target := &fake{commands: map[string]Output{query: {Stdout: running}}}
	require.Len(t, check(t, m, target).Steps, 1)
	target.commands[query] = Output{Stdout: strings.NewReplacer("4be72a4b", "11111111", "ActiveState=active", "ActiveState=failed", "Result=success", "Result=exit-code").Replace(running)}
	_, err := m.Check(t.Context(), target)
	assert.EqualError(t, err, "unit \"web\" has failed after its restart (exit-code); see `journalctl -u web` there")
}

func TestServiceCannotTell(t *testing.T) {
	query := unitQuery("web", false).String()
	for want, target := range map[string]*fake{
		"no route": {errs: map[string]error{query: errors.New("no route")}},
		"systemd does not answer on this host (code 1): Failed to connect to bus: Host is down": {commands: map[string]Output{query: {
			Code: 1, Stderr: "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n"}}},
	} {
		_, err := (&service{Name: "web", State: "started"}).Check(t.Context(), target)
		assert.EqualError(t, err, want)
	}
}

func TestServiceArguments(t *testing.T) {
	for want, m := range map[string]Validator{
		"one of state or enabled is needed":                        &service{Name: "web"},
		`name: "-x" is not the name of a unit`:                     &service{Name: "-x", State: "started"},
		`name: "w*" is not the name of a unit`:                     &systemd{Name: "w*", State: "started"},
		"one of state, enabled, masked or daemon_reload is needed": &systemd{Name: "web"},
		"one of name or daemon_reload is needed":                   &systemd{},
		"name is needed with state, enabled and masked":            &systemd{DaemonReload: true, Enabled: new(true)},
	} {
		assert.EqualError(t, m.Validate(), want)
	}
	for _, name := range []string{"ssh", "getty@tty1.service", `dev-disk-by\x2did.swap`} {
		assert.NoError(t, (&service{Name: name, State: "started"}).Validate())
	}
}

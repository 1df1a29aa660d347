package modules

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded is what a real tool has printed.
func recorded(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	require.NoError(t, err)
	return string(data)
}

// aptStep is what every step that acts begins with in a plan.
const aptStep = "apt-get -y "

const aptPlanned = "apt-get -s -q -o Debug::NoLocking=1 -o APT::Get::Show-User-Simulation-Note=false "

var aptCases = map[string]struct {
	args     func(*apt)
	look     string
	replaced [2]string // old and new
	fresh    string    // what the newest lists say instead
	command  string    // the simulation, after what is the same for all
	answer   string    // recorded
	diffs    []Diff
	steps    []string
	notes    []string
}{
	"present": {args: func(a *apt) { a.Name = []string{"rbdemo"} }, look: "look"},
	"another architecture's name": {args: func(a *apt) { a.Name = []string{"rbdemo:amd64"} },
		look: "look", replaced: [2]string{"rbdemo\tall", "rbdemo\tamd64"}},
	"the wanted version": {args: func(a *apt) { a.Name = []string{"rbdemo=1.0"} }, look: "look"},
	"newest": {args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" },
		look: "look", replaced: [2]string{"Candidate: 2.0", "Candidate: 1.0"}},
	"an upgrade brings another": {
		args: func(a *apt) { a.Name, a.State, a.OnlyUpgrade = []string{"rbdemo"}, "latest", true },
		look: "look", command: "--only-upgrade install -- rbdemo", answer: "latest",
		diffs: []Diff{{What: "package rblib", Have: "1.0", Want: "2.0"}, {What: "package rbdemo", Have: "1.0", Want: "2.0"}},
		steps: []string{aptStep + "--no-remove --only-upgrade install -- rbdemo=2.0"},
	},
	"phased": {
		args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" },
		look: "look", replaced: [2]string{"     2.0 500\n", "     2.0 500 (phased 10%)\n"}, command: "install -- rbdemo", answer: "latest",
		diffs: []Diff{{What: "package rblib", Have: "1.0", Want: "2.0"}, {What: "package rbdemo", Have: "1.0", Want: "2.0"}},
		steps: []string{aptStep + "--no-remove install -- rbdemo=2.0"},
		notes: []string{
			`package "rblib": version 2.0 is offered to 10% of all machines so far, and is installed because it is named`,
			`package "rbdemo": version 2.0 is offered to 10% of all machines so far, and is installed because it is named`,
		},
	},
	"only upgrades": {
		args: func(a *apt) { a.Name, a.State, a.OnlyUpgrade = []string{"rbfoe"}, "latest", true },
		look: "look", notes: []string{`package "rbfoe" is not installed, and only_upgrade leaves it so`},
	},
	"another goes": {
		args: func(a *apt) { a.Name, a.AllowRemove = []string{"rbfoe"}, []any{"rbdemo"} },
		look: "look", command: "install -- rbfoe", answer: "foe",
		diffs: []Diff{{What: "package rbfoe", Have: "not installed", Want: "1.0"}, {What: "package rbdemo", Have: "1.0", Want: "removed"}},
		steps: []string{aptStep + "install -- rbfoe=1.0"},
	},
	"on hold, and permitted": {
		args: func(a *apt) { a.Name, a.State, a.AllowHeld = []string{"rbdemo"}, "latest", true },
		look: "look", command: "install -- rbdemo", answer: "held",
		diffs: []Diff{{What: "package rblib", Have: "1.0", Want: "2.0"}, {What: "package rbdemo", Have: "1.0", Want: "2.0"}},
		steps: []string{aptStep + "--no-remove --allow-change-held-packages install -- rbdemo=2.0"},
	},
	"older, and permitted": {
		args: func(a *apt) { a.Name, a.AllowDowngrade = []string{"rblib=0.9"}, true },
		look: "look", command: "install -- rblib=0.9", answer: "older",
		diffs: []Diff{{What: "package rblib", Have: "2.0", Want: "1.0"}},
		steps: []string{aptStep + "--no-remove --allow-downgrades install -- rblib=0.9"},
	},
	"half configured is not installed": {
		args: func(a *apt) { a.Name = []string{"rbbad"} },
		look: "look-broken", command: "install -- rbbad", answer: "broken",
		diffs: []Diff{{What: "package rbbad", Have: "1.0, not configured", Want: "1.0"}},
		steps: []string{aptStep + "--no-remove install -- rbbad"},
		notes: []string{`package "rbbad" is half-configured: apt has to configure it first, and fails where that fails`},
	},
	"gone": {args: func(a *apt) { a.Name, a.State = []string{"rbfoe", "nosuch"}, "absent" }, look: "look"},
	"to go": {
		args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "absent" },
		look: "look", command: "remove -- rbdemo", answer: "absent",
		diffs: []Diff{{What: "package rbdemo", Have: "1.0", Want: "removed"}},
		steps: []string{aptStep + "remove -- rbdemo"},
	},
	"everything, but for what is on hold": {
		args: func(a *apt) { a.Upgrade = "yes" },
		look: "look", command: "--with-new-pkgs upgrade", answer: "upgrade-held",
		diffs: []Diff{{What: "package rblib", Have: "1.0", Want: "2.0"}},
		steps: []string{aptStep + "--no-remove --with-new-pkgs upgrade"},
		notes: []string{`apt keeps back "rbdemo"`},
	},
	"somebody holds the lock": {
		args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "absent" },
		look: "look-locked", replaced: [2]string{"@broken\nhalf-configured\trbbad\tall\t1.0\n", "@interrupted\n@broken\n"}, command: "remove -- rbdemo", answer: "absent",
		diffs: []Diff{{What: "package rbdemo", Have: "1.0", Want: "removed"}},
		steps: []string{aptStep + "remove -- rbdemo"},
		notes: []string{"waits up to 1m0s for unattended-upgr (pid 123, running for 35s), which holds /var/lib/dpkg/lock-frontend"},
	},
	"lists first": {
		args: func(a *apt) { a.Name, a.State, a.UpdateCache = []string{"rbdemo"}, "latest", true },
		look: "look", replaced: [2]string{"Candidate: 2.0", "Candidate: 1.0"}, fresh: "rbdemo:\n  Candidate: 2.0\n",
		command: "install -- rbdemo", answer: "latest",
		diffs: []Diff{{What: "package lists", Have: "fetched 0s ago", Want: "fetched"},
			{What: "package rblib", Have: "1.0", Want: "2.0"}, {What: "package rbdemo", Have: "1.0", Want: "2.0"}},
		steps: []string{"apt-get -q -o APT::Update::Error-Mode=any update", aptStep + "--no-remove install -- rbdemo=2.0"},
	},
	"nothing new in the newest lists": {
		args: func(a *apt) { a.Name, a.UpdateCache = []string{"rbdemo"}, true },
		look: "look", fresh: "rbdemo:\n  Candidate: 2.0\n",
		diffs: []Diff{{What: "package lists", Have: "fetched 0s ago", Want: "fetched"}},
		steps: []string{"apt-get -q -o APT::Update::Error-Mode=any update"},
	},
}

func TestApt(t *testing.T) {
	for name, c := range aptCases {
		t.Run(name, func(t *testing.T) {
			a := aptWith(c.args)
			require.NoError(t, a.Validate())
			text := recorded(t, "apt/"+c.look)
			changed := strings.ReplaceAll(text, c.replaced[0], c.replaced[1])
			require.Equal(t, c.replaced[0] == "", changed == text)
			if c.replaced[0] == "" {
				changed = text
			}
			target := &fake{commands: map[string]Output{a.probe().String(): {Stdout: changed}}}
			planned := aptPlanned
			if c.fresh != "" {
				target.commands[a.fresh().String()] = Output{Stdout: "@lists /var/tmp/x\n@policy\n" + c.fresh}
				target.commands["rm -rf -- /var/tmp/x"] = Output{}
				planned = strings.Replace(aptPlanned, "apt-get", "apt-get -c /var/tmp/x/apt.conf", 1)
			}
			if c.command != "" {
				target.commands[planned+c.command] = Output{Stdout: recorded(t, "apt/"+c.answer)}
			}
			change := check(t, a, target)
			assert.Equal(t, c.diffs, change.Diffs)
			assert.ElementsMatch(t, c.steps, stepLines(change))
			assert.Equal(t, c.notes, change.Notes)
			assert.Len(t, target.asked, len(target.commands), "no more questions than needed")
		})
	}
}

func TestAptRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		args    func(*apt)
		look    string
		command string
		answer  Output
		want    string
	}{
		"an unknown package": {
			args: func(a *apt) { a.Name = []string{"nosuch"} },
			want: `package "nosuch" is not in this host's package lists: either the name is wrong or the lists are old; try update_cache: true`,
		},
		"a missing package": {
			args: func(a *apt) { a.Name, a.OnlyUpgrade, a.MustExist = []string{"rbfoe"}, true, true },
			want: `package "rbfoe" is not installed, and only_upgrade with must_exist wants it to be`,
		},
		"an unknown version": {
			args: func(a *apt) { a.Name = []string{"rbdemo=9"} }, command: "install -- rbdemo=9",
			answer: Output{Code: 100, Stderr: "E: Version '9' for 'rbdemo' was not found\n"},
			want:   `package "rbdemo" has no version "9" in this host's package lists, which have "2.0", "1.0"; try update_cache: true`,
		},
		"what apt refuses": {
			args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, command: "install -- rbdemo",
			answer: Output{Code: 100, Stderr: "W: x\nE: Unmet dependencies.\nE: Broken packages\n"},
			want:   "apt cannot do it: Unmet dependencies.; Broken packages",
		},
		"silence": {
			args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, command: "install -- rbdemo",
			answer: Output{Code: 137},
			want:   "apt-get -s ends with code 137 and no word why",
		},
		"removals": {
			args: func(a *apt) { a.Name = []string{"rbfoe"} }, command: "install -- rbfoe",
			answer: Output{Stdout: recorded(t, "apt/foe")},
			want:   `apt would also remove "rbdemo"; permit it with allow_remove`,
		},
		"what is on hold": {
			args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" }, command: "install -- rbdemo",
			answer: Output{Stdout: recorded(t, "apt/held")},
			want:   `"rbdemo" on hold; permit the change with allow_change_held_packages: true`,
		},
		"a downgrade": {
			args: func(a *apt) { a.Name = []string{"rblib=0.9"} }, command: "install -- rblib=0.9",
			answer: Output{Stdout: recorded(t, "apt/older")},
			want:   `the wanted version of "rblib" is older than the installed one; permit it with allow_downgrade: true`,
		},
		"an interrupted dpkg": {
			args: func(a *apt) { a.Name, a.State = []string{"rbdemo"}, "latest" },
			look: "@interrupted\n",
			want: "dpkg was interrupted on this host, and nothing can be installed until `dpkg --configure -a` has been run there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := aptWith(c.args)
			target := &fake{commands: map[string]Output{
				a.probe().String(): {Stdout: c.look + recorded(t, "apt/look")}, aptPlanned + c.command: c.answer,
			}}
			_, err := a.Check(t.Context(), target)
			assert.EqualError(t, err, c.want)
		})
	}
}

func TestAptCannotTell(t *testing.T) {
	a := aptWith(func(a *apt) { a.Name = []string{"rbdemo"} })
	look := a.probe().String()
	for want, target := range map[string]*fake{
		"no route":      {errs: map[string]error{look: errors.New("no route")}},
		"is for Debian": {commands: map[string]Output{look: {Stdout: "@missing\n"}}},
		"does not tell": {commands: map[string]Output{look: {}}},
		"`apt-cache policy` fails on this host: The list of sources could not be read.": {commands: map[string]Output{look: {
			Stdout: "@now 1\n@arch amd64\n@policy\n@failed apt-cache policy\n",
			Stderr: "E: The list of sources could not be read.\nE: The list of sources could not be read.\n",
		}}},
	} {
		_, err := a.Check(t.Context(), target)
		assert.ErrorContains(t, err, want)
	}
}

func TestAptArguments(t *testing.T) {
	for want, args := range map[string]func(*apt){
		`name: "-y" is not a package name`:   func(a *apt) { a.Name = []string{"-y"} },
		`name: "rbdemo-" is not`:             func(a *apt) { a.Name = []string{"rbdemo-"} },
		`name: "a b" is not`:                 func(a *apt) { a.Name = []string{"a b"} },
		`name: "a=$(id)" is not`:             func(a *apt) { a.Name = []string{"a=$(id)"} },
		`name: "a/stable" is not`:            func(a *apt) { a.Name = []string{"a/stable"} },
		"one of name, upgrade, update_cache": func(*apt) {},
		"name and upgrade exclude":           func(a *apt) { a.Name, a.Upgrade = []string{"ab"}, "yes" },
		"only_upgrade needs name":            func(a *apt) { a.UpdateCache, a.OnlyUpgrade = true, true },
		"must_exist has a meaning":           func(a *apt) { a.Name, a.MustExist = []string{"ab"}, true },
		"a version has no meaning":           func(a *apt) { a.Name, a.State = []string{"ab=1"}, "absent" },
		"allow_remove: wanted package names": func(a *apt) { a.Name, a.AllowRemove = []string{"ab"}, []any{1} },
		"allow_remove: wanted true, false":   func(a *apt) { a.Name, a.AllowRemove = []string{"ab"}, 7 },
		"cannot be negative":                 func(a *apt) { a.Name, a.LockTimeout = []string{"ab"}, -1 },
	} {
		assert.ErrorContains(t, aptWith(args).Validate(), want)
	}
	for _, name := range []string{"g++", "libc6:i386", "ipset=7.17-1+b1", "linux-image=5:6.1~rc*"} {
		assert.NoError(t, aptWith(func(a *apt) { a.Name = []string{name} }).Validate(), name)
	}
}

func TestAptListsAreFresh(t *testing.T) {
	const now = "1795385699" // of the recording
	for name, c := range map[string]struct{ stamp, more, stale string }{
		"fresh":                 {stamp: "clean 1795385000.5"},
		"old":                   {stamp: "clean 1795380000", stale: "fetched 1h34m59s ago"},
		"not all there":         {stamp: "partial 1795385000", stale: "partly fetched 11m39s ago"},
		"never":                 {stale: "never fetched by runbook"},
		"from the future":       {stamp: "clean 1795389999", stale: "fetched -1h11m40s ago"},
		"sources have changed":  {stamp: "clean 1795385000", more: "@sources-newer\n", stale: "older than the sources"},
		"lists have been wiped": {stamp: "clean 1795385000", more: "@no-lists\n", stale: "not there"},
	} {
		t.Run(name, func(t *testing.T) {
			a := aptWith(func(a *apt) { a.CacheValidTime = time.Hour })
			text := strings.Replace(c.more+recorded(t, "apt/look"), "clean "+now, c.stamp, 1)
			change := check(t, a, &fake{commands: map[string]Output{a.probe().String(): {Stdout: text}}})
			if c.stale == "" {
				assert.Empty(t, change.Diffs)
				return
			}
			assert.Equal(t, []Diff{{What: "package lists", Have: c.stale, Want: "fetched"}}, change.Diffs)
		})
	}
}

// The words of a package may only ever be words, and apt must never ask.
func TestAptStepIsQuietAndQuoted(t *testing.T) {
	a := aptWith(func(a *apt) { a.Name = []string{"rbdemo=2.*"} })
	target := &fake{commands: map[string]Output{
		a.probe().String():                     {Stdout: recorded(t, "apt/look")},
		aptPlanned + "install -- 'rbdemo=2.*'": {Stdout: recorded(t, "apt/latest")},
	}}
	step := check(t, a, target).Steps[0].(Run)
	assert.Equal(t, aptStep+"--no-remove install -- rbdemo=2.0", step.String())
	assert.Equal(t, "noninteractive", step.Env["DEBIAN_FRONTEND"])
	assert.Equal(t, "1", step.Env["NEEDRESTART_SUSPEND"])
	assert.False(t, step.Opaque)
	assert.Contains(t, step.Shell, "\napt_get 60 -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "+
		"-y --no-remove install -- rbdemo=2.0\n")
	assert.Equal(t, time.Hour+2*time.Minute, step.Limit)
}

func aptWith(args func(*apt)) *apt {
	def, _ := Lookup("apt")
	a := def.New().(*apt)
	args(a)
	return a
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// aptStamp remembers the last `apt-get update` of runbook: "clean" or "partial",
// and the seconds since 1970; then a line for each file that could not be
// fetched. apt's own files cannot be asked: the time of the lists says when their
// content changed, and other stamps are also written after an update whose
// mirrors were dead.
const (
	aptStamp   = "/var/lib/apt/periodic/runbook-update"
	aptClean   = "clean"
	aptPartial = "partial"
)

// aptHolders is a shell function that prints, for each given lock file, who
// holds it: path, pid, seconds since it started, command. The locks are of
// fcntl's kind, which flock(1) does not see. Their list is read at one go: it
// changes while it is read line by line, and lines come twice then.
const aptHolders = `holders() {
	tick=$(getconf CLK_TCK 2>/dev/null || echo 100)
	read -r up _ </proc/uptime
	locks=$(cat /proc/locks)
	for lock; do
		inode=$(stat -c %i "$lock" 2>/dev/null) || continue
		printf '%s\n' "$locks" | while read -r _ kind _ mode pid where _; do
			[ "$kind $mode ${where##*:}" = "POSIX WRITE $inode" ] || continue
			stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
			set -- ${stat##*) }
			printf '%s\t%s\t%s\t%s\n' "$lock" "$pid" "$((${up%%.*} - ${20} / tick))" "$(cat "/proc/$pid/comm" 2>/dev/null)"
		done
	done
}
`

const aptLocks = "/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock"

const aptFormat = `${db:Status-Status}\t${Package}\t${Architecture}\t${Version}\n`

// aptProbe asks for everything that does not depend on what apt would do. The
// answers are sections that begin with an @.
const aptProbe = `command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || { echo '@missing'; exit 0; }
stamp=` + aptStamp + `
echo "@now $(date +%s)"
echo "@arch $(dpkg --print-architecture)"
echo "@stamp $(head -n 1 "$stamp" 2>/dev/null)"
echo '@unfetched'; sed 1d "$stamp" 2>/dev/null
[ -z "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer "$stamp" 2>/dev/null)" ] || echo '@sources-newer'
[ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_*' 2>/dev/null)" ] || echo '@no-lists'
[ -z "$(find /var/lib/dpkg/updates -name '[0-9]*' 2>/dev/null)" ] || echo '@interrupted'
echo '@locks'; holders ` + aptLocks + `
echo '@broken'; dpkg-query -W -f='` + aptFormat + `' | grep -Ev '^(installed|config-files|not-installed)	'
echo '@holds'; apt-mark showhold || echo "@failed apt-mark showhold"
`

type aptLook struct {
	now                                int64
	arch, stamp                        string
	sourcesNewer, noLists, interrupted bool
	holders                            []aptHolder
	packages                           map[string]aptPackage // by name, and by name:arch
	broken                             []aptPackage
	policy                             map[string]*aptPolicy
	holds                              []string
	unfetched                          []string // what the last update could not fetch, and why
	lists                              string   // the folder of fresh lists; empty: the host's own
	incomplete                         bool     // some of the fresh lists could not be fetched
	fetched                            bool     // by an earlier task of the plan
	unsure                             error    // in a plan that changes the sources: why nobody knows the lists
}

type aptHolder struct {
	lock, pid, command string
	since              time.Duration
}

// aptPackage is dpkg's opinion of a package. The zero value is one that dpkg
// has never seen.
type aptPackage struct{ status, name, arch, version string }

// aptPolicy is apt's opinion of a package.
type aptPolicy struct {
	candidate string
	versions  []string
	phased    string // how many percent of all machines are offered the candidate
}

func (a *apt) look(ctx context.Context, t Target) (aptLook, error) {
	out, err := t.Query(ctx, a.probe())
	if err != nil {
		return aptLook{}, err
	}
	if strings.HasPrefix(out.Stdout, "@missing") {
		return aptLook{}, errors.New("this host has no apt-get: the module apt is for Debian and Ubuntu")
	}
	look, err := parseAptLook(out.Stdout)
	if said := aptErrors(out.Stderr); err != nil && len(said) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.Join(said, "; "))
	}
	if err != nil {
		return look, err
	}
	return look, look.foresee(t, a.Name)
}

// aptErrors are the different things that apt calls an error.
func aptErrors(stderr string) []string {
	var said []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(line, "E: "); ok && !slices.Contains(said, strings.TrimSpace(text)) {
			said = append(said, strings.TrimSpace(text))
		}
	}
	return said
}

func (a *apt) probe() Run {
	script := aptHolders + aptProbe
	if len(a.Name) > 0 {
		script += "echo '@status'; dpkg-query -W -f='" + aptFormat + "' -- " + a.names() + "\n" + a.policyScript("")
	}
	return Run{Shell: script + "exit 0\n", Env: aptEnv()}
}

// policyScript asks which versions there are; options are apt-cache's.
func (a *apt) policyScript(options string) string {
	if len(a.Name) == 0 {
		return ""
	}
	return "echo '@policy'; apt-cache " + options + "policy -- " + a.names() + " || echo '@failed apt-cache policy'\n"
}

// names are the packages without their versions, quoted for a shell.
func (a *apt) names() string {
	names := make([]string, len(a.Name))
	for i, word := range a.Name {
		name, _ := splitAptWord(word)
		names[i] = Quote(name)
	}
	return strings.Join(names, " ")
}

func parseAptLook(text string) (aptLook, error) {
	look := aptLook{packages: map[string]aptPackage{}, policy: map[string]*aptPolicy{}}
	if err := look.parse(text); err != nil {
		return look, err
	}
	if look.now == 0 || look.arch == "" {
		return look, errors.New("this host does not tell its time or dpkg's architecture")
	}
	return look, nil
}

// parse reads the sections of an answer.
func (l *aptLook) parse(text string) error {
	var section string
	var policy *aptPolicy
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "@") {
			var value string
			section, value, _ = strings.Cut(line[1:], " ")
			if section == "failed" {
				return fmt.Errorf("`%s` fails on this host", value)
			}
			l.fact(section, value)
			continue
		}
		fields := strings.Split(line, "\t")
		switch {
		case section == "locks" && len(fields) == 4:
			seconds, _ := strconv.Atoi(fields[2])
			l.holders = append(l.holders, aptHolder{fields[0], fields[1], fields[3], time.Duration(seconds) * time.Second})
		case section == "broken" && len(fields) == 4:
			l.broken = append(l.broken, aptPackage{fields[0], fields[1], fields[2], fields[3]})
		case section == "status" && len(fields) == 4:
			l.add(aptPackage{fields[0], fields[1], fields[2], fields[3]})
		case section == "unfetched":
			l.unfetched = append(l.unfetched, line)
		case section == "holds":
			l.holds = append(l.holds, line)
		case section == "policy" && !strings.HasPrefix(line, " "):
			policy = &aptPolicy{}
			l.policy[strings.TrimSuffix(line, ":")] = policy
		case section == "policy" && policy != nil:
			policy.read(line)
		}
	}
	return nil
}

func (l *aptLook) fact(name, value string) {
	switch name {
	case "now":
		l.now, _ = strconv.ParseInt(value, 10, 64)
	case "arch":
		l.arch = value
	case "stamp":
		l.stamp = value
	case "sources-newer":
		l.sourcesNewer = true
	case "no-lists":
		l.noLists = true
	case "interrupted":
		l.interrupted = true
	case "lists":
		l.lists = value
	case "incomplete":
		l.incomplete = true
	}
}

// add files a package under NAME:ARCH, and under NAME if that is what apt means
// by the bare name.
func (l *aptLook) add(p aptPackage) {
	l.packages[p.name+":"+p.arch] = p
	if p.arch == l.arch || p.arch == "all" || l.packages[p.name].status == "" {
		l.packages[p.name] = p
	}
}

// policyOf finds what apt-cache says of a name. It leaves the architecture out
// where it is the host's own.
func (l aptLook) policyOf(name string) *aptPolicy {
	if p := l.policy[name]; p != nil {
		return p
	}
	return l.policy[l.bare(name)]
}

// bare is a name as apt writes it: the host's own architecture left out.
func (l aptLook) bare(name string) string { return strings.TrimSuffix(name, ":"+l.arch) }

var aptVersionLine = regexp.MustCompile(`^ (?:\*\*\*|   ) (\S+) -?\d+(?: \(phased (\d+)%\))?$`)

func (p *aptPolicy) read(line string) {
	if value, ok := strings.CutPrefix(line, "  Candidate: "); ok {
		p.candidate = value
	}
	if m := aptVersionLine.FindStringSubmatch(line); m != nil {
		p.versions = append(p.versions, m[1])
		if m[1] == p.candidate {
			p.phased = m[2]
		}
	}
}

func (l aptLook) seen() *aptSeen {
	versions := map[string]string{}
	for name, p := range l.packages {
		versions[name] = p.current()
	}
	return &aptSeen{stamp: l.stamp, versions: versions}
}

// age is how long ago the lists were fetched, if that is known.
func (l aptLook) age(at string) (time.Duration, bool) {
	whole, _, _ := strings.Cut(at, ".")
	then, err := strconv.ParseInt(whole, 10, 64)
	return time.Duration(l.now-then) * time.Second, err == nil
}

func (l aptLook) dpkgHolders() []aptHolder {
	var held []aptHolder
	for _, h := range l.holders {
		if strings.HasPrefix(h.lock, "/var/lib/dpkg/") {
			held = append(held, h)
		}
	}
	return held
}

func (l aptLook) lockNotes(timeout time.Duration) []string {
	notes := make([]string, len(l.holders))
	for i, h := range l.holders {
		notes[i] = fmt.Sprintf("waits up to %s for %s (pid %s, running for %s), which holds %s", timeout, h.command, h.pid, h.since, h.lock)
	}
	return notes
}

// present says that dpkg knows the package as more than leftover configuration.
// It may still be half installed.
func (p aptPackage) present() bool {
	return p.status != "" && p.status != "config-files" && p.status != "not-installed"
}

// current is the installed version; a version that is not fully installed has
// its state beside it.
func (p aptPackage) current() string {
	switch {
	case !p.present():
		return ""
	case p.status != "installed":
		return p.version + " (" + p.status + ")"
	}
	return p.version
}

func (p aptPackage) state() string {
	if p.status == "" {
		return "not-installed"
	}
	return p.status
}

// lastLine is the last line of a command's output that says something.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

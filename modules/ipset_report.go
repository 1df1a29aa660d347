package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A type of set has revisions. The kernel stores in each set the one under which
// it was created, and a binary that does not know it cannot list the set. One
// such set makes a plain `ipset list` fail, without saying which; so the sets
// are looked at one by one where the whole list cannot be had.

// ipsetTypes are the types whose revision on creation is worth knowing: those
// that firewalls, kube-proxy and Calico use.
const ipsetTypes = "hash:ip hash:net hash:ip,port hash:ip,port,ip hash:ip,port,net hash:net,net hash:net,port"

const ipsetReport = `export ipset enter
echo "@version"; $enter "$ipset" --version 2>/dev/null
echo "@kernel"; uname -r
echo "@reads"; $enter "$ipset" help 2>/dev/null
echo "@creates"; unshare -n sh -c 'for t; do n=$((n + 1)); $enter "$ipset" create "runbook$n" "$t"; done 2>/dev/null; $enter "$ipset" list -t' sh ` + ipsetTypes + `
names=$($enter "$ipset" list -n 2>&1) || { printf '@failed\n%s\n' "$names"; exit 0; }
echo "@sets"
$enter "$ipset" list -t 2>/dev/null && exit 0
echo "@sets"
printf '%s\n' "$names" | while IFS= read -r name; do
	printf 'Name: %s\n' "$name"
	$enter "$ipset" list -t "$name" 2>&1
done
exit 0
`

// ipsetRevision is a set and the revision of its type.
type ipsetRevision struct {
	name, kind string
	revision   int
	readable   bool
}

// ipsetWorld is all sets of a host as one binary sees them.
type ipsetWorld struct {
	version, kernel string
	reads, creates  map[string]any // revision by type
	sets            []ipsetRevision
}

// ipsetNobody tells a process that is not there from a pgrep that is not.
const ipsetNobody = `{ case $? in 1) echo @nobody ;; *) printf '@missing\npgrep finds no process: it failed, or is not installed\n' ;; esac; exit 0; }`

func (s *ipset) reportQuery() Run {
	return Run{Shell: s.judged(ipsetNobody) + s.present() + ipsetReport, Env: ipsetEnv()}
}

// judged begins every script that uses the ipset to judge, as $enter "$ipset".
// One in a container is run with the container's files and the host's network,
// by way of a process there; nobody is what is done where there is none.
func (s *ipset) judged(nobody string) string {
	if s.Inside == "" {
		return "enter=\nipset=" + Quote(s.Binary) + "\n"
	}
	return "pid=$(pgrep -o -x " + Quote(s.Inside) + ") || " + nobody + "\nenter=\"nsenter -t $pid -m --\"\nipset=" + Quote(s.Binary) + "\n"
}

// present ends a script that would look with an ipset that is not there.
func (s *ipset) present() string {
	if s.Inside == "" {
		return "command -v \"$ipset\" >/dev/null 2>&1 || { echo @missing; exit 0; }\n"
	}
	return "said=$($enter \"$ipset\" --version 2>&1) || { printf '@missing\\n%s\\n' \"$said\"; exit 0; }\n"
}

func (s *ipset) checkReadable(ctx context.Context, t Target) (Change, error) {
	out, err := t.Query(ctx, s.reportQuery())
	if err != nil {
		return Change{}, err
	}
	if s.Inside == "" {
		if err := whetherReadable(t, nil); err != nil {
			return Change{}, err
		}
	}
	sections := atSections(out.Stdout)
	if change, absent, err := s.absentIpset(sections); absent {
		return change, err
	}
	if failed, ok := sections["failed"]; ok {
		return Change{}, fmt.Errorf("the sets of this host cannot be listed: %s", lastLine(failed))
	}
	world := parseIpsetWorld(sections)
	var unreadable []ipsetRevision
	for _, set := range world.sets {
		if !set.readable && s.inScope(set.name) && !(s.Repair && ipsetLeft.MatchString(set.name)) {
			unreadable = append(unreadable, set)
		}
	}
	switch {
	case s.Compatible && len(unreadable) > 0:
		return Change{}, s.incompatible(world, unreadable)
	case s.Repair:
		return s.repair(ctx, t, world, unreadable)
	}
	return Change{Vars: world.vars(unreadable)}, nil
}

// absentIpset is the answer where the ipset to judge is not there. A container
// that is about to start again is waited for.
func (s *ipset) absentIpset(sections map[string]string) (Change, bool, error) {
	_, nobody := sections["nobody"]
	said, missing := sections["missing"]
	change := Change{Vars: ipsetWorld{version: "absent"}.vars(nil)}
	switch {
	case !nobody && !missing:
		return Change{}, false, nil
	case nobody && s.Repair:
		change.Diffs = []Diff{{What: "process " + s.Inside + " on this host", Have: "absent", Want: "there, for its ipset"}}
	case nobody && s.Compatible:
		return Change{}, true, fmt.Errorf("no process of this host is named %q, so nothing can be said about what its ipset reads", s.Inside)
	case s.Inside != "" && (s.Repair || s.Compatible):
		return Change{}, true, fmt.Errorf("the ipset in the container of %q cannot be run: %s; it takes root, pgrep and nsenter", s.Inside, lastLine(said))
	case s.Compatible || s.Repair:
		return Change{}, true, fmt.Errorf("this host has no %q, so nothing can be said about what it reads", s.Binary)
	}
	return change, true, nil
}

// inScope knows Calico's own sets by their prefixes: for IPv4 and IPv6, in use
// and while they are built.
func (s *ipset) inScope(name string) bool {
	if s.Scope != "calico" {
		return true
	}
	return slices.ContainsFunc([]string{"cali40", "cali60", "cali4t", "cali6t"}, func(p string) bool { return strings.HasPrefix(name, p) })
}

func (s *ipset) incompatible(w ipsetWorld, unreadable []ipsetRevision) error {
	said := make([]string, len(unreadable))
	for i, set := range unreadable {
		most := "does not know the type"
		if known, ok := w.reads[set.kind]; ok {
			most = fmt.Sprintf("reads at most revision %d", known)
		}
		said[i] = fmt.Sprintf("set %q is of type %s revision %d, and it %s", set.name, set.kind, set.revision, most)
	}
	return errors.New(s.named(w) + " cannot read every set: " + strings.Join(said, "; ") +
		"; it needs an ipset (with libipset13) that knows these revisions, or the sets made again by one that does not")
}

// named is the judged ipset in a sentence.
func (s *ipset) named(w ipsetWorld) string {
	if s.Inside != "" {
		return "ipset " + w.version + " of " + s.Inside
	}
	return "ipset " + w.version
}

var (
	ipsetVersion      = regexp.MustCompile(`^ipset v([0-9.]+)`)
	ipsetIncompatible = regexp.MustCompile(`settype (\S+) with revision (\d+) not supported by userspace`)
	ipsetForeign      = regexp.MustCompile(`has got settype (\S+) .*revision (\d+) while ipset library`)
)

func parseIpsetWorld(sections map[string]string) ipsetWorld {
	w := ipsetWorld{version: "unknown", kernel: strings.TrimSpace(sections["kernel"]), reads: map[string]any{}, creates: map[string]any{}}
	if m := ipsetVersion.FindStringSubmatch(sections["version"]); m != nil {
		w.version = m[1]
	}
	_, table, _ := strings.Cut(sections["reads"], "Supported set types:")
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		revision, err := strconv.Atoi(fields[1])
		if most, known := w.reads[fields[0]].(int); err == nil && (!known || revision > most) {
			w.reads[fields[0]] = revision
		}
	}
	for _, set := range parseIpsetHeads(sections["creates"]) {
		w.creates[set.kind] = set.revision
	}
	w.sets = parseIpsetHeads(sections["sets"])
	return w
}

// parseIpsetHeads reads `ipset list -t`, and what it says instead of a set that
// it does not know. A name without either is of a set that is gone again.
func parseIpsetHeads(text string) []ipsetRevision {
	var sets []ipsetRevision
	var set ipsetRevision
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Name":
			set = ipsetRevision{name: value}
		case "Type":
			set.kind = value
		case "Revision":
			set.revision, _ = strconv.Atoi(value)
			set.readable = true
			sets = append(sets, set)
		}
		for _, unknown := range []*regexp.Regexp{ipsetIncompatible, ipsetForeign} {
			if m := unknown.FindStringSubmatch(line); m != nil {
				set.kind = m[1]
				set.revision, _ = strconv.Atoi(m[2])
				sets = append(sets, set)
				break
			}
		}
	}
	slices.SortFunc(sets, func(a, b ipsetRevision) int { return strings.Compare(a.name, b.name) })
	return sets
}

func (w ipsetWorld) vars(unreadable []ipsetRevision) map[string]any {
	sets, names := make([]any, len(w.sets)), make([]any, len(unreadable))
	for i, set := range w.sets {
		sets[i] = map[string]any{"name": set.name, "type": set.kind, "revision": set.revision, "readable": set.readable}
	}
	for i, set := range unreadable {
		names[i] = set.name
	}
	vars := map[string]any{"ipset": w.version, "kernel": w.kernel, "reads": w.reads, "creates": w.creates, "sets": sets, "unreadable": names}
	if w.reads == nil {
		vars["reads"], vars["creates"] = map[string]any{}, map[string]any{}
	}
	return vars
}

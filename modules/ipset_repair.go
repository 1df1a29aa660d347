package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A set that a reader cannot read is made again with the reader's own ipset, and
// takes the place of the old one in one swap: rules that use the set go on using
// it, and no packet finds it absent or half filled. What the set holds comes from
// the host's ipset, which must understand it.

// Who rewrites sets does so again soon: after a repair they are watched, and one
// that is rewritten is not repaired again.
var (
	ipsetWatch     = Wait{Consecutive: 3, Interval: 2 * time.Second, Timeout: 30 * time.Second}
	ipsetRewritten = Wait{Timeout: 5 * time.Second}
)

// ipsetLeft matches the names that ipsetTemp gives.
var ipsetLeft = regexp.MustCompile(`^runbook-[0-9a-f]{8}$`)

const ipsetSaved = `command -v ipset >/dev/null 2>&1 || { echo @missing; exit 0; }
for name; do
	echo "@set $name"
	ipset save "$name" 2>&1
done
exit 0
`

// ipsetTrial makes each set of its input, without members, where nobody sees it.
const ipsetTrial = `export ipset enter
unshare -n sh -fc 'while read -r name line; do
	echo "@set $name"
	{ $enter "$ipset" create runbook $line && $enter "$ipset" list -t runbook && $enter "$ipset" destroy runbook; } 2>&1 </dev/null
done' 2>&1
exit 0
`

// ipsetRemake copies $name into $temp, which is made as $create says, and swaps
// the two. It tries again, five times at most, where members come and go while
// they are copied, and where somebody who lists the set holds it, as Felix does.
// What is changed between the last comparison and the swap is lost until whoever
// changed it looks again.
const ipsetRemake = `entries() {
	ipset save "$1" | sed -n 's/^add [^ ]* //p' | sed 's/ timeout [0-9]*//; s/ packets [0-9]*//; s/ bytes [0-9]*//' | sort
}
gone() { ! ipset list -n "$name" >/dev/null 2>&1; }
remake() {
	saved=$(ipset save "$name") || return
	{
		printf 'create %s %s\n' "$temp" "$create"
		printf '%s\n' "$saved" | sed -n "s/^add [^ ]* /add $temp /p"
	} | $enter "$ipset" restore || return
	$enter "$ipset" list -t "$temp" >/dev/null || return
	[ "$(entries "$temp")" = "$(entries "$name")" ] || { echo "the members of $name change while they are copied"; return 1; }
	ipset swap "$temp" "$name" && ipset destroy "$temp"
}
gone && exit 0
for attempt in 1 2 3 4 5; do
	ipset destroy "$temp" 2>/dev/null
	said=$(remake 2>&1) && exit 0
	gone && break
done
ipset destroy "$temp" 2>/dev/null
gone && exit 0
printf '%s\n' "$said" >&2
exit 1
`

// ipsetStay looks at the sets again when somebody who was copying them during the
// repair has put the copies in their place, which takes him less than a second.
const ipsetStay = `sleep 1
bad=0
for name; do
	ipset list -n "$name" >/dev/null 2>&1 || continue
	said=$($enter "$ipset" list -t "$name" 2>&1 >/dev/null) && continue
	printf '%s was made again: something on this host rewrites it, and must be stopped first (%s)\n' "$name" "$said" >&2
	bad=1
done
exit $bad
`

// ipsetCopy is a set to make again.
type ipsetCopy struct {
	ipsetRevision
	state   ipsetState
	create  string // how the judged ipset makes it
	becomes int    // the revision that it then has
}

func (s *ipset) repair(ctx context.Context, t Target, w ipsetWorld, unreadable []ipsetRevision) (Change, error) {
	change := Change{Vars: w.vars(unreadable)}
	if len(s.seeds) > 0 {
		change.Wait = ipsetWatch
	}
	for _, set := range w.sets {
		if ipsetLeft.MatchString(set.name) {
			change.Diffs = append(change.Diffs, Diff{What: "ipset " + set.name, Have: "left by a change that did not end", Want: "absent"})
			change.Steps = append(change.Steps, Run{Argv: []string{"ipset", "destroy", set.name}, Env: ipsetEnv()})
			change.Effects = append(change.Effects, Effect{Thing: ASet, Name: set.name, Gone: true})
		}
	}
	if len(unreadable) == 0 {
		return change, nil
	}
	copies, err := s.copies(ctx, t, unreadable)
	if err != nil {
		return Change{}, err
	}
	if again := s.rewritten(copies); len(again) > 0 {
		return Change{Vars: change.Vars, Diffs: again, Wait: ipsetRewritten}, nil
	}
	if err := s.try(ctx, t, w, copies); err != nil {
		return Change{}, err
	}
	for _, c := range copies {
		change.Diffs = append(change.Diffs, c.diff(strconv.Itoa(c.revision)))
		change.Steps = append(change.Steps, s.remake(c))
		change.Effects = append(change.Effects, c.effect())
	}
	if len(copies) > 0 {
		change.Steps = append(change.Steps, s.stay(copies))
	}
	return change, nil
}

// copies reads the sets with the host's ipset. One that is gone by now is none.
func (s *ipset) copies(ctx context.Context, t Target, sets []ipsetRevision) ([]ipsetCopy, error) {
	names := make([]string, len(sets))
	for i, set := range sets {
		if !ipsetName.MatchString(set.name) {
			return nil, fmt.Errorf("ipset %q has a name that is not safe to work with; rename it, or narrow the scope", set.name)
		}
		names[i] = set.name
	}
	out, err := t.Query(ctx, savedQuery(names))
	if err != nil {
		return nil, err
	}
	if out.Truncated {
		return nil, fmt.Errorf("the sets to repair hold more than can be read at once: %s", strings.Join(names, ", "))
	}
	sections := atSections(out.Stdout)
	if _, missing := sections["missing"]; missing {
		return nil, whetherReadable(t, errors.New("this host has no ipset, so the members of its sets cannot be copied; install the package ipset first"))
	}
	var copies []ipsetCopy
	for _, set := range sets {
		c := ipsetCopy{ipsetRevision: set}
		said := sections["set "+set.name]
		c.state.read(said)
		switch {
		case c.state.kind != "":
			copies = append(copies, c)
		case !strings.Contains(said, "does not exist"):
			return nil, whetherReadable(t, fmt.Errorf("ipset %q is of type %s revision %d, and this host's ipset cannot read it either: %s; its members can be copied once ipset and libipset13 of this host know that revision",
				set.name, set.kind, set.revision, lastLine(said)))
		}
	}
	return copies, nil
}

func savedQuery(names []string) Run {
	return Run{Shell: "set -- " + quoted(names) + "\n" + ipsetSaved, Env: ipsetEnv()}
}

// rewritten is what a repair cannot last against: a set has the seed of its hash
// for life, so one that still cannot be read and has another was made again since
// this task first saw it.
func (s *ipset) rewritten(copies []ipsetCopy) []Diff {
	if s.seeds == nil {
		s.seeds = map[string]string{}
	}
	var again []Diff
	for _, c := range copies {
		seed := c.state.option("initval")
		if first, seen := s.seeds[c.name]; seen && first != seed {
			again = append(again, c.diff(fmt.Sprintf("%d again: something on this host rewrites it, and must be stopped first", c.revision)))
		} else {
			s.seeds[c.name] = seed
		}
	}
	return again
}

// try asks the judged ipset which revision each set would have.
func (s *ipset) try(ctx context.Context, t Target, w ipsetWorld, copies []ipsetCopy) error {
	var lines strings.Builder
	for i := range copies {
		copies[i].create = copies[i].state.plainer()
		fmt.Fprintf(&lines, "%s %s\n", copies[i].name, copies[i].create)
	}
	out, err := t.Query(ctx, s.trialQuery(lines.String()))
	if err != nil {
		return err
	}
	sections := atSections(out.Stdout)
	for i, c := range copies {
		said := sections["set "+c.name]
		made := parseIpsetHeads(said)
		if len(made) != 1 || !made[0].readable {
			if said == "" {
				said = out.Stdout
			}
			return fmt.Errorf("ipset %q cannot be made again: %s refuses %q: %s; it has to be made otherwise by whoever made it",
				c.name, s.named(w), c.create, lastLine(strings.TrimSpace(said+"\n"+out.Stderr)))
		}
		copies[i].becomes = made[0].revision
	}
	return nil
}

func (s *ipset) trialQuery(lines string) Run {
	return Run{Shell: s.judged("exit 0") + ipsetTrial, Stdin: lines, Env: ipsetEnv()}
}

// plainer is how an older ipset makes the set: without the seed and the bucket
// size, which change nothing that the set matches. What else it does not know it
// has to refuse: a set without it would match other packets. What no ipset shows
// of a set (forceadd of hash:ip, up to 7.17) cannot be kept.
func (st ipsetState) plainer() string {
	options := maps.Clone(st.options)
	delete(options, "initval")
	delete(options, "bucketsize")
	if bits, ok := prefixOf(options["bitmask"]); ok {
		delete(options, "bitmask")
		options["netmask"] = strconv.Itoa(bits)
	}
	return optionLine(st.kind, slices.Sorted(maps.Keys(options)), options)
}

// prefixOf is the length of a mask that is one run of bits, 255.255.255.0.
func prefixOf(mask string) (int, bool) {
	ip := net.ParseIP(mask)
	if four := ip.To4(); four != nil {
		ip = four
	}
	ones, bits := net.IPMask(ip).Size()
	return ones, bits > 0
}

func (s *ipset) remake(c ipsetCopy) Step {
	temp := ipsetTemp(c.name)
	return Run{
		Shell: s.begun() + fmt.Sprintf("name=%s temp=%s create=%s\n", Quote(c.name), temp, Quote(c.create)) + ipsetRemake,
		Show:  fmt.Sprintf("with %s: create %s %s, copy the members of %s, swap the two, destroy %s", s.with(), temp, c.create, c.name, temp),
		Env:   ipsetEnv(),
	}
}

func (s *ipset) stay(copies []ipsetCopy) Step {
	names := make([]string, len(copies))
	for i, c := range copies {
		names[i] = c.name
	}
	return Run{
		Shell: s.begun() + "set -- " + quoted(names) + "\n" + ipsetStay,
		Show:  fmt.Sprintf("with %s, after a second: list %s", s.with(), strings.Join(names, " ")),
		Env:   ipsetEnv(),
	}
}

// begun begins the script of a step.
func (s *ipset) begun() string {
	return s.judged(fmt.Sprintf("{ echo %s >&2; exit 1; }", Quote("no process of this host is named "+s.Inside)))
}

func (s *ipset) with() string {
	if s.Inside != "" {
		return "the ipset of " + s.Inside
	}
	return s.Binary
}

func (c ipsetCopy) diff(have string) Diff {
	d := Diff{What: fmt.Sprintf("ipset %s (%s)", c.name, c.kind), Have: "revision " + have, Want: "a revision that can be read"}
	if c.becomes > 0 {
		d.Want = fmt.Sprintf("revision %d", c.becomes)
	}
	return d
}

func (c ipsetCopy) effect() Effect {
	made := ipsetState{}
	made.read("create " + c.name + " " + c.create)
	lines := make([]string, len(c.state.members))
	for i, m := range c.state.members {
		lines[i] = m.line
	}
	slices.Sort(lines)
	return Effect{Thing: ASet, Name: c.name, State: IPSet{Type: made.kind, Options: made.options, Members: lines}}
}

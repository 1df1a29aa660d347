package modules

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ipsetState is one set, as `ipset save` writes it.
type ipsetState struct {
	exists     bool
	kind       string            // its type
	options    map[string]string // of its creation; a flag has the value "yes"
	members    []ipsetMember
	references int
	unreadable error // it exists, and this ipset does not understand it
}

// ipsetMember is an entry: the line that adds it, and what tells it from
// others, without counters and the time that is left to it.
type ipsetMember struct{ line, key string }

// look reads the set, and asks ipset in a network namespace that is thrown away
// what the wanted set would look like: only ipset knows that 10.0.0.0/30 is four
// members of hash:ip, and how an address is written.
func (s *ipset) look(ctx context.Context, t Target) (have, want ipsetState, err error) {
	out, err := t.Query(ctx, s.query())
	if err != nil {
		return have, want, err
	}
	sections := atSections(out.Stdout)
	if _, missing := sections["missing"]; missing {
		return have, want, whetherReadable(t, errors.New("this host has no ipset; install the package ipset first"))
	}
	if failed := sections["failed"]; failed != "" {
		return have, want, fmt.Errorf("the sets of this host cannot be read: %s", lastLine(failed))
	}
	_, have.exists = sections["have"]
	have.read(sections["have"])
	have.readHead(sections["head"])
	if said := sections["unreadable"]; said != "" {
		have.unreadable = errors.New(lastLine(said))
	}
	if err := have.foresee(t, s.Name); err != nil {
		return have, want, err
	}
	if s.State == "absent" {
		return have, want, nil
	}
	if refused := sections["refused"]; refused != "" {
		return have, want, whetherReadable(t, s.refusal(refused))
	}
	want.read(sections["want"])
	if s.Type == "list:set" {
		for _, m := range s.Members {
			want.members = append(want.members, newIpsetMember(m))
		}
	}
	return have, want, nil
}

func (s *ipset) query() Run {
	script := fmt.Sprintf(`command -v ipset >/dev/null || { echo @missing; exit 0; }
if said=$(ipset list -n %[1]s 2>&1); then
	echo @have
	said=$(ipset save %[1]s 2>&1) && printf '%%s\n' "$said" || printf '@unreadable\n%%s\n' "$said"
	echo @head
	ipset list -t %[1]s 2>/dev/null
else
	case $said in *'does not exist'*) ;; *) printf '@failed\n%%s\n' "$said"; exit 0 ;; esac
fi
`, s.Name)
	query := Run{Env: ipsetEnv()}
	if s.State != "absent" {
		script += fmt.Sprintf(`said=$(unshare -n sh -c 'ipset -exist restore && ipset save %s' 2>&1) && echo @want || echo @refused
printf '%%s\n' "$said"
`, s.Name)
		query.Stdin = s.wanted()
	}
	query.Shell = script + "exit 0\n"
	return query
}

// wanted is the set for `ipset restore`. Members of a list:set are other sets,
// which the namespace does not have.
func (s *ipset) wanted() string {
	var b strings.Builder
	fmt.Fprintf(&b, "create %s %s\n", s.Name, s.creation())
	if s.Type != "list:set" {
		for _, m := range s.Members {
			fmt.Fprintf(&b, "add %s %s\n", s.Name, m)
		}
	}
	return b.String()
}

// ipsetFlags are the options without a value.
var ipsetFlags = []string{"comment", "counters", "forceadd", "skbinfo"}

// asked is the options that were given, in the order in which ipset writes them.
func (s *ipset) asked() (names []string, values map[string]string) {
	values = map[string]string{}
	add := func(name, value string) {
		if value != "" && value != "0" {
			names = append(names, name)
			values[name] = value
		}
	}
	add("family", s.Family)
	add("range", s.Range)
	add("markmask", s.Markmask)
	add("hashsize", strconv.Itoa(s.Hashsize))
	add("maxelem", strconv.Itoa(s.Maxelem))
	add("netmask", strconv.Itoa(s.Netmask))
	add("bucketsize", strconv.Itoa(s.Bucketsize))
	add("size", strconv.Itoa(s.Size))
	if s.Timeout != nil {
		names = append(names, "timeout")
		values["timeout"] = strconv.Itoa(*s.Timeout)
	}
	for i, given := range []bool{s.Comment, s.Counters, s.Forceadd, s.Skbinfo} {
		if given {
			names = append(names, ipsetFlags[i])
			values[ipsetFlags[i]] = "yes"
		}
	}
	return names, values
}

func (s *ipset) creation() string {
	names, values := s.asked()
	return optionLine(s.Type, names, values)
}

// given is the options to compare: those that were asked for and that do not
// grow by themselves, as the size of a hash does.
func (s *ipset) given() []string {
	names, _ := s.asked()
	return slices.DeleteFunc(names, func(name string) bool { return name == "hashsize" || name == "family" })
}

var ipsetErrorLine = regexp.MustCompile(`Error in line (\d+): (.*)`)

func (s *ipset) refusal(said string) error {
	m := ipsetErrorLine.FindStringSubmatch(said)
	if m == nil {
		return fmt.Errorf("this host cannot try the wanted set out: %s", lastLine(said))
	}
	line, _ := strconv.Atoi(m[1])
	if member := line - 2; member >= 0 && member < len(s.Members) {
		return fmt.Errorf("members: ipset refuses %q: %s", s.Members[member], m[2])
	}
	return fmt.Errorf("ipset refuses %q: %s", s.creation(), m[2])
}

// read takes what `ipset save` wrote.
func (st *ipsetState) read(text string) {
	for line := range strings.Lines(text) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, rest, _ = strings.Cut(rest, " ") // its name
		switch verb {
		case "create":
			words := strings.Fields(rest)
			st.kind, st.options = words[0], parseOptions(words[1:])
		case "add":
			st.members = append(st.members, newIpsetMember(rest))
		}
	}
}

// readHead takes what `ipset list -t` wrote.
func (st *ipsetState) readHead(text string) {
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "References: "); ok {
			st.references, _ = strconv.Atoi(strings.TrimSpace(n))
		}
	}
}

func parseOptions(words []string) map[string]string {
	options := map[string]string{}
	for i := 0; i < len(words); i++ {
		if slices.Contains(ipsetFlags, words[i]) || i+1 == len(words) {
			options[words[i]] = "yes"
			continue
		}
		options[words[i]] = words[i+1]
		i++
	}
	return options
}

func optionLine(kind string, names []string, values map[string]string) string {
	words := []string{kind}
	for _, name := range names {
		words = append(words, name)
		if !slices.Contains(ipsetFlags, name) {
			words = append(words, values[name])
		}
	}
	return strings.Join(words, " ")
}

func (st ipsetState) option(name string) string { return st.options[name] }

// rebuilt is how the set is made anew: with what was asked for, else as the old
// one was. The rest is ipset's to choose, which may be a newer one by then, and the
// seed of the hash the kernel's.
func (s *ipset) rebuilt(have, want ipsetState) string {
	_, asked := s.asked()
	values := map[string]string{}
	for _, options := range []map[string]string{have.options, asked} {
		maps.Copy(values, options)
	}
	delete(values, "initval")
	return optionLine(want.kind, slices.Sorted(maps.Keys(values)), values)
}

// title is the type and what belongs to it.
func (st ipsetState) title() string {
	if f := st.option("family"); f != "" {
		return st.kind + " family " + f
	}
	return st.kind
}

func (st ipsetState) summary() string {
	if st.unreadable != nil {
		return "not readable"
	}
	return st.title() + ", " + countMembers(len(st.members))
}

func countMembers(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}

func (st ipsetState) memberLines() string {
	keys := memberKeys(st.members)
	if len(keys) == 0 {
		return ""
	}
	return strings.Join(keys, "\n") + "\n"
}

func (st ipsetState) vars(name string) map[string]any {
	return map[string]any{"name": name, "type": st.kind, "family": st.option("family"), "members": anyList(memberKeys(st.members))}
}

var ipsetVolatile = regexp.MustCompile(` (?:timeout|packets|bytes) \d+`)

func newIpsetMember(line string) ipsetMember {
	outside, comment, quoted := strings.Cut(line, `"`)
	key := ipsetVolatile.ReplaceAllString(outside, "")
	if quoted {
		key += `"` + comment
	}
	return ipsetMember{line, key}
}

func memberKeys(members []ipsetMember) []string {
	keys := make([]string, len(members))
	for i, m := range members {
		keys[i] = m.key
	}
	slices.Sort(keys)
	return keys
}

func sameMembers(a, b []ipsetMember) bool { return slices.Equal(memberKeys(a), memberKeys(b)) }

// missingMembers are the members of want that have does not have.
func missingMembers(have, want []ipsetMember) []ipsetMember {
	there := make(map[string]bool, len(have))
	for _, m := range have {
		there[m.key] = true
	}
	return slices.DeleteFunc(slices.Clone(want), func(m ipsetMember) bool { return there[m.key] })
}

// ipsetTemp is the name under which a set is built; the same for the same set,
// so that what a crash has left is found again.
func ipsetTemp(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("runbook-%08x", h.Sum32())
}

// atSections splits output into what follows each line that begins with an @.
func atSections(text string) map[string]string {
	sections := map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "@") {
			name = strings.TrimSpace(line[1:])
			sections[name] = ""
			continue
		}
		sections[name] += line
	}
	return sections
}

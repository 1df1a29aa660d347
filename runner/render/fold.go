package render

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"runbook/runner"
)

// foldNames puts neighbours together: node001, node002, node003 are
// node001..node003. The names come out sorted.
func foldNames(names []string) []string {
	sorted := append([]string(nil), names...)
	slices.SortFunc(sorted, byNumber)
	var out []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && follows(sorted[j], sorted[j+1]) {
			j++
		}
		if j-i >= 2 {
			out = append(out, sorted[i]+".."+sorted[j])
		} else {
			out = append(out, sorted[i:j+1]...)
		}
		i = j + 1
	}
	return out
}

// byNumber orders names as people do: node9 comes before node10.
func byNumber(a, b string) int {
	return cmp.Or(strings.Compare(padded(a), padded(b)), strings.Compare(a, b))
}

var numbers = regexp.MustCompile(`[0-9]+`)

// padded is a name with its numbers at one width.
func padded(name string) string {
	return numbers.ReplaceAllStringFunc(name, func(n string) string {
		return strings.Repeat("0", max(0, 20-len(n))) + n
	})
}

// follows says whether b is a with its number one higher.
func follows(a, b string) bool {
	stem := strings.TrimRight(a, "0123456789")
	digits := a[len(stem):]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return false
	}
	return b == fmt.Sprintf("%s%0*d", stem, len(digits), n+1)
}

// flush ends the task at hand: what was held back of it is shown.
func (t *Terminal) flush() {
	t.recalled()
	t.findings()
}

// findings prints what a plan has found for the last task, hosts with the same
// finding on one line, in the order of their first host.
func (t *Terminal) findings() {
	type group struct {
		e     runner.TaskDone
		hosts []string
	}
	var groups []*group
	byKey := map[string]*group{}
	slices.SortStableFunc(t.held, func(a, b runner.TaskDone) int { return byNumber(a.Host, b.Host) })
	for _, e := range t.held {
		k := key(e)
		if byKey[k] == nil {
			byKey[k] = &group{e: e}
			groups = append(groups, byKey[k])
		}
		byKey[k].hosts = append(byKey[k].hosts, target(e))
	}
	t.held = nil
	for _, g := range groups {
		t.line(g.e, strings.Join(foldNames(g.hosts), ", "))
		t.details(g.e)
	}
}

// key is all that a plan shows of a result: equal keys fold.
func key(e runner.TaskDone) string {
	r := e.Result
	parts := []string{string(r.Status), r.Msg}
	if e.Item != nil {
		parts = append(parts, *e.Item)
	}
	for _, d := range r.Change.Diffs {
		parts = append(parts, d.What, d.Have, d.Want)
	}
	for i, unforeseen := range opaque(r) {
		parts = append(parts, r.Change.Steps[i].String(), strconv.FormatBool(unforeseen))
	}
	return strings.Join(append(parts, r.Change.Notes...), "\x00")
}

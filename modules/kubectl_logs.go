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

// logPatterns are the regular expressions of logs, compiled.
type logPatterns struct{ after, match, require, absent []*regexp.Regexp }

func (k *kubectl) patterns() (p logPatterns, err error) {
	for _, set := range []struct {
		name  string
		given any
		into  *[]*regexp.Regexp
	}{{"after", optional(k.After), &p.after}, {"match", k.Match, &p.match}, {"require", k.Require, &p.require}, {"absent", k.Absent, &p.absent}} {
		texts, err := textList(set.name, set.given)
		if err != nil {
			return p, err
		}
		for _, text := range texts {
			compiled, err := regexp.Compile(text)
			if err != nil {
				return p, fmt.Errorf("%s: %q is not a regular expression: %w", set.name, text, err)
			}
			*set.into = append(*set.into, compiled)
		}
	}
	return p, nil
}

// optional is a text as an argument of any kind, not given where it is empty.
func optional(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// textList takes one text or a list of them. A comma is a part of the text.
func textList(name string, given any) ([]string, error) {
	switch given := given.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{given}, nil
	case []any:
		var texts []string
		for _, item := range given {
			text, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%s: %s is no text; quote it", name, oneLineJSON(item))
			}
			texts = append(texts, text)
		}
		return texts, nil
	}
	return nil, fmt.Errorf("%s: %s is neither a text nor a list of texts", name, oneLineJSON(given))
}

func (k *kubectl) sinceTime() (time.Time, error) {
	if k.Since == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, k.Since)
	if err != nil {
		return at, fmt.Errorf("since is %q; write it as 2026-01-31T08:00:00Z", k.Since)
	}
	return at, nil
}

func (k *kubectl) validLogs() error {
	_, since := k.sinceTime()
	_, patterns := k.patterns()
	return errors.Join(k.validPods(), k.validExpect(), since, patterns)
}

// validPods holds verbs that act on pods only.
func (k *kubectl) validPods() error {
	switch kind, _, _ := strings.Cut(k.subject(), "/"); kind {
	case "pod", "pods", "po":
		return k.validChoice()
	}
	return fmt.Errorf("%q are no pods; write pods with selector, or pod/NAME", k.subject())
}

// standing selects the pods that are there to stay: what a pod says that is
// being replaced is of no interest.
func (k *kubectl) standing(ctx context.Context, c outlook) ([]Object, error) {
	ref := k.ref()
	found, err := selectObjects(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	var pods []Object
	for _, pod := range found {
		if !beingDeleted(pod) {
			pods = append(pods, pod)
		}
	}
	if len(pods) == 0 {
		return nil, c.none(ctx, ref)
	}
	return pods, c.settled(pods...)
}

func (k *kubectl) logs(ctx context.Context, c outlook) (Change, error) {
	pods, err := k.standing(ctx, c)
	if err != nil {
		return Change{}, err
	}
	patterns, err := k.patterns()
	if err != nil {
		return Change{}, err
	}
	change := Change{Wait: Wait{On: []Ref{k.ref()}, Interval: lookEvery}}
	if change.Diffs, err = k.miscounted(ctx, c, len(pods)); err != nil {
		return Change{}, err
	}
	logs, err := atOnce(pods, func(pod Object) (podLog, error) { return k.podLog(ctx, c, pod, patterns) })
	if err != nil {
		return Change{}, err
	}
	read := []any{}
	for _, l := range logs {
		read = append(read, l.facts)
		change.Diffs = append(change.Diffs, l.diffs...)
	}
	change.Vars = map[string]any{"pods": read, "count": len(read)}
	return awaiting(change, k.limit(0))
}

// podLog is what one pod has logged, for register, and what is wrong with it.
type podLog struct {
	facts map[string]any
	diffs []Diff
}

// podLog searches the log of one pod. A log that cannot be read is a difference
// too: of such a pod nothing is known, least of all that it is clean.
func (k *kubectl) podLog(ctx context.Context, c outlook, pod Object, p logPatterns) (podLog, error) {
	status := containerStatus(pod, k.containerOf(pod))
	req := LogRequest{Namespace: dig[string](pod, "metadata", "namespace"), Pod: nameOf(pod), Container: k.containerOf(pod)}
	req.Since, _ = k.sinceTime()
	facts := map[string]any{
		"pod": nameOf(pod), "namespace": req.Namespace, "node": dig[string](pod, "spec", "nodeName"), "container": req.Container,
		"started": dig[string](status, "state", "running", "startedAt"), "restarts": dig[int64](status, "restartCount"),
		"error": "", "lines": 0, "first": "", "last": "", "last_match": "",
	}
	text, err := c.Logs(ctx, req)
	before := ""
	if err == nil && k.Previous && dig[int64](status, "restartCount") > 0 {
		req.Previous = true
		before, err = c.Logs(ctx, req)
	}
	if ctx.Err() != nil {
		return podLog{}, ctx.Err()
	}
	what := "log of " + podWords(pod)
	if err != nil {
		facts["error"] = err.Error()
		return podLog{facts, []Diff{{What: what, Have: "not readable: " + err.Error(), Want: "readable"}}}, nil
	}
	lines := lastLife(p.after, logLines(text))
	if len(lines) > 0 {
		facts["lines"], facts["first"], facts["last"] = len(lines), lines[0], lines[len(lines)-1]
	}
	facts["matched"], facts["last_match"] = lineCounts(p.match, lines), lastMatch(p.match, lines)
	facts["required"] = lineCounts(p.require, lines)
	all := append(logLines(before), lines...)
	facts["absent"] = lineCounts(p.absent, all)
	return podLog{facts, append(missingLines(what, p.require, lines), unwantedLines(what, p.absent, all)...)}, nil
}

// containerOf is the container that is asked for, or the pod's default.
func (k *kubectl) containerOf(pod Object) string {
	if k.Container != "" {
		return k.Container
	}
	if name := dig[string](pod, "metadata", "annotations", "kubectl.kubernetes.io/default-container"); name != "" {
		return name
	}
	for _, c := range objectsAt(pod, "spec", "containers") {
		return dig[string](c, "name")
	}
	return ""
}

func containerStatus(pod Object, name string) Object {
	for _, list := range []string{"containerStatuses", "initContainerStatuses"} {
		for _, s := range objectsAt(pod, "status", list) {
			if dig[string](s, "name") == name {
				return s
			}
		}
	}
	return nil
}

func logLines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// lastLife is the lines from the last one on that matches, or all if none does.
func lastLife(after []*regexp.Regexp, lines []string) []string {
	for _, p := range after {
		for i := len(lines) - 1; i >= 0; i-- {
			if p.MatchString(lines[i]) {
				return lines[i:]
			}
		}
	}
	return lines
}

func matchingLines(p *regexp.Regexp, lines []string) (n int, last string) {
	for _, line := range lines {
		if p.MatchString(line) {
			n, last = n+1, line
		}
	}
	return n, last
}

// lastMatch is the last line that any of the patterns matches.
func lastMatch(patterns []*regexp.Regexp, lines []string) string {
	for _, line := range slices.Backward(lines) {
		if slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(line) }) {
			return line
		}
	}
	return ""
}

func lineCounts(patterns []*regexp.Regexp, lines []string) map[string]any {
	found := map[string]any{}
	for _, p := range patterns {
		n, _ := matchingLines(p, lines)
		found[p.String()] = n
	}
	return found
}

func missingLines(what string, patterns []*regexp.Regexp, lines []string) []Diff {
	var diffs []Diff
	for _, p := range patterns {
		if n, _ := matchingLines(p, lines); n == 0 {
			diffs = append(diffs, Diff{What: what, Have: fmt.Sprintf("none of %d lines matches %q", len(lines), p), Want: "a line that matches"})
		}
	}
	return diffs
}

func unwantedLines(what string, patterns []*regexp.Regexp, lines []string) []Diff {
	var diffs []Diff
	for _, p := range patterns {
		if n, last := matchingLines(p, lines); n > 0 {
			diffs = append(diffs, Diff{What: what, Have: fmt.Sprintf("%d of %d lines match %q, the last: %s", n, len(lines), p, last), Want: "no line that matches"})
		}
	}
	return diffs
}

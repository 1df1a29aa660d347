package runner

import "slices"

// Selection is what --tags and --skip-tags ask for.
type Selection struct {
	Tags, Skip []string
}

// Takes says whether a task with these tags runs. A task tagged always runs
// unless it is skipped by name; one tagged never runs only when one of its tags
// is asked for.
func (s Selection) Takes(tags []string) bool {
	return s.wanted(tags) && !s.skipped(tags)
}

func (s Selection) wanted(tags []string) bool {
	want := s.Tags
	if len(want) == 0 {
		want = []string{"all"}
	}
	never := slices.Contains(tags, "never")
	switch {
	case slices.Contains(tags, "always"), common(tags, want):
		return true
	case slices.Contains(want, "all"):
		return !never
	case slices.Contains(want, "tagged") && len(tags) > 0:
		return !never
	}
	return slices.Contains(want, "untagged") && len(tags) == 0
}

func (s Selection) skipped(tags []string) bool {
	switch {
	case common(tags, s.Skip):
		return true
	case slices.Contains(s.Skip, "all"):
		return !slices.Contains(tags, "always")
	case slices.Contains(s.Skip, "tagged") && len(tags) > 0:
		return true
	}
	return slices.Contains(s.Skip, "untagged") && len(tags) == 0
}

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

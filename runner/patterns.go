package runner

import (
	"errors"
	"fmt"
	"strings"

	"runbook/inventory"
	"runbook/playbooks"
	"runbook/runner/source"
)

// patterns finds every pattern that names nobody, before a host is contacted: a
// run that silently did nothing would look like one that had nothing to do.
func (rn *run) patterns() error {
	var mistakes source.Errors
	limit, err := rn.limit()
	if err != nil {
		mistakes = append(mistakes, &source.Error{Msg: err.Error()})
	}
	for _, written := range rn.book.Plays {
		p := &play{run: rn, play: written}
		if p.late() {
			continue
		}
		found, err := p.selected()
		if err != nil {
			mistakes = append(mistakes, placed(err, written.Hosts))
		}
		for _, h := range found {
			if (limit == nil || limit[h.Name]) && implicit(h.Name) != "local" {
				rn.aims = append(rn.aims, h.Name)
			}
		}
	}
	return mistakes.Err()
}

// placed is an error at the text that it is about, unless it has a place already.
func placed(err error, at *playbooks.Text) *source.Error {
	var mistake *source.Error
	if !errors.As(err, &mistake) {
		mistake = &source.Error{Msg: err.Error()}
	}
	if mistake.Pos.File != nil {
		return mistake
	}
	here := *mistake
	here.Pos, here.Len = at.Pos, len([]rune(at.Source))
	return &here
}

// selected is whom the play's pattern, or its list of patterns, means.
func (p *play) selected() ([]*inventory.Host, error) {
	patterns, err := p.play.Hosts.Items(p.outside())
	if err != nil {
		return nil, err
	}
	if len(patterns) == 0 {
		return nil, nil // a list that may be empty
	}
	return p.run.inventory.Select(strings.Join(patterns, ","))
}

// late says that the play's hosts hang on what earlier plays find out, and are not
// known before it begins.
func (p *play) late() bool { return p.play.Hosts.Reads("hostvars") }

// limit is the set of hosts that --limit names; nil without one. The controller
// itself is never left out: its tasks are about the others.
func (rn *run) limit() (map[string]bool, error) {
	if rn.Limit == "" {
		return nil, nil
	}
	found, err := rn.inventory.Limit(rn.Limit)
	if err != nil {
		return nil, fmt.Errorf("--limit: %w", err)
	}
	limit := map[string]bool{}
	for _, h := range found {
		limit[h.Name] = true
	}
	return limit, nil
}

package runner

// knows says whether an earlier life has done the work, or begun it.
func (p *Past) knows(k Key) bool {
	if o, ok := p.Outcomes[k]; ok && o.final() {
		return true
	}
	return len(p.Begun[k]) > 0
}

// Fold is what the records of a run say of its past. A piece of work that came
// to an outcome more than once (it failed, and the run was resumed) has the last.
func Fold(records []Record) *Past {
	p := &Past{Outcomes: map[Key]Outcome{}, Begun: map[Key][]Intent{}, Kept: map[string][]string{}}
	for _, r := range records {
		switch r := r.(type) {
		case Intent:
			p.Begun[r.Key] = append(p.Begun[r.Key], r)
			if r.ID != "" {
				p.Kept[r.Host] = append(p.Kept[r.Host], r.ID)
			}
		case Outcome:
			p.Outcomes[r.Key] = r
			if !r.Unsettled {
				delete(p.Begun, r.Key)
			}
		case Adopted:
			p.Adopted = append(p.Adopted, r.Pending...)
		}
	}
	return p
}

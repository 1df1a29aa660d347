package runner

// Fold is what the records of a run say of its past. A piece of work that came
// to an outcome more than once (it failed, and the run was resumed) has the last.
func Fold(records []Record) *Past {
	p := &Past{Outcomes: map[Key]Outcome{}, Begun: map[Key][]Intent{}}
	for _, r := range records {
		switch r := r.(type) {
		case Intent:
			p.Begun[r.Key] = append(p.Begun[r.Key], r)
		case Outcome:
			p.Outcomes[r.Key] = r
			delete(p.Begun, r.Key)
		}
	}
	return p
}

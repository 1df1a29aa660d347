package runner

import "math"

// lately is when something came about that this life of the run has done: later
// than all that the journal has of earlier ones.
const lately = math.MaxInt

// adoption is when an adopted notification was taken over.
func (p *Past) adoption(i int) int {
	if i < len(p.adopted) {
		return p.adopted[i]
	}
	return 0
}

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
	p.at = map[Key]int{}
	for i, r := range records {
		switch r := r.(type) {
		case Intent:
			p.Begun[r.Key] = append(p.Begun[r.Key], r)
			if r.ID != "" {
				p.Kept[r.Host] = append(p.Kept[r.Host], r.ID)
			}
		case Outcome:
			p.Outcomes[r.Key], p.at[r.Key] = r, i
			if !r.Unsettled || r.final() {
				delete(p.Begun, r.Key)
			}
		case Adopted:
			p.Adopted = append(p.Adopted, r.Pending...)
			for range r.Pending {
				p.adopted = append(p.adopted, i)
			}
		}
	}
	return p
}

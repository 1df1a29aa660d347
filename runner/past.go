package runner

import (
	"maps"
	"math"
	"slices"
	"time"
)

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

// lookedFor is how long what was only looked at is taken for what is.
const lookedFor = time.Minute

// outdated says whether what was found has to be found anew: nothing was done by it
// yet, and the run has failed since, so that somebody may have mended something, or
// it is some time ago. What steps have followed from stays as it was: what they did
// must fit together.
func (p *Past) outdated(k Key, o Outcome) bool {
	at := p.at[k]
	return o.Looked && at > p.stepped && (at < p.ended || time.Since(o.At) > lookedFor)
}

// label keeps which item of a loop a number stands for.
func (p *Past) label(k Key, label string) {
	if k.Item == 0 {
		return
	}
	n := k.Item
	k.Item = 0
	if p.labels == nil {
		p.labels = map[Key]map[int]string{}
	}
	if p.labels[k] == nil {
		p.labels[k] = map[int]string{}
	}
	p.labels[k][n] = label
}

// numbers are the numbers of a loop's items: those that earlier lives gave to
// items of the same labels. A list may have become another one meanwhile (of the
// hosts that are left), and what was done for an item was done for no other.
func (p *Past) numbers(loop Key, labels []string) []int {
	numbers := make([]int, len(labels))
	var had map[int]string
	if p != nil {
		had = p.labels[loop]
	}
	taken := map[int]bool{}
	for i, label := range labels {
		if had[i+1] == label {
			numbers[i], taken[i+1] = i+1, true
		}
	}
	known, next := slices.Sorted(maps.Keys(had)), len(labels)
	for _, n := range known {
		next = max(next, n)
	}
	for i, label := range labels {
		if numbers[i] != 0 {
			continue
		}
		at := slices.IndexFunc(known, func(n int) bool { return !taken[n] && had[n] == label })
		switch _, used := had[i+1]; {
		case at >= 0:
			numbers[i] = known[at]
		case !used:
			numbers[i] = i + 1
		default:
			next++
			numbers[i] = next
		}
		taken[numbers[i]] = true
	}
	return numbers
}

// Fold is what the records of a run say of its past. A piece of work that came
// to an outcome more than once (it failed, and the run was resumed) has the last.
func Fold(records []Record) *Past {
	p := &Past{Outcomes: map[Key]Outcome{}, Begun: map[Key][]Intent{}, Kept: map[Key][]string{}}
	p.at, p.Seen = map[Key]int{}, map[Key][]byte{}
	for i, r := range records {
		switch r := r.(type) {
		case Ended:
			p.ended = i
		case Intent:
			p.stepped = i
			p.label(r.Key, r.Label)
			p.Begun[r.Key] = append(p.Begun[r.Key], r)
			if r.Seen != nil && (r.Step == 0 || p.Seen[r.Key] == nil) {
				p.Seen[r.Key] = r.Seen
			}
			if r.ID != "" {
				p.Kept[r.Key] = append(p.Kept[r.Key], r.ID)
			}
			if r.Pod.Mark != "" {
				p.Pods = append(p.Pods, r.Pod)
			}
		case Outcome:
			p.label(r.Key, r.Label)
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

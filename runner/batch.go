package runner

import "runbook/playbooks"

// batches cuts hosts as serial says. The last entry repeats; a percentage is of
// all hosts, floored, and never below one; no entry is one batch of all.
func batches[T any](hosts []T, serial []playbooks.Batch) [][]T {
	if len(serial) == 0 {
		serial = []playbooks.Batch{{}}
	}
	var cut [][]T
	for i, left := 0, hosts; len(left) > 0; i++ {
		n := size(serial[min(i, len(serial)-1)], len(hosts))
		n = min(n, len(left))
		cut = append(cut, left[:n])
		left = left[n:]
	}
	return cut
}

func size(b playbooks.Batch, hosts int) int {
	switch {
	case b.Percent > 0:
		return max(1, int(b.Percent*float64(hosts)/100))
	case b.Count > 0:
		return b.Count
	}
	return hosts
}

// exceeds says whether more than percent of a batch have failed: reaching the
// number is not enough.
func exceeds(failed, batch, percent int) bool {
	return failed*100 > percent*batch
}

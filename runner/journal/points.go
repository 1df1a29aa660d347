package journal

import "runbook/runner/failpoint"

// points are where a test may end the process, around the writing of a record.
type points struct{ before, written, durable failpoint.Point }

func pointsOf(name string) points {
	return points{
		before:  failpoint.New("journal." + name + ".before"),
		written: failpoint.New("journal." + name + ".written"),
		durable: failpoint.New("journal." + name + ".durable"),
	}
}

// loosePointsOf are those of a kind of record that no run waits for to be durable.
func loosePointsOf(name string) points {
	return points{
		before:  failpoint.New("journal." + name + ".before"),
		written: failpoint.New("journal." + name + ".written"),
	}
}

var (
	pointsOfKind = map[kind]points{
		aHeader:   pointsOf("header"),
		aResumed:  pointsOf("resumed"),
		anIntent:  pointsOf("intent"),
		anOutcome: pointsOf("outcome"),
		anEnded:   pointsOf("ended"),
		aHalted:   pointsOf("halted"),
		aDropped:  pointsOf("dropped"),
		anAdopted: loosePointsOf("adopted"),
		aBatch:    loosePointsOf("batch"),
	}
	copied = failpoint.New("journal.reopen.copied") // the new file is durable, the old one still in its place
)

// hit hits the point that which picks, for every record of a group.
func hit(group []*entry, which func(points) failpoint.Point) {
	if !failpoint.Enabled {
		return
	}
	for _, e := range group {
		which(pointsOfKind[e.kind]).Hit()
	}
}

func before(p points) failpoint.Point  { return p.before }
func written(p points) failpoint.Point { return p.written }
func durable(p points) failpoint.Point { return p.durable }

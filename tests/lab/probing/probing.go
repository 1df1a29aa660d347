// Package probing is what the lab and its prober tell each other: how a service
// is asked from outside, and what came of it.
package probing

import "time"

const (
	// Every is how often the service is asked, and Within how long an answer may
	// take, from the first packet of the connection to the last of the answer.
	Every  = 100 * time.Millisecond
	Within = time.Second
)

// Result is what came of asking for a while.
type Result struct {
	Sent     int
	Failures []Failure // in the order in which they were sent
	Slowest  time.Duration
}

// Failure is a request that got no proper answer.
type Failure struct {
	At   time.Time // when it was sent
	Took time.Duration
	Err  string
}

package ssh

import (
	"fmt"
	"time"
)

const (
	keepAliveEvery = 15 * time.Second
	keepAliveMiss  = 3 // unanswered in a row, then the connection is given up
)

// keepAlive finds out that the other side is gone, which TCP alone may take hours
// to notice. The library's request waits for its answer without a bound, so the
// wait is here.
func (c *connection) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	answered := make(chan struct{}, 1)
	for missed, waiting := 0, false; ; {
		select {
		case <-c.down:
			return
		case <-answered:
			missed, waiting = 0, false
		case <-tick.C:
			if waiting {
				missed++
			}
			if missed == keepAliveMiss {
				c.end(fmt.Errorf("the host did not answer for %v", keepAliveMiss*every))
				return
			}
			if !waiting {
				waiting = true
				go func() {
					// An error means that the connection is over, which down tells.
					_, _, _ = c.client.SendRequest("keepalive@openssh.com", true, nil)
					answered <- struct{}{}
				}()
			}
		}
	}
}

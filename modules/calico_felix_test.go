package modules

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// felixSays makes a log: "57 10:00:01 ERROR felix/x.go 1: text", a line each.
func felixSays(lines ...string) string {
	text := "bird: BGP started\n"
	for _, line := range lines {
		text += "2026-01-02 " + line[3:11] + ".123 [INFO][" + line[:2] + "] " + line[12:] + "\n"
	}
	return text
}

const (
	saysStart  = "felix/daemon.go 82: Felix starting up GOMAXPROCS=2"
	saysWait   = "felix/async_calc_graph.go 136: Sending status update Status=wait-for-ready"
	saysResync = "felix/async_calc_graph.go 136: Sending status update Status=resync"
	saysSync   = "felix/async_calc_graph.go 136: Sending status update Status=in-sync"
	saysDone   = "felix/int_dataplane.go 1921: Completed first update to dataplane. secsSinceStart=0.5"
	saysRetry  = "felix/ipsets.go 320: Failed to resync with dataplane error=exit status 1"
	saysPanic  = "felix/ipsets.go 336: Failed to update IP sets after multiple retries."
	saysAll    = `felix/ipsets.go 599: Bad return code from 'ipset list'. error=exit status 1 family="inet" stderr="ipset v7.11: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.\n"`
	saysOwn    = `felix/ipsets.go 656: Bad return code from 'ipset list cali40this-host'. error=exit status 1 family="inet" stderr="ipset v7.11: Kernel and userspace incompatible: settype hash:ip with revision 6 not supported by userspace.\n"`
	saysDenied = `reflector.go 147: Failed to list *v1.Node: nodes is forbidden: User "system:serviceaccount:kube-system:calico-node" cannot list resource "nodes"`
)

func TestFelixLog(t *testing.T) {
	for name, c := range map[string]struct {
		log  string
		now  string // of the day; 10:00:10 where empty
		want felixLife
	}{
		"nothing said": {log: ""},
		"in sync": {
			log:  felixSays("57 10:00:00 "+saysStart, "57 10:00:01 "+saysWait, "57 10:00:01 "+saysSync, "57 10:00:02 "+saysDone),
			want: felixLife{started: "2026-01-02 10:00:00.123", pid: "57", status: "in-sync", synced: true},
		},
		"what it said before its first sync is over": {
			log:  felixSays("57 10:00:00 "+saysStart, "57 10:00:01 "+saysAll, "57 10:00:02 "+saysDone),
			want: felixLife{started: "2026-01-02 10:00:00.123", pid: "57", synced: true},
		},
		"what it says after it is not": {
			log:  felixSays("57 10:00:00 "+saysStart, "57 10:00:02 "+saysDone, "57 10:00:04 "+saysAll, "57 10:00:05 "+saysRetry),
			want: felixLife{started: "2026-01-02 10:00:00.123", pid: "57", synced: true, errors: 2, lastError: "2026-01-02 10:00:04.123 [INFO][57] " + saysAll},
		},
		"an older Felix does not count": {
			log: felixSays("57 10:00:00 "+saysStart, "57 10:00:01 "+saysAll, "57 10:00:02 "+saysPanic, "91 10:00:04 "+saysStart, "57 10:00:04 "+saysAll,
				"91 10:00:05 "+saysDone),
			want: felixLife{started: "2026-01-02 10:00:04.123", pid: "91", synced: true},
		},
		"one that starts has not got over what the one before died of": {
			log: felixSays("57 10:00:00 "+saysStart, "57 10:00:01 "+saysOwn, "57 10:00:02 "+saysPanic, "91 10:00:04 "+saysStart, "91 10:00:04 "+saysWait),
			want: felixLife{
				started: "2026-01-02 10:00:04.123", pid: "91", status: "wait-for-ready", errors: 2, before: true,
				lastError: "2026-01-02 10:00:01.123 [INFO][57] " + saysOwn,
			},
		},
		"one that has waited for long waits for something else": {
			log:  felixSays("57 10:00:00 "+saysStart, "57 10:00:01 "+saysOwn, "57 10:00:02 "+saysPanic, "91 10:00:04 "+saysStart, "91 10:00:04 "+saysWait),
			now:  "10:05:00",
			want: felixLife{started: "2026-01-02 10:00:04.123", pid: "91", status: "wait-for-ready"},
		},
		"a log that was rotated": {
			log:  felixSays("57 10:00:04 " + saysAll),
			want: felixLife{errors: 1, lastError: "2026-01-02 10:00:04.123 [INFO][57] " + saysAll},
		},
		"rights": {
			log: felixSays("57 10:00:00 "+saysStart, "57 10:00:01 "+saysWait, "57 10:00:02 "+saysDenied),
			want: felixLife{
				started: "2026-01-02 10:00:00.123", pid: "57", status: "wait-for-ready", refused: "2026-01-02 10:00:02.123 [INFO][57] " + saysDenied,
			},
		},
		"by way of Typha": {
			log:  felixSays("57 10:00:00 "+saysStart, "57 10:00:01 sync_client.go 5: Status update from Typha. newStatus=in-sync"),
			want: felixLife{started: "2026-01-02 10:00:00.123", pid: "57", status: "in-sync"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.now == "" {
				c.now = "10:00:10"
			}
			now, err := time.Parse(time.DateTime, "2026-01-02 "+c.now)
			require.NoError(t, err)
			assert.Equal(t, c.want, lastFelix(felixLives(c.log), now))
		})
	}
}

func TestSetError(t *testing.T) {
	assert.Equal(t, setError{reader: "7.11", kind: "hash:ip", revision: 6}, parseSetError(saysAll))
	assert.Equal(t, setError{set: "cali40this-host", reader: "7.11", kind: "hash:ip", revision: 6}, parseSetError(saysOwn))
	assert.Equal(t, setError{}, parseSetError(saysPanic))
}

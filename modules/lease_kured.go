package modules

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// KuredLock is the lock of kured, the reboot daemon: an annotation of its
// daemonset, which says which node is being rebooted. Whoever has it keeps kured
// from beginning another one.
type KuredLock struct {
	DaemonSet Ref
	Keys      []string // of the annotation; kured has changed its default with time, and reads one alone
	Owners    int      // how many nodes kured reboots at once; above one the annotation is a list
}

// kuredKeys are the annotations that releases of kured use where no flag says
// another one: up to 1.11, and since.
var kuredKeys = []string{"weave.works/kured-node-lock", "kured.dev/kured-node-lock"}

// kuredOwner is one who has the lock, as kured writes it.
type kuredOwner struct {
	NodeID   string        `json:"nodeID"`
	Metadata any           `json:"metadata,omitempty"`
	Created  time.Time     `json:"created"`
	TTL      time.Duration `json:"TTL"` // nanoseconds; zero: it does not end by itself
}

type kuredOwners struct {
	MaxOwners int          `json:"maxOwners"`
	Locks     []kuredOwner `json:"locks"`
}

// kuredLockOf reads from a daemonset whether it is kured's, and how its lock looks.
func kuredLockOf(ds Object) (KuredLock, bool) {
	for _, c := range objectsAt(ds, "spec", "template", "spec", "containers") {
		flags := kuredFlags(c)
		if dig[string](c, "name") != "kured" && !strings.Contains(dig[string](c, "image"), "/kured:") && !flags.is {
			continue
		}
		lock := KuredLock{DaemonSet: itself(ds), Keys: kuredKeys, Owners: 1}
		if flags.key != "" {
			lock.Keys = []string{flags.key}
		}
		if n, err := strconv.Atoi(flags.concurrency); err == nil && n > 1 {
			lock.Owners = n
		}
		return lock, true
	}
	return KuredLock{}, false
}

// kuredFlags are those of a container that matter here, be they arguments or
// variables.
func kuredFlags(container Object) (f struct {
	is               bool
	key, concurrency string
}) {
	for _, list := range []string{"command", "args"} {
		for _, word := range dig[[]any](container, list) {
			name, value, _ := strings.Cut(fmt.Sprint(word), "=")
			switch name {
			case "/usr/bin/kured":
				f.is = true
			case "--lock-annotation":
				f.key = value
			case "--concurrency":
				f.concurrency = value
			}
		}
	}
	for _, e := range objectsAt(container, "env") {
		switch dig[string](e, "name") {
		case "KURED_LOCK_ANNOTATION":
			f.key = dig[string](e, "value")
		case "KURED_CONCURRENCY":
			f.concurrency = dig[string](e, "value")
		}
	}
	return f
}

// Held says who else has the lock, from the daemonset's annotations; empty where
// nobody has, or the run itself. What cannot be read is somebody's.
func (k KuredLock) Held(annotations map[string]any, run RunName, now time.Time) string {
	for _, key := range k.Keys {
		text, _ := annotations[key].(string)
		if text == "" {
			continue
		}
		var one kuredOwner
		var many kuredOwners
		err := json.Unmarshal([]byte(text), &one)
		if err == nil {
			err = json.Unmarshal([]byte(text), &many)
		}
		if err != nil {
			return fmt.Sprintf("somebody (%s cannot be read: %v)", key, err)
		}
		for _, o := range append(many.Locks, one) {
			over := o.TTL > 0 && now.Sub(o.Created) >= o.TTL
			if o.NodeID != "" && !over && !run.owns(o.NodeID) {
				return o.NodeID
			}
		}
	}
	return ""
}

// Taken is the annotations with which the run has the lock, for so long; nil
// values give it back.
func (k KuredLock) Taken(run RunName, now time.Time, ttl time.Duration) map[string]any {
	me := kuredOwner{NodeID: run.String(), Metadata: map[string]any{"unschedulable": false}, Created: now.UTC(), TTL: ttl}
	var value any = me
	if k.Owners > 1 {
		many := kuredOwners{MaxOwners: k.Owners}
		for range k.Owners {
			many.Locks = append(many.Locks, me)
		}
		value = many
	}
	text, _ := json.Marshal(value) // plain data cannot fail
	all := map[string]any{}
	for _, key := range k.Keys {
		all[key] = string(text)
		if ttl == 0 {
			all[key] = nil
		}
	}
	return all
}

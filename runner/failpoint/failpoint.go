// Package failpoint names the places where a run may die, so that a test can
// make it die at each of them. Only a build with the tag failpoint has points;
// in any other they compile to nothing.
//
// In such a build two variables of the environment drive it:
//
//	RUNBOOK_FAILPOINT=name@N       end the process with SIGKILL when the point is hit the N-th time (from 1)
//	RUNBOOK_FAILPOINTS_FILE=path   append the name of every point to the file when it is first hit
package failpoint

import (
	"slices"
	"sync"
)

var (
	registering sync.Mutex
	registered  []string
)

// New names a point. It is called where package variables are set; a name that
// is taken is a mistake of the program, and panics.
func New(name string) Point {
	if !Enabled {
		return Point{}
	}
	registering.Lock()
	defer registering.Unlock()
	if slices.Contains(registered, name) {
		panic("failpoint: " + name + " is registered twice")
	}
	registered = append(registered, name)
	return point(name)
}

// Names lists every point of the program, sorted; none without the build tag.
func Names() []string {
	registering.Lock()
	defer registering.Unlock()
	names := slices.Clone(registered)
	slices.Sort(names)
	return names
}

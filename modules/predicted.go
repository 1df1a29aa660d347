package modules

// Unforeseen is the error of a Check in a plan that cannot know yet what it
// would find, because an earlier task decides it. It is a value, not a pointer.
// As a State it says that not even the thing's presence is known; as one of a
// Change's Vars, that this key is not.
type Unforeseen struct {
	Reason string // completes "known after apply: "
}

func (u Unforeseen) Error() string { return "known after apply: " + u.Reason }

// SomePaths is asked, and never an effect: its name is a pattern as path.Match
// has them, or a directory and "/**" for all below it. The State is []Effect:
// the paths that match, sorted, also those that would be gone.
const SomePaths Thing = "paths"

// Asked for a package with an empty name, Predicted gives the one that the last
// task to install or upgrade any has named. Whoever looks for what a package
// may bring asks so whether there is hope.
const anyPackage = ""

// Unit is the State of AUnit: a unit of systemd by its full name.
type Unit struct {
	Active string // active or inactive
	Boot   string // enabled, disabled, masked, static...: its unit file's state
}

// IPSet is the State of ASet.
type IPSet struct {
	Type    string
	Options map[string]string // of its creation; a flag has the value "yes"
	Members []string          // sorted
}

// The State of APath is a File, with these meanings beside the usual ones:
//
//	Mode      ModeSymlink: the path is a link, to Link; no permission bits: they are not known
//	Owner, Group    empty: not known, and so with -1 as UID or GID
//	Data      nil with Size -1: not known; nil otherwise: what stands there now stays.
//	          A directory that is new, and so empty, has Data that is not nil
//
// A path that runs through a link of the plan is answered for where it leads:
// the effect's Name says where.

// Elsewhere is the State of a path of which the plan says only where it leads,
// to the effect's Name: what is there can be looked at.
type Elsewhere struct{}

// byTask names a task in a reason.
func byTask(by string) string {
	if by == "" {
		return "an earlier task"
	}
	return `the task "` + by + `"`
}

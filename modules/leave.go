package modules

import (
	"io/fs"
	"path"
	"strconv"
)

// What a change of files leaves, for the tasks that follow in the same plan.

// effects are one file of the plan under the names that later tasks may know.
func (p place) effects(name string, f File) []Effect {
	straight := p.straight(name)
	all := []Effect{{Thing: APath, Name: straight, State: f}}
	if clean := path.Clean(name); clean != straight {
		all = append([]Effect{{Thing: APath, Name: clean, State: f}}, all...)
	}
	return all
}

// kept is what a change of attributes only would leave of an inode: its content
// is not touched.
func (a attributes) kept(in *inode) File {
	f := File{Exists: true, UID: in.uid, GID: in.gid, Owner: in.owner, Group: in.group, Mode: permissions(in.perm())}
	switch {
	case in.is(typeDir):
		f.Mode |= fs.ModeDir
	case in.is(typeLink):
		f.Mode |= fs.ModeSymlink
	}
	if in.size > 0 {
		f.Size = in.size
	}
	return a.onto(f)
}

// made is what a new file or directory would be, before its content. The usual
// mode is that of the call that makes it; 0 where nobody can know it.
func (a attributes) made(m maker, kind fs.FileMode, usual uint32) File {
	f := File{Exists: true, Mode: kind, UID: -1, GID: -1, Data: []byte{}}
	if m.known {
		f.Owner, f.Group, f.UID, f.GID = m.owner, m.group, m.uid, m.gid
	}
	f.Mode |= permissions(usual)
	return a.onto(f)
}

// onto gives a file the attributes that are asked for.
func (a attributes) onto(f File) File {
	if a.mode != nil && f.Mode&fs.ModeSymlink == 0 {
		f.Mode = f.Mode.Type() | permissions(*a.mode)
	}
	if a.owner != "" && a.owner != f.Owner && a.owner != strconv.Itoa(f.UID) {
		f.Owner, f.UID = a.owner, idOf(a.owner)
	}
	if a.group != "" && a.group != f.Group && a.group != strconv.Itoa(f.GID) {
		f.Group, f.GID = a.group, idOf(a.group)
	}
	return f
}

// idOf is a number given for an owner, or -1 where it is a name.
func idOf(owner string) int {
	if n, err := strconv.Atoi(owner); err == nil && n >= 0 {
		return n
	}
	return -1
}

// masked is the mode that a call with this mode comes to.
func (m maker) masked(mode uint32) uint32 {
	if !m.known {
		return 0
	}
	return mode &^ m.umask
}

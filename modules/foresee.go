package modules

import (
	"context"
	"crypto/md5"  // checksums that people register, not a defence
	"crypto/sha1" // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"path"
	"strings"
)

// linkHops bounds following links of a plan that point at each other.
const linkHops = 40

// foresee makes a place what earlier tasks of the plan would have left there.
func (p *place) foresee(ctx context.Context, t Target, hops int, algorithm string) error {
	e, ok := p.predicted(t, p.path)
	if !ok {
		if p.self == nil {
			p.rise(t)
		}
		if !p.self.is(typeLink) {
			return nil
		}
		if _, ahead := t.Predicted(APath, p.target()); !ahead {
			return nil
		}
		return p.follow(ctx, t, hops, algorithm)
	}
	f, known := e.State.(File)
	_, elsewhere := e.State.(Elsewhere)
	vague, unsure := e.State.(Unforeseen)
	switch {
	case e.Gone:
		p.replace(nil)
	case elsewhere:
		return p.lead(ctx, t, hops, algorithm, e)
	case unsure:
		p.replace(nil)
		p.err = vague
	case !known:
		p.replace(nil)
		p.there, p.err = true, Unforeseen{fmt.Sprintf("what %q is, which %s makes", p.path, byTask(e.By))}
	case f.Mode&fs.ModeSymlink != 0:
		p.replace(f.inode(e.By))
		p.link = f.Link
		p.rise(t)
		return p.follow(ctx, t, hops, algorithm)
	default:
		p.become(f, e.By, algorithm)
	}
	p.rise(t)
	return nil
}

// predicted asks for a path at or above the place by its name without links,
// and else as it is written.
func (p *place) predicted(t Target, name string) (Effect, bool) {
	straight := p.straight(name)
	if e, ok := t.Predicted(APath, straight); ok || straight == path.Clean(name) {
		return e, ok
	}
	return t.Predicted(APath, path.Clean(name))
}

// straight is a path at or above the place, without the links of the target's
// that lead to it: two names of one thing are one name then.
func (p *place) straight(name string) string {
	dir := p.ancestor
	if dir == p.path {
		dir = p.path[:strings.LastIndexByte(p.path, '/')+1]
	}
	rest, within := strings.CutPrefix(name, strings.TrimSuffix(dir, "/")+"/")
	switch {
	case p.folder == "":
		return path.Clean(name)
	case within:
		return path.Join(p.folder, rest)
	case name == dir:
		return p.folder
	}
	return path.Clean(name)
}

// replace makes something else stand at the place, or nothing.
func (p *place) replace(in *inode) {
	p.self, p.end, p.link, p.real, p.access, p.sum, p.err = in, in, "", "", "", "", nil
}

// become makes the place a file or directory of the plan.
func (p *place) become(f File, by, algorithm string) {
	if kept := p.end; f.Data == nil && f.Size >= 0 && kept.is(rawMode(f.Mode)&typeBits) {
		in := *kept
		in.dress(f, by)
		p.self, p.end = &in, &in
		return
	}
	in := f.inode(by)
	p.replace(in)
	switch {
	case !in.is(typeFile):
	case f.Data == nil:
		p.unread = true
	case algorithm != "":
		p.sum = checksum(algorithm, f.Data)
	}
}

// rise finds the nearest path above that would exist by now.
func (p *place) rise(t Target) {
	if p.self != nil {
		p.ancestor = p.path
		return
	}
	for q := path.Dir(p.path); ; q = path.Dir(q) {
		e, ok := p.predicted(t, q)
		name := q
		if _, elsewhere := e.State.(Elsewhere); elsewhere {
			name, ok = e.Name, false
		}
		within := name == "/" || p.ancestor == name || strings.HasPrefix(p.ancestor, name+"/")
		if q == "/" || ok && !e.Gone || !ok && within {
			p.setAncestor(q)
			return
		}
	}
}

// setAncestor keeps the directory without links in step.
func (p *place) setAncestor(q string) {
	if q == p.ancestor {
		return
	}
	p.folder, p.ancestor = p.straight(q), q
}

// follow looks at the end of a link, as it would be by now.
func (p *place) follow(ctx context.Context, t Target, hops int, algorithm string) error {
	if hops == 0 {
		p.end = nil
		return nil
	}
	at, err := lookThrough(ctx, t, hops-1, algorithm, Quote(p.target()))
	if err != nil {
		return err
	}
	q := at[0]
	p.end, p.access, p.sum, p.unread, p.maker = q.end, q.access, q.sum, q.unread, q.maker
	switch {
	case q.real != "" || q.link != "":
		p.real = q.real
	case q.self != nil || q.ancestor == path.Dir(q.path):
		p.real = q.straight(q.path)
	default:
		p.real = ""
	}
	if q.err != nil {
		p.err = q.err
	}
	return nil
}

// target is where the link at the place points.
func (p *place) target() string {
	switch {
	case p.real != "":
		return p.real
	case path.IsAbs(p.link):
		return path.Clean(p.link)
	}
	return path.Join(path.Dir(p.straight(p.path)), p.link)
}

// final is the path at the end of all links.
func (p *place) final() string {
	if p.link != "" && p.real != "" {
		return p.real
	}
	return p.path
}

// lead looks where the path leads by a link of the plan above it.
func (p *place) lead(ctx context.Context, t Target, hops int, algorithm string, e Effect) error {
	if hops == 0 {
		p.replace(nil)
		return nil
	}
	at, err := lookThrough(ctx, t, hops-1, algorithm, Quote(e.Name))
	if err != nil {
		return err
	}
	written := p.path
	*p = at[0]
	p.path = written
	if p.self != nil {
		p.folder, p.ancestor = path.Dir(e.Name), written
		return nil
	}
	p.rise(t)
	return nil
}

// inode is the file as stat would show it. What is not known is -1 or empty.
func (f File) inode(by string) *inode {
	in := &inode{mode: rawMode(f.Mode), uid: f.UID, gid: f.GID, owner: f.Owner, group: f.Group, size: f.Size, number: -1, by: by}
	if f.Owner == "" {
		in.uid = -1
	}
	if f.Group == "" {
		in.gid = -1
	}
	if in.is(typeDir) {
		in.size = -1
	}
	in.bare = in.perm() == 0
	return in
}

// foreseen is what the plan says of a thing. The error is Unforeseen where it says
// no more than that an earlier task may change it.
func foreseen(t Target, thing Thing, name string) (Effect, bool, error) {
	e, ok := t.Predicted(thing, name)
	if vague, unsure := e.State.(Unforeseen); unsure {
		return e, ok, vague
	}
	return e, ok, nil
}

// hoped is the error for something that is missing: in a plan that has installed
// a package by then, nobody knows what the package brings.
func hoped(t Target, what string, missing error) error {
	e, ok := t.Predicted(APackage, anyPackage)
	if !ok {
		return missing
	}
	return Unforeseen{fmt.Sprintf("whether %s comes with package %q, which %s installs", what, e.Name, byTask(e.By))}
}

// attributeKeys are the keys of a result that an inode knows.
var attributeKeys = []string{"mode", "uid", "gid", "owner", "group", "size"}

// register puts mode, size and owners among the values of a result.
func (i *inode) register(vars map[string]any) {
	for _, key := range attributeKeys {
		vars[key] = i.unforeseen()
	}
	i.foretell(vars)
}

// foretell is register for what a change would leave. What is not known is left
// out: of a change that is yet to be made all other keys are unknown.
func (i *inode) foretell(vars map[string]any) {
	for key, v := range map[string]any{"mode": octal(i.perm()), "uid": i.uid, "gid": i.gid, "owner": i.owner, "group": i.group, "size": i.size} {
		if v != "" && v != -1 && v != int64(-1) && (key != "mode" || !i.bare) {
			vars[key] = v
		}
	}
}

// dress gives an inode the attributes that are known of a file of the plan.
func (i *inode) dress(f File, by string) {
	if bits := rawMode(f.Mode) &^ typeBits; bits != 0 {
		i.mode = i.mode&typeBits | bits
	}
	if f.Owner != "" {
		i.owner, i.uid = f.Owner, f.UID
	}
	if f.Group != "" {
		i.group, i.gid = f.Group, f.GID
	}
	i.by = by
}

var rawBits = map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000}

// rawMode is a mode as stat(2) has it; without a type it is a regular file.
func rawMode(mode fs.FileMode) uint32 {
	raw := uint32(mode.Perm())
	for flag, bit := range rawBits {
		if mode&flag != 0 {
			raw |= bit
		}
	}
	switch {
	case mode.IsDir():
		return raw | typeDir
	case mode&fs.ModeSymlink != 0:
		return raw | typeLink
	}
	return raw | typeFile
}

// permissions are the bits of stat(2) as a FileMode.
func permissions(raw uint32) fs.FileMode {
	mode := fs.FileMode(raw & 0o777)
	for flag, bit := range rawBits {
		if raw&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func checksum(algorithm string, data []byte) string {
	var h hash.Hash
	switch algorithm {
	case "md5":
		h = md5.New()
	case "sha1":
		h = sha1.New()
	case "sha224":
		h = sha256.New224()
	case "sha256":
		h = sha256.New()
	case "sha384":
		h = sha512.New384()
	default:
		h = sha512.New()
	}
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

package modules

import (
	"context"
	"crypto/sha1" // the checksum that people register, not a defence
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

func init() {
	register(Def{
		Name: "copy",
		Doc:  "Put a file with a given content on the target",
		New:  func() Module { return &copyFile{Force: true} },
	})
}

type copyFile struct {
	Content     *string `arg:"content" doc:"The content; instead of src."`
	Src         Local   `arg:"src,file" doc:"A file of the controller; instead of content."`
	Dest        string  `arg:"dest,required" doc:"The path on the target; with src, a directory stands for the same name in it, and one that ends in / is created."`
	Mode        any     `arg:"mode" doc:"Permission bits in octal, such as \"0644\", or preserve for those of src; a new file gets 0644."`
	Owner       string  `arg:"owner" doc:"The user who owns the file; a name or a number."`
	Group       string  `arg:"group" doc:"The group that owns the file; a name or a number."`
	Backup      bool    `arg:"backup" doc:"Whether the old content is kept beside the new one."`
	Force       bool    `arg:"force" doc:"Whether a file that is there already is replaced."`
	Follow      bool    `arg:"follow" doc:"Whether a symbolic link at dest stands for what it points at; otherwise the file takes its place."`
	ValidatedBy string  `arg:"validate" doc:"A command that must accept the content before it is put in place; %s stands for a file that holds it."`
	RemoteSrc   bool    `arg:"remote_src" doc:"Copying within the target is not supported; only false is accepted."`
}

func (m *copyFile) Validate() error {
	_, err := m.attributes()
	switch {
	case m.RemoteSrc:
		return errors.New("remote_src is not supported; copy within the target with the module command and creates")
	case m.Dest == "":
		return errors.New("dest is empty; write the path on the target")
	case (m.Content != nil) == (m.Src.Path != ""):
		return errors.New("one of content and src must be given, and not both")
	case m.Content != nil && strings.HasSuffix(m.Dest, "/"):
		return fmt.Errorf("dest %q is a directory, and content has no name; write the whole path", m.Dest)
	case m.ValidatedBy != "" && !strings.Contains(m.ValidatedBy, "%s"):
		return fmt.Errorf("validate %q does not say where the file goes; write %%s there", m.ValidatedBy)
	case err != nil:
		return err
	}
	_, err = SplitWords(m.ValidatedBy)
	return err
}

func (m *copyFile) attributes() (attributes, error) {
	if m.Mode != "preserve" {
		return attributesOf(m.Mode, m.Owner, m.Group)
	}
	if m.Content != nil {
		return attributes{}, errors.New("mode preserve needs src: content has no mode of its own")
	}
	return attributesOf(int64(m.Src.Mode.Perm()), m.Owner, m.Group)
}

func (m *copyFile) data() []byte {
	if m.Content != nil {
		return []byte(*m.Content)
	}
	return m.Src.Data
}

func (m *copyFile) Check(ctx context.Context, t Target) (Change, error) {
	dest, newDir, err := m.find(ctx, t)
	if err != nil {
		return Change{}, err
	}
	if dest.err != nil {
		return Change{}, dest.err
	}
	sum := sha1.Sum(m.data())
	put := putting{copyFile: m, place: dest, sum: hex.EncodeToString(sum[:])}
	if put.attributes, err = m.attributes(); err != nil {
		return Change{}, err
	}
	change, err := put.check(ctx, t)
	if err != nil || newDir == "" {
		return change, err
	}
	made := attributes{}.made(put.maker, fs.ModeDir, put.maker.masked(0o777))
	for dir := newDir; dir != put.ancestor && dir != "/"; dir = path.Dir(dir) {
		change.Effects = append(put.effects(dir, made), change.Effects...)
	}
	change.Diffs = append([]Diff{{What: newDir, Have: "absent", Want: "directory"}}, change.Diffs...)
	change.Steps = append([]Step{Command("mkdir", "-p", "--", newDir)}, change.Steps...)
	return change, nil
}

// find says where the file goes, and which directory must be made for it.
func (m *copyFile) find(ctx context.Context, t Target) (dest place, newDir string, err error) {
	word := shellWord(withoutSlash(m.Dest))
	words := []string{word}
	if m.Src.Path != "" {
		words = append(words, word+"/"+Quote(path.Base(m.Src.Path)))
	}
	places, err := lookAt(ctx, t, "sha1", words...)
	if err != nil {
		return place{}, "", err
	}
	dest = places[0]
	slash := strings.HasSuffix(m.Dest, "/")
	switch {
	case dest.err != nil:
		return place{}, "", dest.err
	case dest.end.is(typeDir) && m.Content != nil:
		return place{}, "", fmt.Errorf("dest %q is a directory, and content has no name; write the whole path", m.Dest)
	case dest.end.is(typeDir):
		return places[1], "", nil
	case slash && dest.self == nil:
		return places[1], dest.path, nil
	case slash:
		return place{}, "", fmt.Errorf("dest %q is a %s, not a directory", m.Dest, dest.self.kind())
	case dest.self == nil && dest.ancestor != path.Dir(dest.path):
		return place{}, "", hoped(t, fmt.Sprintf("directory %q", path.Dir(dest.path)),
			fmt.Errorf("directory %q does not exist on the target; create it first (file, state: directory)", path.Dir(dest.path)))
	}
	return dest, "", nil
}

// withoutSlash is a path without the slashes at its end.
func withoutSlash(p string) string {
	if short := strings.TrimRight(p, "/"); short != "" {
		return short
	}
	return p
}

// putting is a copy that knows its place.
type putting struct {
	*copyFile
	place
	attributes
	sum string
}

func (p putting) check(ctx context.Context, t Target) (Change, error) {
	in, target := p.self, p.path
	if p.link != "" && p.Follow {
		in, target = p.end, p.real
	}
	vars := p.vars(in, target)
	switch {
	case target == "":
		return Change{}, fmt.Errorf("%q is a link to %q, which leads nowhere", p.path, p.link)
	case in != nil && !p.Force:
		return Change{Vars: vars}, nil
	case in.is(typeLink):
		diff := Diff{What: target, Have: "link to " + p.link, Want: "file"}
		return p.leaving(Change{Diffs: []Diff{diff}, Steps: p.steps(target)}, target, p.end), nil
	case in != nil && !in.is(typeFile):
		return Change{}, fmt.Errorf("%q is a %s; only a regular file can be replaced", target, in.kind())
	case in != nil && p.unread:
		return Change{}, Unforeseen{fmt.Sprintf("the content of %q, which %s makes", target, byTask(in.by))}
	case in != nil && p.place.sum == "":
		return Change{}, fmt.Errorf("%q cannot be read; use become", target)
	case in != nil && p.place.sum == p.sum:
		diffs, steps, err := p.against(target, in, true)
		change := Change{Diffs: diffs, Steps: steps, Vars: vars}
		if len(steps) > 0 {
			change = p.leaving(change, target, in)
		}
		return change, err
	}
	diff, err := p.contentDiff(ctx, t, in, target)
	if err != nil {
		return Change{}, err
	}
	change := Change{Diffs: []Diff{diff}, Steps: p.steps(target)}
	if in != nil {
		more, _, err := p.against(target, in, true)
		if err != nil {
			return Change{}, err
		}
		change.Diffs = append(change.Diffs, more...)
	}
	return p.leaving(change, target, in), nil
}

// leaving adds to a change what the file would be, for later tasks of a plan and
// for who registers the result. Mode and owner are kept where they are not asked
// for: those of old, which is what stood there.
func (p putting) leaving(change Change, target string, old *inode) Change {
	f := p.made(p.maker, 0, 0o644)
	if old.is(typeFile) {
		f = p.kept(old)
	}
	f.Data = append([]byte{}, p.data()...)
	f.Size = int64(len(f.Data))
	change.Effects = p.effects(target, f)
	change.Vars = p.vars(nil, target)
	f.inode("").foretell(change.Vars)
	return change
}

const shownContent = 1 << 20 // bytes of a file that a diff still shows

func (p putting) contentDiff(ctx context.Context, t Target, in *inode, target string) (Diff, error) {
	want := p.data()
	if in == nil {
		return textDiff(target, nil, want, "absent"), nil
	}
	if in.size > shownContent {
		return Diff{What: target, Have: fmt.Sprintf("%d bytes", in.size), Want: fmt.Sprintf("%d bytes", len(want))}, nil
	}
	old, err := t.ReadFile(ctx, target)
	if err != nil {
		return Diff{}, err
	}
	return textDiff(target, old.Data, want, fmt.Sprintf("%d other bytes", len(old.Data))), nil
}

// textDiff shows contents where both are text of a bearable size, and otherwise
// says instead what is there.
func textDiff(what string, have, want []byte, instead string) Diff {
	if isText(have) && isText(want) {
		return Diff{What: what, Have: string(have), Want: string(want), Text: true}
	}
	return Diff{What: what, Have: instead, Want: fmt.Sprintf("%d bytes", len(want))}
}

func isText(data []byte) bool {
	return len(data) <= shownContent && utf8.Valid(data) && !strings.ContainsRune(string(data), 0)
}

func (p putting) steps(target string) []Step {
	var steps []Step
	if p.ValidatedBy != "" {
		steps = append(steps, p.validation(target))
	}
	w := Write{Path: target, Data: p.data(), Owner: p.owner, Group: p.group, Backup: p.Backup}
	if p.mode != nil {
		w.Mode = fs.FileMode(*p.mode & 0o777)
	}
	steps = append(steps, w)
	if p.mode != nil && (*p.mode == 0 || *p.mode > 0o777) { // what Write.Mode cannot say
		steps = append(steps, p.chmod(target))
	}
	return steps
}

// validation runs the command on a file of its own, so that a content it does
// not accept never comes into place.
func (p putting) validation(target string) Run {
	words, _ := SplitWords(p.ValidatedBy) // Validate has looked at the error
	for i, w := range words {
		parts := strings.Split(w, "%s")
		for j, part := range parts {
			if part != "" {
				parts[j] = shellWord(part)
			}
		}
		words[i] = strings.Join(parts, `"$file"`)
	}
	return Run{
		Shell: withTempFile(path.Base(target)) + strings.Join(words, " ") + " </dev/null\n",
		Stdin: string(p.data()), Show: p.ValidatedBy,
	}
}

func (p putting) vars(in *inode, target string) map[string]any {
	vars := map[string]any{"dest": target, "checksum": p.sum, "state": "file", "size": len(p.data())}
	if p.Src.Path != "" {
		vars["src"] = p.Src.Path
	}
	if in != nil {
		vars["size"], vars["checksum"] = in.size, p.place.sum
		in.register(vars)
	}
	return vars
}

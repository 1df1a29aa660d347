package modules

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

func init() {
	register(Def{
		Name: "stat",
		Doc:  "Look at a file, directory or link",
		New:  func() Module { return &stat{GetChecksum: true, ChecksumAlgorithm: "sha1"} },
	})
}

type stat struct {
	Path              string `arg:"path,required" alias:"dest name" doc:"The path to look at."`
	Follow            bool   `arg:"follow" doc:"Whether a symbolic link stands for what it points at."`
	GetChecksum       bool   `arg:"get_checksum" doc:"Whether a regular file is read for its checksum."`
	ChecksumAlgorithm string `arg:"checksum_algorithm" alias:"checksum_algo checksum" enum:"md5 sha1 sha224 sha256 sha384 sha512" doc:"Which checksum."`
	GetMime           bool   `arg:"get_mime" doc:"MIME types are not supported; only false is accepted."`
	GetAttributes     bool   `arg:"get_attributes" doc:"File system attributes are not supported; only false is accepted."`
}

func (m *stat) Validate() error {
	switch {
	case m.Path == "":
		return errPathEmpty
	case m.GetMime:
		return errors.New("get_mime: MIME types are not supported; drop it or write false")
	case m.GetAttributes:
		return errors.New("get_attributes: file system attributes are not supported; drop it or write false")
	}
	return nil
}

func (m *stat) Check(ctx context.Context, t Target) (Change, error) {
	algorithm := ""
	if m.GetChecksum {
		algorithm = m.ChecksumAlgorithm
	}
	places, err := lookAt(ctx, t, algorithm, shellWord(m.Path))
	if err != nil {
		return Change{}, err
	}
	p := places[0]
	switch {
	case p.there:
		facts := new(inode).facts()
		forget(facts, p.err, slices.Collect(maps.Keys(facts))...)
		facts["exists"], facts["path"] = true, p.path
		return Change{Vars: map[string]any{"stat": facts}}, nil
	case p.err != nil:
		return Change{}, p.err
	}
	in := p.at(m.Follow)
	if in == nil {
		return Change{Vars: map[string]any{"stat": map[string]any{"exists": false}}}, nil
	}
	facts := in.facts()
	facts["path"] = p.path
	in.forgetUnforeseen(facts)
	if in.is(typeLink) {
		facts["lnk_target"], facts["lnk_source"] = p.link, p.real
		return Change{Vars: map[string]any{"stat": facts}}, nil
	}
	for key, letter := range map[string]string{"readable": "r", "writeable": "w", "executable": "x"} {
		facts[key] = strings.Contains(p.access, letter)
	}
	if in.by != "" {
		forget(facts, in.unforeseen(), "readable", "writeable", "executable")
	}
	switch {
	case p.sum != "":
		facts["checksum"] = p.sum
	case p.unread && algorithm != "":
		forget(facts, in.unforeseen(), "checksum")
	}
	return Change{Vars: map[string]any{"stat": facts}}, nil
}

// facts are the keys of a registered stat that the inode knows.
func (i *inode) facts() map[string]any {
	facts := map[string]any{
		"exists": true, "mode": octal(i.perm()),
		"uid": i.uid, "gid": i.gid, "pw_name": i.owner, "gr_name": i.group,
		"size": i.size, "inode": i.number, "dev": i.dev, "nlink": i.links,
		"blocks": i.blocks, "block_size": i.blockSize, "device_type": i.rdev,
		"atime": i.atime, "mtime": i.mtime, "ctime": i.ctime,
		"isuid": i.mode&0o4000 != 0, "isgid": i.mode&0o2000 != 0,
	}
	for key, fileType := range map[string]uint32{
		"isreg": typeFile, "isdir": typeDir, "islnk": typeLink, "isfifo": typeFifo,
		"issock": typeSocket, "ischr": typeChar, "isblk": typeBlock,
	} {
		facts[key] = i.is(fileType)
	}
	for bit, key := range []string{"xoth", "woth", "roth", "xgrp", "wgrp", "rgrp", "xusr", "wusr", "rusr"} {
		facts[key] = i.mode&(1<<bit) != 0
	}
	return facts
}

// forget says of facts that a plan does not know them yet.
func forget(facts map[string]any, why error, keys ...string) {
	for _, key := range keys {
		facts[key] = why
	}
}

// unforeseen is why something of an inode that a task of the plan makes is not
// known.
func (i *inode) unforeseen() error { return Unforeseen{"what it is, which " + byTask(i.by) + " makes"} }

// forgetUnforeseen takes from the facts what the plan does not say.
func (i *inode) forgetUnforeseen(facts map[string]any) {
	for keys, unknown := range map[string]bool{
		"ctime":           i.by != "",
		"uid pw_name":     i.uid < 0 || i.owner == "",
		"gid gr_name":     i.gid < 0 || i.group == "",
		"size":            i.size < 0,
		"inode dev nlink": i.number < 0,
		"blocks block_size device_type atime mtime":                     i.number < 0,
		"mode isuid isgid xoth woth roth xgrp wgrp rgrp xusr wusr rusr": i.bare,
	} {
		if unknown {
			forget(facts, i.unforeseen(), strings.Fields(keys)...)
		}
	}
	// One of the two may be known: a name that is asked for has a number later.
	if i.owner != "" {
		facts["pw_name"] = i.owner
	}
	if i.group != "" {
		facts["gr_name"] = i.group
	}
}

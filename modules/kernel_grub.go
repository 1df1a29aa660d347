package modules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// grubState is what GRUB will do at the next boots, as its files say.
type grubState struct {
	menu      []grubEntry
	fixed     string            // the default of grub.cfg's header: "0", "${saved_entry}", a path...
	stray     string            // a line that sets the default somewhere else; then nobody can tell what boots
	env       map[string]string // the environment block: saved_entry, next_entry...
	own       string            // GRUB_DEFAULT without runbook's file
	ownFails  bool              // the settings cannot be read
	dropIn    string            // runbook's file, if there is one
	hasDropIn bool
	folder    bool   // the folder of that file is there
	readOnly  string // why GRUB cannot write its environment block; empty: it can
}

// grubEntry is an entry of the menu, or a menu inside it.
type grubEntry struct {
	title, id string
	release   string // of the Linux that it boots; empty where it boots something else
	line      string // which starts it
	submenu   bool
	menu      []grubEntry
}

const grubSaved = "${saved_entry}"

// grubCannotWrite are the abstractions and file systems that GRUB only reads: its
// own list, from recordfail in 00_header. On them next_entry would stay for ever
// (grub-reboot(8)).
var grubCannotWrite = []string{"diskfilter", "lvm", "btrfs", "cpiofs", "newc", "odc", "romfs", "squash4", "tarfs", "zfs"}

func parseGrub(said map[string]string) *grubState {
	g := &grubState{env: map[string]string{}, dropIn: said["ours"], stray: strings.TrimSpace(said["custom"])}
	_, g.hasDropIn = said["ours"]
	_, g.folder = said["folder"]
	g.readMenu(said["menu"])
	for line := range strings.Lines(said["env"]) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			g.env[key] = value
		}
	}
	own, ok := strings.CutPrefix(strings.TrimRight(said["own"], "\n"), "GRUB_DEFAULT=")
	g.own, g.ownFails = own, !ok
	if own == "" {
		g.own = "0" // as 00_header has it
	}
	for _, what := range []string{"abstraction", "fs"} {
		_, failed := said["no-"+what]
		for _, word := range strings.Fields(said[what]) {
			if slices.Contains(grubCannotWrite, word) {
				g.readOnly = "GRUB cannot write /boot/grub/grubenv on " + word
			}
		}
		if failed {
			g.readOnly = "grub-probe does not say where /boot/grub is: " + lastLine(said[what])
		}
	}
	return g
}

// readMenu reads the lines of grub.cfg that open and close entries, start a Linux
// or set the default.
func (g *grubState) readMenu(text string) {
	var open []*grubEntry // nil: a function
	header := false
	closeOne := func() {
		if len(open) == 0 {
			return
		}
		done := open[len(open)-1]
		open = open[:len(open)-1]
		if done == nil {
			return
		}
		if len(open) > 0 && open[len(open)-1] != nil {
			open[len(open)-1].menu = append(open[len(open)-1].menu, *done)
			return
		}
		g.menu = append(g.menu, *done)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		first, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		switch {
		case first == "###":
			header = strings.HasPrefix(rest, "BEGIN ") && strings.Contains(rest, "/00_header")
		case first == "menuentry" || first == "submenu":
			open = append(open, newGrubEntry(line, first == "submenu"))
		case first == "function":
			open = append(open, nil)
		case line == "}":
			closeOne()
		case strings.HasPrefix(line, "set default=") || strings.HasPrefix(line, "default="):
			g.setDefault(line, header && len(open) == 0)
		case strings.HasPrefix(first, "linux") && len(open) > 0 && open[len(open)-1] != nil:
			open[len(open)-1].starts(line)
		}
	}
}

// setDefault takes a line that sets the default. In the header the last one that
// is not about the next boot is GRUB_DEFAULT.
func (g *grubState) setDefault(line string, header bool) {
	_, value, _ := strings.Cut(line, "=")
	switch value = strings.Trim(value, `"'`); {
	case !header:
		g.stray = line
	case value != "${next_entry}":
		g.fixed = value
	}
}

func newGrubEntry(line string, submenu bool) *grubEntry {
	e := &grubEntry{submenu: submenu}
	words, err := SplitWords(line)
	if err != nil || len(words) < 2 {
		return e
	}
	e.title, e.id = words[1], words[1]
	for i, w := range words {
		if (w == "$menuentry_id_option" || w == "--id") && i+1 < len(words) {
			e.id = words[i+1]
		}
	}
	return e
}

var grubLinux = regexp.MustCompile(`/vmlinu[xz]-(\S+)`)

func (e *grubEntry) starts(line string) {
	if m := grubLinux.FindStringSubmatch(line); m != nil {
		e.release, e.line = strings.TrimSuffix(m[1], ".efi.signed"), line
	}
}

// find is the entry that GRUB would take for a default, and false where it would
// be none that boots a Linux. By grub-core/normal/menu.c: each menu takes the part
// before a single >, which is a number, a title or an id; what nothing matches is
// the first entry.
func (g *grubState) find(path string) (grubEntry, bool) {
	menu := g.menu
	for len(menu) > 0 {
		var part string
		part, path = cutGrubPath(path)
		e := menu[0]
		if n, err := strconv.Atoi(part); err == nil && n >= 0 && n < len(menu) {
			e = menu[n]
		} else if i := slices.IndexFunc(menu, func(e grubEntry) bool { return e.title == part || e.id == part }); i >= 0 {
			e = menu[i]
		}
		if !e.submenu {
			return e, e.release != ""
		}
		menu = e.menu
	}
	return grubEntry{}, false
}

// cutGrubPath takes the first part off a path, in which >> is a > of a name.
func cutGrubPath(path string) (part, rest string) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '>' {
			if i+1 >= len(path) || path[i+1] != '>' {
				return b.String(), path[i+1:]
			}
			i++
		}
		b.WriteByte(path[i])
	}
	return b.String(), ""
}

// entries gives every entry of Debian's 10_linux that boots a Linux as usual, with
// the path that leads to it: neither the first one, which is whichever is the
// newest, nor one for recovery.
func (g *grubState) entries(each func(path string, e grubEntry)) {
	var walk func(menu []grubEntry, above string)
	walk = func(menu []grubEntry, above string) {
		for _, e := range menu {
			path := above + strings.ReplaceAll(e.id, ">", ">>")
			switch {
			case e.submenu:
				walk(e.menu, path+">")
			case e.release != "" && strings.HasPrefix(e.id, "gnulinux-"+e.release+"-advanced-"):
				each(path, e)
			}
		}
	}
	walk(g.menu, "")
}

// entry is the one of a release.
func (g *grubState) entry(release string) (found grubEntry, there bool) {
	g.entries(func(_ string, e grubEntry) {
		if e.release == release {
			found, there = e, true
		}
	})
	return found, there
}

// path is how GRUB is told to boot a release: the ids of its entry, joined. Where
// grub.cfg has no such entry yet, it is the one that update-grub would write.
func (g *grubState) path(release string) (string, error) {
	var path, like string
	g.entries(func(p string, e grubEntry) {
		if e.release == release {
			path = p
		}
		like = strings.Replace(p, "gnulinux-"+e.release+"-advanced-", "gnulinux-"+release+"-advanced-", 1)
	})
	if path = cmp.Or(path, like); path == "" {
		return "", fmt.Errorf("/boot/grub/grub.cfg has no entry as Debian's 10_linux writes them, with the id gnulinux-RELEASE-advanced-..., so %s cannot be named in it; run update-grub and see what it says", release)
	}
	return path, nil
}

// usual is the release that boots when no one-shot boot is armed; empty where it
// cannot be told.
func (g *grubState) usual() string {
	value := g.fixed
	if value == grubSaved {
		value = g.env["saved_entry"]
	}
	if g.stray != "" || strings.Contains(value, "$") {
		return ""
	}
	e, _ := g.find(value)
	return e.release
}

// next is the release that boots next; empty where it cannot be told.
func (g *grubState) next() string {
	armed := g.env["next_entry"]
	if armed == "" || g.stray != "" {
		return g.usual()
	}
	e, _ := g.find(armed)
	return e.release
}

// ownRelease is what the user's own GRUB_DEFAULT boots, without runbook's file.
func (g *grubState) ownRelease() string {
	if g.own == "saved" {
		return ""
	}
	e, _ := g.find(g.own)
	return e.release
}

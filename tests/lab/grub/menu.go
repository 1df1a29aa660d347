// Package grub boots as GRUB 2 does that nobody sits at: it carries out the
// grub.cfg of a disk, with the environment block beside it, and says which
// kernel the menu's default comes to. What update-grub generates is understood
// in full; the parts of GRUB's language that it never uses are refused.
package grub

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Config is where a disk has its configuration.
const Config = "boot/grub/grub.cfg"

// Boot is what has been loaded.
type Boot struct {
	Title  string   // of the menu entry; a submenu's before it, with ">" between
	Linux  string   // path of the kernel on the disk, without a leading slash
	Initrd string   // path of the initial ramdisk; empty: none
	Args   []string // the kernel's command line
}

// entry is a line of the menu.
type entry struct {
	title, id string
	submenu   bool
	body      []statement
}

// known is what GRUB sets before it reads its configuration.
var known = map[string]string{
	"prefix": "/boot/grub", "root": "hd0", "config_directory": "/boot/grub", "config_file": "/" + Config, "grub_platform": "pc",
	"feature_menuentry_id": "y", "feature_default_font_path": "y", "feature_timeout_style": "y", "feature_all_video_module": "y",
}

// Choose carries out the disk's configuration and the entry that boots by
// itself. It changes the environment block as the configuration says: an entry
// that was to be booted once is forgotten.
func Choose(disk *os.Root) (Boot, error) {
	s := &script{root: disk, vars: map[string]string{}, functions: map[string][]statement{}}
	for name, value := range known {
		s.vars[name] = value
	}
	text, err := disk.ReadFile(Config)
	if err != nil {
		return Boot{}, err
	}
	list, err := parse(string(text))
	if err != nil {
		return Boot{}, fmt.Errorf("%s: %w", Config, err)
	}
	if _, err := s.run(list); err != nil {
		return Boot{}, fmt.Errorf("%s: %w", Config, err)
	}
	if err := s.autoboot(); err != nil {
		return Boot{}, err
	}
	return s.boot, nil
}

// autoboot carries out the default entry, and what its submenu comes to.
func (s *script) autoboot() error {
	var titles, ids []string
	for {
		if len(s.menu) == 0 {
			return errors.New("the menu is empty")
		}
		e, rest := pick(s.menu, s.vars["default"])
		titles, ids = append(titles, e.title), append(ids, strings.ReplaceAll(e.id, ">", ">>"))
		s.vars["chosen"], s.vars["default"] = strings.Join(ids, ">"), rest
		s.menu = nil
		if _, err := s.run(e.body); err != nil {
			return fmt.Errorf("%s: %w", e.title, err)
		}
		if !e.submenu {
			s.boot.Title = strings.Join(titles, ">")
			if s.boot.Linux == "" {
				return fmt.Errorf("%s: it loads no kernel", s.boot.Title)
			}
			return nil
		}
	}
}

// pick is the entry that a default names: by number, title or id, with what is
// meant for its submenu behind a ">". One that is not there means the first.
func pick(menu []entry, spec string) (e entry, rest string) {
	first, rest := cutPath(spec)
	if n, err := strconv.Atoi(first); err == nil && n >= 0 && n < len(menu) {
		return menu[n], rest
	}
	for _, e := range menu {
		if e.title == first || e.id == first {
			return e, rest
		}
	}
	return menu[0], rest
}

// cutPath cuts at the first ">". Two of them stand for the character.
func cutPath(spec string) (first, rest string) {
	for i := 0; i < len(spec); i++ {
		if spec[i] != '>' {
			continue
		}
		if !strings.HasPrefix(spec[i:], ">>") {
			return strings.ReplaceAll(spec[:i], ">>", ">"), spec[i+1:]
		}
		i++
	}
	return strings.ReplaceAll(spec, ">>", ">"), ""
}

// offer adds an entry to the menu.
func (s *script) offer(kind string, args []string, body []statement) error {
	e := entry{submenu: kind == "submenu", body: body}
	titled := false
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--id" && i+1 < len(args):
			i++
			e.id = args[i]
		case args[i] == "--unrestricted":
		case strings.HasPrefix(args[i], "--") && i+1 < len(args):
			i++ // --class, --users, --hotkey: for people
		case !titled:
			e.title, titled = args[i], true
		}
	}
	if !titled {
		return fmt.Errorf("%s: a title is wanted", kind)
	}
	if e.id == "" {
		e.id = e.title
	}
	s.menu = append(s.menu, e)
	return nil
}

// load takes a kernel or a ramdisk, which must be there.
func (s *script) load(kind string, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s: a file is wanted", kind)
	}
	path := s.file(args[0])
	if _, err := s.root.Stat(path); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	if strings.HasPrefix(kind, "initrd") {
		s.boot.Initrd = path
		return nil
	}
	s.boot.Linux, s.boot.Args = path, args[1:]
	return nil
}

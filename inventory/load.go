package inventory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"runbook/runner/source"
)

// Load reads inventories: files in Ansible's INI or YAML format, executable
// scripts, directories of these, and lists of names such as "web1,web2,". Later
// ones add to earlier ones. The context bounds what scripts may take.
func Load(ctx context.Context, sources []string) (*Inventory, source.Errors) {
	l := loader{inv: empty()}
	for _, name := range sources {
		if _, err := os.Lstat(name); err != nil && strings.Contains(name, ",") {
			l.list(name)
			continue
		}
		l.path(ctx, name)
		l.besides(name)
	}
	l.errs = append(l.errs, l.inv.settle()...)
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	for _, dir := range l.dirs {
		f, errs := l.inv.readFiles(dir)
		l.errs = append(l.errs, errs...)
		l.inv.beside = append(l.inv.beside, f)
	}
	return l.inv, l.errs
}

// loader fills one inventory from many sources.
type loader struct {
	inv  *Inventory
	dirs []string // that may hold group_vars and host_vars
	errs source.Errors
}

func (l *loader) fail(format string, args ...any) {
	l.errs = append(l.errs, &source.Error{Msg: fmt.Sprintf(format, args...)})
}

// list reads names that stand on the command line itself.
func (l *loader) list(names string) {
	f := &source.File{Name: "-i", Data: []byte(names)}
	col := 1
	for part := range strings.SplitSeq(names, ",") {
		if name := strings.TrimSpace(part); name != "" {
			l.hosts(f.At(1, col), name, ungrouped)
		}
		col += len([]rune(part)) + 1
	}
}

// hosts adds what one written name stands for, and gives the names.
func (l *loader) hosts(pos source.Pos, written, group string) []string {
	names, err := expand(written)
	if err != nil {
		l.errs = append(l.errs, pos.Errorf(len([]rune(written)), "%s", err))
		return nil
	}
	for _, name := range names {
		if !isName(name) {
			l.errs = append(l.errs, pos.Errorf(len([]rune(written)), "%q cannot be the name of a host", name))
			return nil
		}
		l.inv.join(name, group)
	}
	return names
}

var (
	hostName  = regexp.MustCompile(`^[^\s,\[\]{}!&~*?'"\\/;|$()<>` + "`" + `\x00-\x1f-][^\s,\[\]{}!&*?'"\\/;|$()<>` + "`" + `\x00-\x1f]*$`)
	groupName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

// isName reports whether a host can have this name: not what a pattern, a path
// or a shell would read as something else.
func isName(name string) bool { return hostName.MatchString(name) }

// besides remembers where to look for group_vars and host_vars.
func (l *loader) besides(path string) {
	dir := filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		dir = path
	}
	if !slices.Contains(l.dirs, dir) {
		l.dirs = append(l.dirs, dir)
	}
}

func (l *loader) path(ctx context.Context, path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		l.fail("inventory: %s; for a single host write %q", err, path+",")
	case info.IsDir():
		l.directory(ctx, path)
	case info.Mode()&0o111 != 0 && isProgram(path):
		l.script(ctx, path)
	default:
		l.file(path)
	}
}

// isProgram tells a script or binary from a file that merely has the executable
// bit, as all files have on some file systems.
func isProgram(path string) bool {
	in, err := os.Open(path)
	if err != nil {
		return false
	}
	defer in.Close()
	magic := make([]byte, 4)
	n, _ := in.Read(magic) // a file that cannot be read is reported when it is read whole
	return strings.HasPrefix(string(magic[:n]), "#!") || string(magic[:n]) == "\x7fELF"
}

func (l *loader) file(path string) {
	f, err := l.inv.read.Read(path)
	if err != nil {
		l.fail("inventory: %s", err)
		return
	}
	switch filepath.Ext(path) {
	case ".yml", ".yaml", ".json":
		l.yaml(f)
	default:
		l.ini(f)
	}
}

// notInventories are the endings of files that people leave in an inventory
// directory and that are something else.
var notInventories = []string{".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"}

// directory reads every inventory in a directory, in the order of their names.
func (l *loader) directory(ctx context.Context, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		l.fail("inventory: %s", err)
		return
	}
	for _, entry := range entries {
		name := entry.Name()
		ignored := strings.HasPrefix(name, ".") || slices.Contains([]string{"group_vars", "host_vars", "vars_plugins"}, name) ||
			slices.ContainsFunc(notInventories, func(ending string) bool { return strings.HasSuffix(name, ending) })
		if !ignored {
			l.path(ctx, filepath.Join(dir, name))
		}
	}
}

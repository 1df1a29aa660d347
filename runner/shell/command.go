package shell

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"runbook/modules"
)

// kind is the name of the file that notes a command's process.
type kind string

const (
	query kind = "query" // ended when the connection is lost
	step  kind = "step"  // goes on when the connection is lost
	kept  kind = "group" // goes on, and the target keeps what it came to
)

// request is a command on its way to the shell.
type request struct {
	modules.Run
	label  string // for errors, where the command is not the user's
	kind   kind
	keep   int    // bytes of each stream to keep
	id     string // of a kept command
	number int
	mark   string
}

// maxInline is how much standard input travels in the line of the command
// itself. More is worth two round trips.
const maxInline = 32 << 10

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// check says what no shell could run.
func (r request) check() error {
	switch {
	case len(r.Argv) == 0 && r.Shell == "":
		return errors.New("a command without words")
	case len(r.Argv) > 0 && r.Shell != "":
		return fmt.Errorf("a command with both words and shell text: %q", r.Argv[0])
	}
	texts := append([]string{r.Shell, r.Exe, r.Dir}, r.Argv...)
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		if !variableName.MatchString(name) {
			return fmt.Errorf("environment: %q is not the name of a variable", name)
		}
		texts = append(texts, r.Env[name])
	}
	for _, text := range texts {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("a command cannot hold a NUL byte: %q", clip(text))
		}
	}
	return nil
}

// name is the command for errors.
func (r request) name() string {
	if r.label != "" {
		return r.label
	}
	return clip(r.Run.String())
}

func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// base is what the names of the command's files on the target begin with, in the
// shell's language.
func (r request) base() string {
	if r.kind == kept {
		return `"$rb_runs/` + r.id + `."`
	}
	return fmt.Sprintf(`"$rb_dir/%d."`, r.number)
}

// note is the file where the shell notes the process.
func (r request) note() string { return r.base() + string(r.kind) }

// line is the request in the shell's language. Its last words reap the wrappers
// that have ended.
func (r request) line(inline string, uploaded bool) string {
	stdin := "/dev/null"
	if uploaded {
		stdin = stdinFile(r.number)
	}
	const reap = " & jobs >/dev/null 2>&1\n"
	base := r.base()
	if r.kind == kept {
		free := ""
		if uploaded { // it is open: nobody needs its name any more
			free = "rm -f " + stdin + "; "
		}
		return fmt.Sprintf("( rb_mine= rb_code=lost rb_at=$rb_dir/none; trap 'rb_done $? %s %d' 0; { %srb_claim %s %d && { %s } >%sout 2>%serr; } <%s )%s",
			r.mark, r.keep+1, free, r.id, r.number, r.body(inline), base, base, stdin, reap)
	}
	lock := ""
	if r.kind == query { // which changes nothing
		lock = "exec 7>&-; "
	}
	return fmt.Sprintf("( %strap 'rb_end $? %s %s %d' 0; { %s } <%s >%sout 2>%serr )%s",
		lock, base, r.mark, r.keep+1, r.body(inline), stdin, base, base, reap)
}

// body starts the command and waits for it. Fd 3 carries standard input past the
// shell, which gives a background command /dev/null; fds 7, 8 and 9 are the
// shell's own.
func (r request) body(inline string) string {
	var b strings.Builder
	if inline != "" {
		b.WriteString("{ exec 7>&-; printf '" + inline + "'; } | ")
	}
	b.WriteString("{ ")
	if r.Dir != "" {
		b.WriteString("cd " + modules.Quote(plainPath(r.Dir)) + " && { ")
	}
	// What a supervisor ignores is not for the command. Bash would run the trap for
	// the end where a variable cannot be set.
	b.WriteString("( trap - 0 1 15; ")
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		b.WriteString(name + "=" + modules.Quote(r.Env[name]) + " ")
	}
	b.WriteString("exec $rb_group")
	for _, word := range r.words() {
		b.WriteString(" " + modules.Quote(word))
	}
	b.WriteString(" ) <&3 3<&- 7>&- 8<&- 9>&- & rb_wait " + r.note() + "; }")
	if r.Dir != "" {
		b.WriteString("; }")
	}
	b.WriteString(" 3<&0;")
	return b.String()
}

// stdinFile is where an upload puts the standard input of a command.
func stdinFile(number int) string { return fmt.Sprintf(`"$rb_dir/%d.in"`, number) }

func (r request) words() []string {
	if r.Shell == "" {
		return r.Argv
	}
	exe := r.Exe
	if exe == "" {
		exe = "/bin/sh"
	}
	return []string{exe, "-c", r.Shell}
}

// plainPath keeps cd from searching CDPATH and from reading options.
func plainPath(dir string) string {
	if strings.HasPrefix(dir, "/") {
		return dir
	}
	return "./" + dir
}

// printfFormat writes bytes as a format for printf, between single quotes, in
// printable ASCII whatever the locale. It gives up beyond limit.
func printfFormat(data string, limit int) (string, bool) {
	var b strings.Builder
	for i := range len(data) {
		switch c := data[i]; {
		case c == '%':
			b.WriteString("%%")
		case c < ' ' || c > '~' || c == '\'' || c == '\\' || c == '-' && i == 0:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
		if b.Len() > limit {
			return "", false
		}
	}
	return b.String(), true
}

package shell

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"runbook/modules"
)

// kind is the letter of the file that notes a command's process.
type kind string

const (
	query kind = "q" // ended when the connection is lost
	step  kind = "s" // goes on when the connection is lost
)

// request is a command on its way to the shell.
type request struct {
	modules.Run
	label  string // for errors, where the command is not the user's
	kind   kind
	keep   int // bytes of each stream to keep
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

// file is where the shell notes the process.
func (r request) file() string { return string(r.kind) + strconv.Itoa(r.number) }

// line is the request in the shell's language. Fd 3 carries standard input
// past the shell, which gives a background command /dev/null; fds 8 and 9 are
// the shell's own. The last words reap the wrappers that have ended.
func (r request) line(inline string, uploaded bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "( trap 'rb_end %d %s $? %d' 0; { ", r.number, r.mark, r.keep+1)
	if inline != "" {
		b.WriteString("printf '" + inline + "' | ")
	}
	b.WriteString("{ ")
	if r.Dir != "" {
		b.WriteString("cd " + modules.Quote(plainPath(r.Dir)) + " && { ")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		b.WriteString(name + "=" + modules.Quote(r.Env[name]) + " ")
	}
	b.WriteString("$rb_group")
	for _, word := range r.words() {
		b.WriteString(" " + modules.Quote(word))
	}
	b.WriteString(" <&3 3<&- 8<&- 9>&- & rb_wait " + r.file() + "; }")
	if r.Dir != "" {
		b.WriteString("; }")
	}
	stdin := "/dev/null"
	if uploaded {
		stdin = fmt.Sprintf(`"$rb_dir/i%d"`, r.number)
	}
	fmt.Fprintf(&b, ` 3<&0; } <%s >"$rb_dir/o%d" 2>"$rb_dir/e%d" ) & jobs >/dev/null 2>&1`+"\n",
		stdin, r.number, r.number)
	return b.String()
}

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

package grub

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// script is a configuration that is being carried out.
type script struct {
	root      *os.Root // the disk
	vars      map[string]string
	functions map[string][]statement
	menu      []entry // what the configuration has offered so far
	boot      Boot    // what has been loaded so far
	depth     int     // of functions and files in each other
}

// deepest keeps a function that calls itself from going on for ever.
const deepest = 50

// run carries out statements. Like a shell it goes on when a command fails, and
// tells of the last one whether it did.
func (s *script) run(list []statement) (ok bool, err error) {
	ok = true
	for _, st := range list {
		switch {
		case st.branches != nil:
			ok, err = s.branch(st.branches)
		case st.function != "":
			s.functions[st.function], ok = st.block, true
		default:
			ok, err = s.command(st)
			if err != nil {
				err = fmt.Errorf("line %d: %w", st.line, err)
			}
		}
		if err != nil {
			return false, err
		}
	}
	return ok, nil
}

func (s *script) branch(branches []branch) (bool, error) {
	for _, b := range branches {
		is, err := s.run(b.condition)
		if err != nil {
			return false, err
		}
		if is {
			return s.run(b.body)
		}
	}
	return true, nil
}

// command carries out one command. One that only draws, or that finds devices,
// does nothing here and succeeds.
func (s *script) command(st statement) (bool, error) {
	args := s.expand(st.words)
	if len(args) == 0 {
		return true, nil
	}
	name, args := args[0], args[1:]
	if variable, value, ok := assignment(name); ok {
		s.vars[variable] = value
		return true, nil
	}
	if body, ok := s.functions[name]; ok {
		return s.call(body, args)
	}
	switch name {
	case "false":
		return false, nil
	case "[":
		if len(args) == 0 || args[len(args)-1] != "]" {
			return false, errors.New("[ has no ]")
		}
		return s.test(args[:len(args)-1])
	case "test":
		return s.test(args)
	case "set":
		for _, a := range args {
			if variable, value, ok := assignment(a); ok {
				s.vars[variable] = value
			}
		}
	case "unset":
		for _, a := range args {
			delete(s.vars, a)
		}
	case "load_env":
		return s.loadEnv(), nil
	case "save_env":
		return s.saveEnv(args)
	case "source", ".", "configfile":
		return s.source(args)
	case "menuentry", "submenu":
		return true, s.offer(name, args, st.block)
	case "linux", "linux16", "linuxefi", "initrd", "initrd16", "initrdefi":
		return true, s.load(name, args)
	}
	return true, nil
}

func assignment(arg string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(arg, "=")
	return name, value, ok && name != "" && !slices.ContainsFunc([]byte(name), func(c byte) bool { return !inName(c) })
}

func (s *script) call(body []statement, args []string) (bool, error) {
	if s.depth++; s.depth > deepest {
		return false, errors.New("functions or files call each other without end")
	}
	defer func() { s.depth-- }()
	for i, a := range args {
		s.vars[fmt.Sprint(i+1)] = a
	}
	return s.run(body)
}

// source carries out another file of the disk.
func (s *script) source(args []string) (bool, error) {
	if len(args) != 1 {
		return false, errors.New("source: one file is wanted")
	}
	text, err := s.root.ReadFile(s.file(args[0]))
	if err != nil {
		return false, nil
	}
	list, err := parse(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", args[0], err)
	}
	return s.call(list, nil)
}

// expand puts in what variables come to.
func (s *script) expand(words []word) []string {
	var out []string
	for _, w := range words {
		out = append(out, s.expandWord(w)...)
	}
	return out
}

// expandWord is none, one or more words: an unquoted variable is cut at blanks.
func (s *script) expandWord(w word) []string {
	var out []string
	var current strings.Builder
	begun := false
	for _, seg := range w {
		text := seg.text
		if seg.variable {
			text = s.vars[seg.text]
		}
		if !seg.variable || seg.quoted {
			current.WriteString(text)
			begun = true
			continue
		}
		for i, field := range strings.Fields(text) {
			if i > 0 {
				out = append(out, current.String())
				current.Reset()
			}
			current.WriteString(field)
			begun = true
		}
	}
	if begun {
		out = append(out, current.String())
	}
	return out
}

// file is where a path of GRUB's lies on the disk. All of GRUB's devices are
// that one disk.
func (s *script) file(path string) string {
	if strings.HasPrefix(path, "(") {
		_, path, _ = strings.Cut(path, ")")
	}
	return strings.TrimLeft(path, "/")
}

func (s *script) blockFile() string { return s.file(s.vars["prefix"] + "/grubenv") }

func (s *script) loadEnv() bool {
	data, err := s.root.ReadFile(s.blockFile())
	if err != nil {
		return false
	}
	vars, err := ParseBlock(data)
	if err != nil {
		return false // GRUB says so on the screen, and goes on
	}
	for name, value := range vars {
		s.vars[name] = value
	}
	return true
}

// saveEnv writes variables into the block. It cannot make one.
func (s *script) saveEnv(names []string) (bool, error) {
	data, err := s.root.ReadFile(s.blockFile())
	if err != nil {
		return false, nil
	}
	vars, err := ParseBlock(data)
	if err != nil {
		return false, nil
	}
	for _, name := range names {
		if value, ok := s.vars[name]; ok {
			vars[name] = value
		} else {
			delete(vars, name)
		}
	}
	if data, err = FormatBlock(vars); err != nil {
		return false, nil
	}
	f, err := s.root.OpenFile(s.blockFile(), os.O_WRONLY, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, err = f.WriteAt(data, 0); err != nil {
		return false, err
	}
	return true, f.Close()
}

package grub

import (
	"fmt"
	"io/fs"
	"slices"
)

// test decides `[ ... ]`. A lone word is true when it is not empty; -o binds
// less than -a, and that less than !.
func (s *script) test(args []string) (bool, error) {
	if i := slices.Index(args, "-o"); i > 0 {
		left, err := s.test(args[:i])
		if err != nil || left {
			return left, err
		}
		return s.test(args[i+1:])
	}
	if i := slices.Index(args, "-a"); i > 0 {
		left, err := s.test(args[:i])
		if err != nil || !left {
			return left, err
		}
		return s.test(args[i+1:])
	}
	switch {
	case len(args) > 1 && args[0] == "!":
		is, err := s.test(args[1:])
		return !is, err
	case len(args) == 0:
		return false, nil
	case len(args) == 1:
		return args[0] != "", nil
	case len(args) == 2:
		return s.unary(args[0], args[1])
	case len(args) == 3 && (args[1] == "=" || args[1] == "=="):
		return args[0] == args[2], nil
	case len(args) == 3 && args[1] == "!=":
		return args[0] != args[2], nil
	}
	return false, fmt.Errorf("the test %q is not known here", args)
}

func (s *script) unary(operator, arg string) (bool, error) {
	switch operator {
	case "-n":
		return arg != "", nil
	case "-z":
		return arg == "", nil
	}
	info, err := s.root.Stat(s.file(arg))
	switch operator {
	case "-e":
		return err == nil, nil
	case "-f":
		return err == nil && info.Mode().IsRegular(), nil
	case "-d":
		return err == nil && info.IsDir(), nil
	case "-s":
		return err == nil && info.Mode()&fs.ModeDir == 0 && info.Size() > 0, nil
	}
	return false, fmt.Errorf("the test %q is not known here", operator)
}

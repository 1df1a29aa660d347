package shell

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"runbook/modules"
)

//go:embed files_read.sh
var readScript string

//go:embed files_write.sh
var writeScript string

//go:embed files_remove.sh
var removeScript string

// script is a command that gives the words to the text as $1, $2 and so on.
func script(text string, words ...string) modules.Run {
	return modules.Run{Argv: append([]string{"/bin/sh", "-c", text, "sh"}, words...)}
}

// ReadFile reads a file with its mode and owner in one round trip. A missing
// file is an answer; of a symbolic link that points to nothing only Link is set.
// Data ends after 16 MiB; Size tells.
func (s *Shell) ReadFile(ctx context.Context, name string) (modules.File, error) {
	if err := absolute(name); err != nil {
		return modules.File{}, err
	}
	const head = 64 << 10 // the link and the line of stat
	out, err := s.run(ctx, request{
		Run:   script(readScript, name, strconv.Itoa(maxOutput)),
		label: fmt.Sprintf("read %q", name),
		kind:  query,
		keep:  maxOutput + head,
	})
	if err != nil {
		return modules.File{}, err
	}
	return parseFile(name, out)
}

func parseFile(name string, out modules.Output) (modules.File, error) {
	link, rest, found := strings.Cut(out.Stdout, "\x00")
	line, data, whole := strings.Cut(rest, "\n")
	f := modules.File{Link: link}
	switch {
	case out.Code != 0 && rest == "" &&
		(strings.Contains(out.Stderr, "No such file or directory") || strings.Contains(out.Stderr, "Not a directory")):
		return f, nil
	case out.Code != 0:
		return modules.File{}, fmt.Errorf("read %q: %s", name, oneLine(out.Stderr))
	}
	fields := strings.Fields(line)
	if !found || !whole || len(fields) != 7 {
		return modules.File{}, fmt.Errorf("read %q: stat answered %q", name, clip(line))
	}
	numbers := make([]int64, 5)
	for i := range numbers {
		base := 10
		if i == 0 {
			base = 16
		}
		n, err := strconv.ParseInt(fields[i], base, 64)
		if err != nil {
			return modules.File{}, fmt.Errorf("read %q: stat answered %q", name, clip(line))
		}
		numbers[i] = n
	}
	f.Exists = true
	f.Mode = fileMode(uint32(numbers[0]))
	f.Size = numbers[1]
	f.ModTime = time.Unix(numbers[2], 0)
	f.UID, f.GID = int(numbers[3]), int(numbers[4])
	f.Owner, f.Group = nameOr(fields[5], fields[3]), nameOr(fields[6], fields[4])
	if f.Mode.IsRegular() {
		f.Data = []byte(data)
	}
	return f, nil
}

// nameOr is the number where stat knows no name.
func nameOr(name, number string) string {
	if name == "UNKNOWN" {
		return number
	}
	return name
}

// fileMode turns the mode of stat(2) into that of package fs.
func fileMode(raw uint32) fs.FileMode {
	mode := fs.FileMode(raw & 0o777)
	switch raw & 0o170000 {
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o140000:
		mode |= fs.ModeSocket
	}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if raw&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

// Write puts a whole file in place: a file beside it gets the content, the owner
// and the mode, and then its name. A symbolic link at the path is replaced, not
// followed. Owner and mode of an old file are kept where none are given.
func (s *Shell) Write(ctx context.Context, w modules.Write) error { return s.place(ctx, w, "") }

// WriteFrom is Write with the content already on the target, in the file temp in
// the directory of the path. What arrived is compared
// with w.Data. The file temp is gone afterwards.
func (s *Shell) WriteFrom(ctx context.Context, w modules.Write, temp string) error {
	if path.Dir(temp) != path.Dir(w.Path) {
		return fmt.Errorf("write %q: %q is not in the same directory", w.Path, temp)
	}
	return s.place(ctx, w, temp)
}

func (s *Shell) place(ctx context.Context, w modules.Write, temp string) error {
	if err := absolute(w.Path); err != nil {
		return err
	}
	mode, owner, backup := "", w.Owner, ""
	if w.Mode != 0 {
		mode = strconv.FormatUint(uint64(permissions(w.Mode)), 8)
	}
	if w.Group != "" {
		owner += ":" + w.Group
	}
	if w.Backup {
		backup = "yes"
	}
	sum, stdin := "", string(w.Data)
	if temp != "" {
		sum, stdin = fmt.Sprintf("%x", sha256.Sum256(w.Data)), ""
	}
	cmd := script(writeScript, w.Path, strconv.Itoa(len(w.Data)), mode, owner, backup, temp, sum)
	cmd.Stdin = stdin
	return s.must(ctx, fmt.Sprintf("write %q", w.Path), cmd)
}

// permissions is the mode as chmod takes it, with set-ID and sticky bits whether
// they are given as package fs has them or as chmod does.
func permissions(mode fs.FileMode) uint32 {
	bits := uint32(mode & 0o7777)
	if mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// Remove deletes a path. One that is not there is as asked; a directory that is
// not empty goes only with Recursive.
func (s *Shell) Remove(ctx context.Context, r modules.Remove) error {
	if err := absolute(r.Path); err != nil {
		return err
	}
	if path.Clean(r.Path) == "/" {
		return fmt.Errorf("remove %q: the root directory stays", r.Path)
	}
	recursive := ""
	if r.Recursive {
		recursive = "yes"
	}
	return s.must(ctx, fmt.Sprintf("remove %q", r.Path), script(removeScript, r.Path, recursive))
}

// must runs a step of ours that has to succeed.
func (s *Shell) must(ctx context.Context, what string, cmd modules.Run) error {
	out, err := s.run(ctx, request{Run: cmd, label: what, kind: step, keep: maxOutput})
	if err != nil {
		return err
	}
	if out.Code != 0 {
		why := oneLine(out.Stderr)
		if why == "" {
			why = "exit code " + strconv.Itoa(out.Code)
		}
		return fmt.Errorf("%s: %s", what, why)
	}
	return nil
}

func absolute(name string) error {
	if !path.IsAbs(name) {
		return fmt.Errorf("path %q: an absolute path is wanted", name)
	}
	if strings.ContainsRune(name, 0) {
		return fmt.Errorf("path %q: a path cannot hold a NUL byte", name)
	}
	return nil
}

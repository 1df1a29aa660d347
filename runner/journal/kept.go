package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"runbook/runner"
)

const (
	outputCap  = 1 << 20  // bytes kept of what steps printed, of each stream
	inlineCap  = 64 << 10 // bytes of an outcome's values that may stand in its line
	nameCap    = 100      // bytes of a name in a path
	namesakes  = 1000     // files of the same work: it came to that many outcomes
	keptFolder = "out"
)

// beside is a file that belongs to a record, kept beside the journal.
type beside struct {
	File   string `json:"file"` // relative to the run's folder
	Size   int    `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// outcomeLine is what the line of an outcome says.
type outcomeLine struct {
	runner.Outcome
	Out   *beside `json:"out,omitempty"`   // what the steps printed
	Err   *beside `json:"err,omitempty"`   // likewise
	Large *beside `json:"large,omitempty"` // value, facts and sealed, where they are large
}

// values is what a large file holds.
type values struct {
	Value  json.RawMessage `json:"value,omitempty"`
	Facts  json.RawMessage `json:"facts,omitempty"`
	Sealed string          `json:"sealed,omitempty"`
}

// setBeside writes what does not go into the outcome's line to files. What the
// steps printed is for people and not made durable file by file; the line has its
// digest. Values are needed again, and durable before the line is written.
func setBeside(dir folder, o runner.Outcome) (outcomeLine, error) {
	line := outcomeLine{Outcome: o}
	large := len(o.Value)+len(o.Facts)+len(o.Sealed) > inlineCap
	if o.Stdout == "" && o.Stderr == "" && !large {
		return line, nil
	}
	host, work := placeOf(o.Key)
	if err := errors.Join(dir.mkdir(keptFolder), dir.mkdir(host)); err != nil {
		return line, err
	}
	var err error
	if o.Stdout != "" {
		if line.Out, err = keep(dir, work, ".out", capped(o.Stdout), false); err != nil {
			return line, err
		}
	}
	if o.Stderr != "" {
		if line.Err, err = keep(dir, work, ".err", capped(o.Stderr), false); err != nil {
			return line, err
		}
	}
	if !large {
		return line, nil
	}
	data, err := marshal(values{o.Value, o.Facts, o.Sealed})
	if err != nil {
		return line, err
	}
	line.Value, line.Facts, line.Sealed = nil, nil, ""
	if line.Large, err = keep(dir, work, ".json", data, true); err != nil {
		return line, err
	}
	return line, errors.Join(dir.sync(host), dir.sync(keptFolder), dir.sync("."))
}

// keep writes a new file. Work that came to an outcome before, in an earlier
// life of the run, has its file already: this one gets a number.
func keep(dir folder, work, ext string, data []byte, durable bool) (*beside, error) {
	name := work + ext
	f, err := dir.create(name)
	for n := 2; errors.Is(err, fs.ErrExist) && n <= namesakes; n++ {
		name = work + "-" + strconv.Itoa(n) + ext
		f, err = dir.create(name)
	}
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return &beside{File: name, Size: len(data), SHA256: hex.EncodeToString(sum[:])}, nil
}

// unreadable is what kept a file from being read. It says nothing of what is in it.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// bring reads a file that keep wrote.
func bring(dir folder, b *beside) ([]byte, error) {
	if !strings.HasPrefix(b.File, keptFolder+"/") || path.Clean(b.File) != b.File {
		return nil, fmt.Errorf("%q is not a file below %s", b.File, keptFolder)
	}
	data, err := dir.read(b.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable{err}
	}
	if err != nil {
		return nil, err
	}
	if len(data) != b.Size {
		return nil, fmt.Errorf("%s has %d bytes, %d were written to it", b.File, len(data), b.Size)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != b.SHA256 {
		return nil, fmt.Errorf("%s does not hold what was written to it: its SHA-256 is %x, wanted %s", b.File, sum, b.SHA256)
	}
	return data, nil
}

// bringValues puts an outcome together again.
func bringValues(dir folder, o *runner.Outcome, large *beside) error {
	data, err := bring(dir, large)
	if err != nil {
		return err
	}
	var v values
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("%s: %w", large.File, err)
	}
	o.Value, o.Facts, o.Sealed = v.Value, v.Facts, v.Sealed
	return nil
}

// placeOf is the folder for a host's files, and the beginning of the names of
// those of one piece of work: out/HOST/PLAY.TASK.VISIT.ITEM.
func placeOf(k runner.Key) (host, work string) {
	host = keptFolder + "/" + safe(k.Host)
	task := safe(strings.ReplaceAll(k.Task, "/", "-"))
	return host, fmt.Sprintf("%s/%d.%s.%d.%d", host, k.Play, task, k.Visit, k.Item)
}

// safe makes a file name of any text: two texts have two names, and none is
// hidden, special or too long.
func safe(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if len(name) > nameCap {
		sum := sha256.Sum256([]byte(text))
		name = name[:nameCap-17] + "~" + hex.EncodeToString(sum[:8])
	}
	if name == "" {
		return "%"
	}
	return name
}

// capped is the head and the tail of what was printed, where all of it is too much.
func capped(text string) []byte {
	if len(text) <= outputCap {
		return []byte(text)
	}
	const room = 64 // for the line between
	half := (outputCap - room) / 2
	head, tail := half, len(text)-half
	for head > 0 && !utf8.RuneStart(text[head]) && half-head < utf8.UTFMax {
		head--
	}
	for tail < len(text) && !utf8.RuneStart(text[tail]) && tail-(len(text)-half) < utf8.UTFMax {
		tail++
	}
	var b bytes.Buffer
	b.WriteString(text[:head])
	fmt.Fprintf(&b, "\n[... %d bytes are left out ...]\n", tail-head)
	b.WriteString(text[tail:])
	return b.Bytes()
}

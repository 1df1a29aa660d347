package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"runbook/runner/durable"
)

// family is how the plans of all formats begin; a number follows.
const family = "runbook plan "

// longest is the size in bytes above which a file is not read: no plan of a
// thousand hosts comes near it.
const longest = 1 << 30

// Sign gives the plan its digest and its signature. The digest is what people
// compare: it stands for everything in the plan, when and by whom it was made
// too. Who signs a plan that was read must have verified it before.
func (p *Plan) Sign(key Key) error {
	_, err := p.sign(key)
	return err
}

// sign gives the signed plan in one line.
func (p *Plan) sign(key Key) (string, error) {
	p.Digest, p.MAC = "", ""
	text, err := encode(p)
	if err != nil {
		return "", err
	}
	text = strings.TrimSuffix(text, ending(p))
	p.Digest = digestOf(text)
	p.MAC = key.MAC([]byte(p.Digest))
	return text + ending(p), nil
}

// Write signs the plan and puts it into a file that only its owner can read,
// whole or not at all. What stands at the path already is replaced only where it
// is a plan.
func Write(path string, p *Plan, key Key) (digest string, err error) {
	if err := Free(path); err != nil {
		return "", err
	}
	text, err := p.sign(key)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		return "", err
	}
	b.WriteByte('\n')
	if err := durable.Replace(path, b.Bytes()); err != nil {
		return "", fmt.Errorf("%s was not written: %w", path, err)
	}
	return p.Digest, nil
}

// encode is the plan as JSON in one line, without a space between the values. It
// is the same for a plan that was read as for the one that was written: bytes
// that are no text have two forms in JSON, one before and one after.
func encode(p *Plan) (string, error) {
	text, err := marshal(p)
	if err != nil || !strings.Contains(text, `\ufffd`) {
		return text, err
	}
	var read Plan
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		return "", err
	}
	return marshal(&read)
}

func marshal(p *Plan) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(p)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// ending is what a plan in one line ends with: the digest of all before it, and
// the signature.
func ending(p *Plan) string {
	digest, _ := json.Marshal(p.Digest) // a text can always be written
	mac, _ := json.Marshal(p.MAC)
	return `,"digest":` + string(digest) + `,"mac":` + string(mac) + "}"
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Free says whether a plan can be written to a path: nothing is there, or a plan.
func Free(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if info, err = os.Stat(filepath.Dir(path)); err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory", filepath.Dir(path))
		}
		return err
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is there already, and is not a regular file: choose another name for the plan", path)
	case info.Size() > 0 && !Is(path):
		return fmt.Errorf("%s is there already, and is not a plan: remove it, or choose another name for the plan", path)
	}
	return nil
}

// Is reports whether a file says of itself that it is a plan, of whatever
// format, in whatever state.
func Is(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return strings.HasPrefix(formatOf(json.NewDecoder(io.LimitReader(f, longest))), family)
}

// formatOf is what an object says of its format; empty where it says nothing, or
// is no object.
func formatOf(d *json.Decoder) string {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return ""
		}
		if name == "format" {
			var format string
			_ = d.Decode(&format) // what is no text is no format
			return format
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return ""
		}
	}
	return ""
}

// Read reads a plan file and finds out whether it is as it was written. Who
// signed it is another question: Plan.Verify.
func Read(path string) (*Plan, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > longest {
		return nil, fmt.Errorf("%s is no plan: it is not a regular file of at most %d bytes", path, longest)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func decode(text []byte) (*Plan, error) {
	if err := understood(formatOf(json.NewDecoder(bytes.NewReader(text)))); err != nil {
		return nil, err
	}
	var line bytes.Buffer // how the lines are broken does not matter
	var p Plan
	err := json.Compact(&line, text)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return nil, fmt.Errorf("the plan is damaged: %w: plan again", err)
	}
	digest := digestOf(strings.TrimSuffix(line.String(), ending(&p)))
	if p.Digest != digest {
		return nil, fmt.Errorf("the plan was edited or damaged after it was written: it says that its digest is %q, and it is %q: plan again",
			p.Digest, digest)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&Plan{}); err != nil {
		return nil, fmt.Errorf("the plan says what this version of runbook does not know (%w): it was made by runbook %s: plan again with this one",
			err, p.Header.Version)
	}
	return &p, p.compact()
}

// compact takes the file's line breaks out of what the plan holds as JSON.
func (p *Plan) compact() error {
	var b bytes.Buffer
	if len(p.Header.Settings) == 0 {
		return nil
	}
	err := json.Compact(&b, p.Header.Settings)
	p.Header.Settings = b.Bytes()
	return err
}

// understood says whether plans of a format can be read.
func understood(format string) error {
	if format == Format {
		return nil
	}
	version, ours := strings.CutPrefix(format, family)
	if n, err := strconv.Atoi(version); ours && err == nil && n > 1 {
		return fmt.Errorf("the plan has the format %q, and this runbook knows %q: it was made by a newer one: update this one, or plan again", format, Format)
	}
	return fmt.Errorf("this is no plan, or a damaged one: its format is %q, want %q: plan again", format, Format)
}

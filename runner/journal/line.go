package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// A line is
//
//	{"v":1,"seq":17,"ev":"intent",...the record's fields...,"prev":"0123456789abcdef","crc":"01234567"}
//
// prev is the first 8 bytes of the SHA-256 of the line before, without its
// newline; crc is the CRC-32C of all that stands before `,"crc"`.

// version is the format that is written. A line of a newer one is not guessed at.
const version = 1

// noLine is the prev of the first line.
const noLine = "0000000000000000"

const (
	crcKey = `,"crc":"`
	crcEnd = len(crcKey) + 8 + len(`"}`) // how long the end of a line is, from crcKey on
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// envelope is what stands around the fields of a record.
type envelope struct {
	V    int    `json:"v"`
	Seq  int    `json:"seq"`
	Ev   kind   `json:"ev"`
	Prev string `json:"prev"`
}

// marshal is a record as JSON on one line, with < and > as they are.
func marshal(record any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(record); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// appendLine adds a line with its newline to the buffer. The record is a JSON
// object with at least one field.
func appendLine(buf []byte, seq int, k kind, record []byte, prev string) []byte {
	start := len(buf)
	buf = appendHead(buf, seq)
	buf = append(buf, k...)
	buf = append(buf, `",`...)
	buf = append(buf, record[1:len(record)-1]...)
	buf = appendLink(buf, prev)
	buf = appendChecksum(buf, start)
	return append(buf, '\n')
}

// appendHead begins a line, up to the kind of its record.
func appendHead(buf []byte, seq int) []byte {
	buf = append(buf, `{"v":1,"seq":`...)
	buf = strconv.AppendInt(buf, int64(seq), 10)
	return append(buf, `,"ev":"`...)
}

// appendLink names the line before.
func appendLink(buf []byte, prev string) []byte {
	buf = append(buf, `,"prev":"`...)
	buf = append(buf, prev...)
	return append(buf, '"')
}

// appendChecksum ends the line that begins at start.
func appendChecksum(buf []byte, start int) []byte {
	sum := checksum(buf[start:])
	buf = append(buf, crcKey...)
	buf = append(buf, sum...)
	return append(buf, `"}`...)
}

func checksum(body []byte) string {
	sum := crc32.Checksum(body, castagnoli)
	return hex.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

// chain is how the next line names this one, which has no newline.
func chain(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:8])
}

// verify checks a line without its newline against its place in the file, and
// says what kind of record it has. The error is a phrase for Damage.
func verify(line []byte, seq int, prev string) (kind, error) {
	if newer := peekVersion(line); newer > version {
		return "", fmt.Errorf("the line says that it has format %d; this runbook reads up to %d: use a newer one", newer, version)
	}
	cut := len(line) - crcEnd
	if cut < 0 || !bytes.HasPrefix(line[cut:], []byte(crcKey)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return "", errors.New(`the line does not end with "crc" and a checksum, as every line does`)
	}
	if want, have := checksum(line[:cut]), string(line[cut+len(crcKey):len(line)-2]); want != have {
		return "", fmt.Errorf("the checksum of the line is %s, the line says %q", want, have)
	}
	// The line is as it was written. Is it the one that belongs here?
	var room [64]byte
	if rest, ok := bytes.CutPrefix(line[:cut], appendHead(room[:0], seq)); ok {
		ev, rest, _ := bytes.Cut(rest, []byte(`"`))
		if bytes.HasSuffix(rest, appendLink(room[:0], prev)) {
			return kind(ev), nil
		}
	}
	return "", misplaced(line, seq, prev)
}

// misplaced says why a line is not the one that belongs in its place.
func misplaced(line []byte, seq int, prev string) error {
	var e envelope
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("the line is not JSON of the journal's form (%w)", err)
	}
	switch {
	case e.V < 1:
		return errors.New("the line has no format (v)")
	case e.Seq != seq:
		return fmt.Errorf("the line is number %d, wanted %d: lines are missing or were moved", e.Seq, seq)
	case e.Prev != prev:
		return fmt.Errorf("the line follows one named %q, the line before is %s: lines are missing or were exchanged", e.Prev, prev)
	}
	return errors.New("the line does not have the journal's form: v, seq and ev first, prev and crc last")
}

// peekVersion is what a line says of its format, before anything is known to be
// true of it; 0 where it does not say.
func peekVersion(line []byte) int {
	rest, ok := bytes.CutPrefix(line, []byte(`{"v":`))
	if !ok {
		return 0
	}
	number, _, _ := bytes.Cut(rest, []byte(","))
	v, err := strconv.Atoi(string(number))
	if err != nil {
		return 0
	}
	return v
}

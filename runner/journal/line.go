package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// envelope is what a line has beside the record's fields.
type envelope struct {
	V     int     `json:"v"`
	Seq   int     `json:"seq"`
	Ev    kind    `json:"ev"`
	Prev  string  `json:"prev"`
	Out   *beside `json:"out"`
	Err   *beside `json:"err"`
	Large *beside `json:"large"`
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
	buf = append(buf, `{"v":1,"seq":`...)
	buf = strconv.AppendInt(buf, int64(seq), 10)
	buf = append(buf, `,"ev":"`...)
	buf = append(buf, k...)
	buf = append(buf, `",`...)
	buf = append(buf, record[1:len(record)-1]...)
	buf = append(buf, `,"prev":"`...)
	buf = append(buf, prev...)
	buf = append(buf, '"')
	buf = appendChecksum(buf, start)
	return append(buf, '\n')
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

// verify checks a line without its newline against its place in the file. The
// error is a phrase for Damage.
func verify(line []byte, seq int, prev string) (envelope, error) {
	var e envelope
	if newer := peekVersion(line); newer > version {
		return e, fmt.Errorf("the line says that it has format %d; this runbook reads up to %d: use a newer one", newer, version)
	}
	cut := len(line) - crcEnd
	if cut < 0 || !bytes.HasPrefix(line[cut:], []byte(crcKey)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return e, fmt.Errorf(`the line does not end with "crc" and a checksum, as every line does`)
	}
	if want, have := checksum(line[:cut]), string(line[cut+len(crcKey):len(line)-2]); want != have {
		return e, fmt.Errorf("the checksum of the line is %s, the line says %q", want, have)
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("the line is not JSON of the journal's form (%w)", err)
	}
	switch {
	case e.V < 1:
		return e, fmt.Errorf("the line has no format (v)")
	case e.Seq != seq:
		return e, fmt.Errorf("the line is number %d, wanted %d: lines are missing or were moved", e.Seq, seq)
	case e.Prev != prev:
		return e, fmt.Errorf("the line follows one named %q, the line before is %s: lines are missing or were exchanged", e.Prev, prev)
	}
	return e, nil
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

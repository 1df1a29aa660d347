package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// canon writes JSON with nothing in it that does not matter: the space between
// the values, and how the letters of a text are escaped. The order of the names
// stays, and no object may have a name twice.
type canon struct {
	d *json.Decoder
	w io.Writer // that never fails: a hash
}

// deepest is how deep values may lie in one another.
const deepest = 1000

// value writes the next value. On the outermost level an object's digest and mac
// are left out.
func (c canon) value(depth int) error {
	t, err := c.token()
	if err != nil {
		return err
	}
	if depth > deepest {
		return fmt.Errorf("more than %d values lie in one another", deepest)
	}
	switch t {
	case json.Delim('{'):
		return c.object(depth)
	case json.Delim('['):
		return c.array(depth)
	}
	return c.plain(t)
}

// token is the next token; the end of the text is a mistake like any other.
func (c canon) token() (json.Token, error) {
	t, err := c.d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", c.d.InputOffset(), err)
	}
	return t, nil
}

func (c canon) plain(t json.Token) error {
	text, err := json.Marshal(t)
	c.write(string(text))
	return err
}

func (c canon) object(depth int) error {
	c.write("{")
	seen := map[string]bool{}
	for c.d.More() {
		t, err := c.token()
		if err != nil {
			return err
		}
		name, isText := t.(string)
		if !isText || seen[name] {
			return fmt.Errorf("at byte %d: %v is no name, or stands here twice", c.d.InputOffset(), t)
		}
		seen[name] = true
		into := c
		if depth == 0 && (name == "digest" || name == "mac") {
			into.w = io.Discard
		}
		into.write(strconv.Quote(name) + ":")
		if err := into.value(depth + 1); err != nil {
			return err
		}
		into.write(",")
	}
	c.write("}")
	_, err := c.token()
	return err
}

func (c canon) array(depth int) error {
	c.write("[")
	for c.d.More() {
		if err := c.value(depth + 1); err != nil {
			return err
		}
		c.write(",")
	}
	c.write("]")
	_, err := c.token()
	return err
}

func (c canon) write(text string) { _, _ = io.WriteString(c.w, text) }

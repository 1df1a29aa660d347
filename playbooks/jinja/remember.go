package jinja

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The keys of values that JSON has no form for. A mapping of the user's that
// has such a key is written as a list of pairs.
const (
	tupleKey     = "$tuple"
	pairsKey     = "$pairs"
	floatKey     = "$float"
	bytesKey     = "$bytes"
	undefinedKey = "$undefined"
)

// Encode writes a value as JSON from which Decode makes the same value: numbers
// keep their kind, and what JSON does not know (tuples, bytes that are no text,
// keys that are no text) is written as a mapping with one key that begins with
// a dollar. Whether a text was a template is not kept: what was registered never
// is one. It is an error to encode what a plan does not know.
func Encode(v Value) ([]byte, error) {
	plain, err := plainOf(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(plain); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Decode is the value that Encode has written.
func Decode(data []byte) (Value, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err != nil {
		return nil, fmt.Errorf("a kept value: %w", err)
	}
	return v, nil
}

func plainOf(v Value) (any, error) {
	switch v := v.(type) {
	case nil, None:
		return nil, nil
	case Bool:
		return bool(v), nil
	case Int:
		return json.Number(v.String()), nil
	case Float:
		return plainFloat(float64(v)), nil
	case Str:
		if !utf8.ValidString(v.text) {
			return map[string]any{bytesKey: base64.StdEncoding.EncodeToString([]byte(v.text))}, nil
		}
		return v.text, nil
	case *List:
		return plainItems(v.Items)
	case *Tuple:
		items, err := plainItems(v.Items)
		return map[string]any{tupleKey: items}, err
	case *Dict:
		if v.Rest != nil {
			return nil, fmt.Errorf("not known yet: %s", v.Rest.Reason)
		}
		return plainDict(v)
	case Undefined:
		return map[string]any{undefinedKey: true}, nil
	}
	return nil, fmt.Errorf("%s cannot be kept", kindOf(v))
}

func plainFloat(f float64) any {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return map[string]any{floatKey: strconv.FormatFloat(f, 'g', -1, 64)}
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0" // so that it does not come back as a whole number
	}
	return json.RawMessage(text)
}

func plainItems(items []Value) (any, error) {
	out := make([]any, len(items))
	for i, item := range items {
		var err error
		if out[i], err = plainOf(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ordered is a mapping whose keys keep their order in JSON.
type ordered struct {
	keys   []string
	values []any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(k); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(o.values[i]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func plainDict(d *Dict) (any, error) {
	var o ordered
	for i, k := range d.keys {
		text, isText := k.(Str)
		if !isText || strings.HasPrefix(text.text, "$") || !utf8.ValidString(text.text) {
			return plainPairs(d)
		}
		value, err := plainOf(d.values[i])
		if err != nil {
			return nil, err
		}
		o.keys, o.values = append(o.keys, text.text), append(o.values, value)
	}
	return o, nil
}

func plainPairs(d *Dict) (any, error) {
	pairs := make([]any, len(d.keys))
	for i, k := range d.keys {
		key, err := plainOf(k)
		if err != nil {
			return nil, err
		}
		value, err := plainOf(d.values[i])
		if err != nil {
			return nil, err
		}
		pairs[i] = []any{key, value}
	}
	return map[string]any{pairsKey: pairs}, nil
}

package jinja

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Dict is a mapping that keeps the order of its keys. The zero Dict is empty.
type Dict struct {
	keys, values []Value
	index        map[hashKey]int

	// Rest, where set, is what every key that is missing here yields: the
	// dictionary is not known as a whole yet.
	Rest *Unknown

	// Settled, where set, promises that no text in here is a template any more.
	// A big dictionary is then not searched for one each time it is looked up.
	Settled bool
}

// Len is the number of keys that are known.
func (d *Dict) Len() int { return len(d.keys) }

// Keys are the known keys in their order. The slice is the dictionary's own.
func (d *Dict) Keys() []Value { return d.keys }

// Values are the values of the known keys, in the order of Keys. The slice is
// the dictionary's own.
func (d *Dict) Values() []Value { return d.values }

// Get returns the value of a text key. A missing key of a dictionary with a
// Rest is that Rest.
func (d *Dict) Get(key string) (Value, bool) {
	if i, ok := d.index[hashKey{kind: 's', text: key}]; ok {
		return d.values[i], true
	}
	if d.Rest != nil {
		return *d.Rest, true
	}
	return nil, false
}

// Set puts a value under a text key; a new key comes last.
func (d *Dict) Set(key string, v Value) {
	d.put(hashKey{kind: 's', text: key}, str(key), v)
}

func (d *Dict) put(h hashKey, key, v Value) {
	if i, ok := d.index[h]; ok {
		d.values[i] = v
		return
	}
	if d.index == nil {
		d.index = make(map[hashKey]int)
	}
	d.index[h] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, v)
}

// lookup finds a key of any kind; it fails where the key cannot be one.
func (d *Dict) lookup(key Value) (Value, bool, error) {
	h, err := hash(key)
	if err != nil {
		return nil, false, err
	}
	if i, ok := d.index[h]; ok {
		return d.values[i], true, nil
	}
	if d.Rest != nil {
		return *d.Rest, true, nil
	}
	return nil, false, nil
}

func (d *Dict) set(key, v Value) error {
	h, err := hash(key)
	if err != nil {
		return err
	}
	d.put(h, key, v)
	return nil
}

func (d *Dict) remove(key Value) error {
	h, err := hash(key)
	if err != nil {
		return err
	}
	at, ok := d.index[h]
	if !ok {
		return nil
	}
	keys, values := d.keys, d.values
	d.keys, d.values, d.index = nil, nil, nil
	for i, k := range keys {
		if i == at {
			continue
		}
		if err := d.set(k, values[i]); err != nil {
			return err
		}
	}
	return nil
}

// copy returns a dictionary with the same entries, which can be changed.
func (d *Dict) copy() *Dict {
	c := &Dict{Rest: d.Rest}
	for i, k := range d.keys {
		// A key that is in a dictionary can be hashed.
		_ = c.set(k, d.values[i])
	}
	return c
}

// textKeys are the keys that are texts, for suggestions.
func (d *Dict) textKeys() []string {
	var names []string
	for _, k := range d.keys {
		if s, ok := k.(Str); ok {
			names = append(names, s.text)
		}
	}
	return names
}

// hashKey is the same for values that are equal in Python: 1, 1.0 and true.
type hashKey struct {
	kind byte
	num  int64
	text string
}

var errUnhashable = errors.New("cannot be a dictionary key")

func hash(v Value) (hashKey, error) {
	switch v := v.(type) {
	case Str:
		return hashKey{kind: 's', text: v.text}, nil
	case None:
		return hashKey{kind: 'n'}, nil
	case Bool:
		if v {
			return hashKey{kind: 'i', num: 1}, nil
		}
		return hashKey{kind: 'i'}, nil
	case Int:
		if v.big != nil {
			return hashKey{kind: 'b', text: v.big.String()}, nil
		}
		return hashKey{kind: 'i', num: v.small}, nil
	case Float:
		if n, ok := intOf(v); ok {
			return hash(n)
		}
		return hashKey{kind: 'f', num: int64(math.Float64bits(float64(v)))}, nil
	case *Tuple:
		return hashTuple(v)
	}
	return hashKey{}, fmt.Errorf("%s %w", kindOf(v), errUnhashable)
}

func hashTuple(t *Tuple) (hashKey, error) {
	var b strings.Builder
	for _, item := range t.Items {
		h, err := hash(item)
		if err != nil {
			return hashKey{}, err
		}
		fmt.Fprintf(&b, "%c%d:%d:%s", h.kind, h.num, len(h.text), h.text)
	}
	return hashKey{kind: 't', text: b.String()}, nil
}

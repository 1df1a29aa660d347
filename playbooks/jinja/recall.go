package jinja

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// decodeValue reads one value. The order of keys is the one they are written in.
func decodeValue(dec *json.Decoder) (Value, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case nil:
		return None{}, nil
	case bool:
		return Bool(token), nil
	case json.Number:
		return numberFrom(token.String()), nil
	case string:
		return str(token), nil
	case json.Delim:
		if token == '[' {
			return decodeItems(dec)
		}
		return decodeDict(dec)
	}
	return nil, fmt.Errorf("unexpected %v", token)
}

func decodeItems(dec *json.Decoder) (*List, error) {
	items := []Value{}
	for dec.More() {
		v, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	_, err := dec.Token()
	return newList(items), err
}

func decodeDict(dec *json.Decoder) (Value, error) {
	d := &Dict{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeValue(dec)
		if err != nil {
			return nil, err
		}
		d.Set(key.(string), v) // JSON has no other keys
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if d.Len() == 1 {
		if made, wrapped, err := unwrap(Text(d.keys[0]), d.values[0]); wrapped {
			return made, err
		}
	}
	return d, nil
}

// unwrap makes the value that stands behind a key with a dollar.
func unwrap(key string, v Value) (made Value, wrapped bool, err error) {
	switch key {
	case tupleKey:
		list, ok := v.(*List)
		if !ok {
			return nil, true, errors.New("a tuple without items")
		}
		return newTuple(list.Items...), true, nil
	case pairsKey:
		made, err = fromPairs(v)
		return made, true, err
	case floatKey:
		f, err := strconv.ParseFloat(Text(v), 64)
		return Float(f), true, err
	case bytesKey:
		data, err := base64.StdEncoding.DecodeString(Text(v))
		return str(string(data)), true, err
	case undefinedKey:
		return Undefined{about: &absence{path: "a kept value", why: "it was undefined when it was kept"}}, true, nil
	}
	return nil, false, nil
}

func fromPairs(v Value) (Value, error) {
	list, ok := v.(*List)
	if !ok {
		return nil, errors.New("pairs without a list")
	}
	d := &Dict{}
	for _, item := range list.Items {
		pair, ok := item.(*List)
		if !ok || len(pair.Items) != 2 {
			return nil, errors.New("a pair that is none")
		}
		if err := d.set(pair.Items[0], pair.Items[1]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

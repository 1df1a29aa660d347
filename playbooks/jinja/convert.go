package jinja

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
)

// FromGo is a Go value as data: no text in it is ever a template. It takes
// what decoders and modules produce (nil, booleans, numbers, texts, slices,
// maps, pointers to these) and any Value as it is; maps are put in the order
// of their keys. Of anything else it keeps what fmt prints.
func FromGo(v any) Value {
	switch v := v.(type) {
	case nil:
		return None{}
	case Value:
		return v
	case string:
		return str(v)
	case bool:
		return Bool(v)
	case int:
		return integer(v)
	case int64:
		return Int{small: v}
	case float64:
		return Float(v)
	case []any:
		items := make([]Value, len(v))
		for i, item := range v {
			items[i] = FromGo(item)
		}
		return newList(items)
	case map[string]any:
		return fromMap(v)
	case *big.Int:
		return newInt(new(big.Int).Set(v))
	case json.Number:
		return numberFrom(v.String())
	}
	return fromReflect(reflect.ValueOf(v))
}

func fromMap(m map[string]any) Value {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	d := &Dict{}
	for _, name := range names {
		d.Set(name, FromGo(m[name]))
	}
	return d
}

func fromReflect(v reflect.Value) Value {
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Int{small: v.Int()}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return newInt(new(big.Int).SetUint64(v.Uint()))
	case reflect.Float32, reflect.Float64:
		return Float(v.Float())
	case reflect.Bool:
		return Bool(v.Bool())
	case reflect.String:
		return str(v.String())
	case reflect.Slice, reflect.Array:
		items := make([]Value, v.Len())
		for i := range items {
			items[i] = FromGo(v.Index(i).Interface())
		}
		return newList(items)
	case reflect.Map:
		return fromMapOf(v)
	case reflect.Pointer:
		if v.IsNil() {
			return None{}
		}
		return FromGo(v.Elem().Interface())
	}
	return str(fmt.Sprint(v.Interface()))
}

func fromMapOf(m reflect.Value) Value {
	keys := make([]Value, 0, m.Len())
	values := make(map[hashKey]Value, m.Len())
	for _, k := range m.MapKeys() {
		key := FromGo(k.Interface())
		h, err := hash(key)
		if err != nil {
			key = str(Text(key))
			h, _ = hash(key)
		}
		keys = append(keys, key)
		values[h] = FromGo(m.MapIndex(k).Interface())
	}
	slices.SortFunc(keys, func(a, b Value) int {
		if c, err := order(a, b); err == nil {
			return c
		}
		return cmp.Or(cmp.Compare(a.typeName(), b.typeName()), cmp.Compare(Text(a), Text(b)))
	})
	d := &Dict{}
	for _, key := range keys {
		h, _ := hash(key)
		d.put(h, key, values[h])
	}
	return d
}

// ToGo is v in plain Go: nil, bool, int64, *big.Int where the number is
// bigger, float64, string, []any and map[string]any, keys as Text prints them.
// Tuples become slices. Unknown, Undefined and Omit stay what they are, and so
// does a Dict that has a Rest, for the caller to recognise.
func ToGo(v Value) any {
	switch v := v.(type) {
	case nil, None:
		return nil
	case Bool:
		return bool(v)
	case Int:
		if v.big != nil {
			return new(big.Int).Set(v.big)
		}
		return v.small
	case Float:
		return float64(v)
	case Str:
		return v.text
	case *List:
		return sliceOf(v.Items)
	case *Tuple:
		return sliceOf(v.Items)
	case *Dict:
		if v.Rest != nil {
			return v
		}
		m := make(map[string]any, v.Len())
		for i, k := range v.keys {
			m[Text(k)] = ToGo(v.values[i])
		}
		return m
	}
	return v
}

func sliceOf(items []Value) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = ToGo(item)
	}
	return out
}

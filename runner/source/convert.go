package source

import (
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	modeType     = reflect.TypeFor[fs.FileMode]()
)

func quote(s string) string { return strconv.Quote(s) }

// typeName is a Go type in the user's words.
func typeName(t reflect.Type, f field) string {
	switch {
	case f.rest:
		return "any other key"
	case f.expr && t.Kind() == reflect.Slice:
		return "an expression or a list of expressions"
	case f.expr:
		return "an expression"
	case f.file:
		return "the path of a file"
	case t == durationType:
		return "a time in seconds"
	case t == modeType:
		return "an octal mode"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem(), f)
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "yes or no"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	case reflect.Interface:
		return "anything"
	}
	return "a whole number"
}

// scalar decodes a single value.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		d.wrong(n, f, typeName(v.Type(), f))
		return
	}
	switch {
	case v.Type() == durationType:
		d.duration(n, v, f)
		return
	case v.Type() == modeType:
		d.mode(n, v, f)
		return
	}
	switch v.Kind() {
	case reflect.String:
		d.word(n, v, f)
	case reflect.Bool:
		d.boolean(n, v, f)
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(x) {
			d.wrong(n, f, "a number")
			return
		}
		v.SetFloat(x)
	default:
		d.integer(n, v, f)
	}
}

// word decodes text. A plain yes or no is the member of the enum that means the
// same; elsewhere it is what Ansible makes of a boolean.
func (d *decoder) word(n *yaml.Node, v reflect.Value, f field) {
	text := n.Value
	if b, ok := Scalar(n).(bool); ok && !slices.Contains(f.enum, text) {
		text = map[bool]string{true: "True", false: "False"}[b]
		for _, member := range f.enum {
			if same, known := plain(member).(bool); known && same == b {
				text = member
			}
		}
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		if f.secret {
			d.fail(n, length(n), "%q must be one of %s", f.name, strings.Join(f.enum, ", "))
			return
		}
		d.fail(n, length(n), "%q cannot be %q; want one of %s", f.name, text, strings.Join(f.enum, ", ")).
			Try("%s", DidYouMean(text, f.enum))
		return
	}
	v.SetString(text)
}

func (d *decoder) boolean(n *yaml.Node, v reflect.Value, f field) {
	switch strings.ToLower(strings.TrimSpace(n.Value)) {
	case "yes", "true", "on", "1", "y", "t", "1.0":
		v.SetBool(true)
	case "no", "false", "off", "0", "n", "f", "0.0":
		v.SetBool(false)
	default:
		d.wrong(n, f, "yes or no")
	}
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value, f field) {
	const want = "a whole number"
	i, ok := whole(n)
	if !ok {
		d.wrong(n, f, want)
		return
	}
	switch {
	case v.CanInt() && i.IsInt64() && !v.OverflowInt(i.Int64()):
		v.SetInt(i.Int64())
	case v.CanUint() && i.IsUint64() && !v.OverflowUint(i.Uint64()):
		v.SetUint(i.Uint64())
	case v.CanUint() && i.Sign() < 0:
		d.wrong(n, f, want+" that is not negative")
	default:
		d.wrong(n, f, fmt.Sprintf("%s of at most %d bits", want, v.Type().Bits()))
	}
}

// whole reads a number that was written as one, or as text.
func whole(n *yaml.Node) (*big.Int, bool) {
	switch x := Scalar(n).(type) {
	case int64:
		return big.NewInt(x), true
	case *big.Int:
		return x, true
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return big.NewInt(int64(x)), true
		}
	case string:
		return new(big.Int).SetString(strings.TrimSpace(x), 10)
	}
	return nil, false
}

// duration reads a number of seconds, or a number with a unit (90s, 5m, 2h).
func (d *decoder) duration(n *yaml.Node, v reflect.Value, f field) {
	var t time.Duration
	text := strings.TrimSpace(n.Value)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < math.MaxInt64/float64(time.Second) {
		t = time.Duration(seconds * float64(time.Second))
	} else if t, err = time.ParseDuration(text); err != nil {
		d.wrong(n, f, "a number of seconds or a time such as 90s, 5m, 2h")
		return
	}
	if t < 0 {
		d.wrong(n, f, "a time that is not negative")
		return
	}
	v.SetInt(int64(t))
}

// mode reads permissions. Octal is what people mean, so a plain number needs its
// leading zero; a number that came out of a template was a number before.
func (d *decoder) mode(n *yaml.Node, v reflect.Value, f field) {
	text := strings.TrimPrefix(strings.TrimSpace(n.Value), "0o")
	base := 8
	_, isNumber := Scalar(n).(int64)
	if isNumber && n.Style&yaml.TaggedStyle != 0 {
		base = 10
	} else if isNumber && !strings.HasPrefix(text, "0") {
		d.fail(n, length(n), "%q is the decimal number %s, not an octal mode", f.name, text).Try("write \"0%s\"", text)
		return
	}
	bits, err := strconv.ParseUint(text, base, 32)
	switch {
	case err != nil && strings.ContainsAny(text, "ugoa=+-rwx"):
		d.wrong(n, f, "octal").Try(`symbolic modes depend on what is there; write the whole mode, such as "0644"`)
	case err != nil:
		d.wrong(n, f, "octal").Try(`write it as "0644"`)
	case bits > 0o7777:
		d.wrong(n, f, `octal and at most "7777"`)
	default:
		v.SetUint(uint64(fileMode(bits)))
	}
}

// fileMode turns the twelve permission bits of Unix into Go's.
func fileMode(bits uint64) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for unix, special := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&unix != 0 {
			mode |= special
		}
	}
	return mode
}

package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

func numberFilters() builtins {
	return builtins{
		"int":            define("default base", intFilter),
		"float":          define("default", floatFilter),
		"bool":           define("", boolFilter),
		"abs":            define("", absFilter),
		"round":          define("precision method", roundFilter),
		"pow":            define("y!", powFilter),
		"root":           define("base", rootFilter),
		"log":            define("base", logFilter),
		"filesizeformat": define("binary", fileSize),
		"human_readable": define("isbits unit", humanReadable),
		"human_to_bytes": define("default_unit isbits", humanToBytes),
	}
}

// numberFrom reads a number as the language, and JSON, write it.
func numberFrom(text string) Value {
	text = strings.ReplaceAll(text, "_", "")
	if n, ok := new(big.Int).SetString(text, 0); ok {
		return newInt(n)
	}
	// What is too big for a float is infinite, as in Python.
	f, _ := strconv.ParseFloat(text, 64)
	return Float(f)
}

var digits = regexp.MustCompile(`^[+-]?[0-9a-zA-Z]+(_[0-9a-zA-Z]+)*$`)

// parseInt is Python's int(text, base).
func parseInt(text string, base int) (Int, bool) {
	text = strings.TrimSpace(text)
	if len(text) > maxBits/4 || !digits.MatchString(text) {
		return Int{}, false
	}
	text = strings.ReplaceAll(text, "_", "")
	sign := ""
	if text[0] == '-' || text[0] == '+' {
		sign, text = text[:1], text[1:]
	}
	for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if base == b && strings.HasPrefix(strings.ToLower(text), prefix) {
			text = text[2:]
		}
	}
	n, ok := new(big.Int).SetString(sign+text, base)
	if !ok {
		return Int{}, false
	}
	return newInt(n), true
}

// parseFloat is Python's float(text).
func parseFloat(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func intFilter(a *args) (Value, error) {
	base := a.int("base", 10)
	otherwise := a.get("default")
	if otherwise == nil {
		otherwise = Int{}
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, fmt.Errorf("the base must be 0 or from 2 to 36, not %d", base)
	}
	if n, ok := asInt(a.in); ok {
		return n, nil
	}
	f, ok := a.in.(Float)
	if s, isText := a.in.(Str); isText {
		if n, ok := parseInt(s.text, base); ok {
			return n, nil
		}
		var g float64
		g, ok = parseFloat(s.text)
		f = Float(g)
	}
	if !ok {
		return otherwise, nil
	}
	if n, ok := intOf(Float(math.Trunc(float64(f)))); ok {
		return n, nil
	}
	return otherwise, nil
}

func floatFilter(a *args) (Value, error) {
	if f, ok := asFloat(a.in); ok {
		return Float(f), nil
	}
	if s, ok := a.in.(Str); ok {
		if f, ok := parseFloat(s.text); ok {
			return Float(f), nil
		}
	}
	if v := a.get("default"); v != nil {
		return v, nil
	}
	return Float(0), nil
}

func boolFilter(a *args) (Value, error) {
	switch v := a.in.(type) {
	case None, Bool:
		return v, nil
	case Str:
		switch strings.ToLower(v.text) {
		case "yes", "on", "1", "true":
			return Bool(true), nil
		}
		return Bool(false), nil
	}
	return Bool(equal(a.in, Int{small: 1})), nil
}

var errNoNumber = errors.New("wants a number")

func absFilter(a *args) (Value, error) {
	if n, ok := asInt(a.in); ok {
		return newInt(new(big.Int).Abs(n.wide())), nil
	}
	f, ok := asFloat(a.in)
	if !ok {
		return nil, errNoNumber
	}
	return Float(math.Abs(f)), nil
}

func roundFilter(a *args) (Value, error) {
	precision := a.int("precision", 0)
	f, ok := asFloat(a.in)
	if !ok {
		return nil, errNoNumber
	}
	if precision < -300 || precision > 300 {
		return nil, errors.New("the precision must be from -300 to 300")
	}
	method := a.text("method", "common")
	n, isInt := asInt(a.in)
	switch {
	case method == "common" && isInt && precision >= 0:
		return n, nil
	case method == "common" && isInt:
		return nil, errors.New("an int can only be rounded to whole numbers")
	case method == "common":
		return Float(roundHalfEven(f, precision)), nil
	}
	scale := math.Pow(10, float64(precision))
	switch method {
	case "ceil":
		return Float(math.Ceil(f*scale) / scale), nil
	case "floor":
		return Float(math.Floor(f*scale) / scale), nil
	}
	return nil, fmt.Errorf("there is no method %q; want common, ceil or floor", method)
}

// roundHalfEven rounds the exact value of f, as Python does: 2.5 to 2.0, and
// 2.675 to 2.67 because it is a little less than it looks.
func roundHalfEven(f float64, precision int) float64 {
	if precision < 0 {
		scale := math.Pow(10, float64(-precision))
		return math.RoundToEven(f/scale) * scale
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
	return rounded
}

func (a *args) float(name string, otherwise float64) float64 {
	if !a.given(name) {
		return otherwise
	}
	f, ok := asFloat(a.get(name))
	if !ok {
		a.note(fmt.Errorf("the argument %q must be a number, not %s", name, kindOf(a.get(name))))
	}
	return f
}

func powFilter(a *args) (Value, error) {
	f, ok := asFloat(a.in)
	if !ok {
		return nil, errNoNumber
	}
	return floatPower(f, a.float("y", 0))
}

func rootFilter(a *args) (Value, error) {
	f, ok := asFloat(a.in)
	base := a.float("base", 2)
	switch {
	case !ok:
		return nil, errNoNumber
	case base == 0:
		return nil, errZeroDivision
	case base == 2 && f >= 0:
		return Float(math.Sqrt(f)), nil
	}
	return floatPower(f, 1/base)
}

func logFilter(a *args) (Value, error) {
	f, ok := asFloat(a.in)
	base := a.float("base", math.E)
	if !ok || f <= 0 || base <= 0 {
		return nil, errors.New("wants a number above zero")
	}
	switch base {
	case math.E:
		return Float(math.Log(f)), nil
	case 10:
		return Float(math.Log10(f)), nil
	case 1:
		return nil, errZeroDivision
	}
	return Float(math.Log(f) / math.Log(base)), nil
}

func fileSize(a *args) (Value, error) {
	f, ok := asFloat(a.in)
	if s, isText := a.in.(Str); isText {
		f, ok = parseFloat(s.text)
	}
	if !ok {
		return nil, errNoNumber
	}
	base, units := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if a.flag("binary", false) {
		base, units = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return str("1 Byte"), nil
	case f < base:
		return str(fmt.Sprintf("%d Bytes", int64(f))), nil
	}
	i := 0
	for f /= base; f >= base && i < len(units)-1; i++ {
		f /= base
	}
	return str(fmt.Sprintf("%.1f %s", f, units[i])), nil
}

// sizeLetters are the multiples of a byte, from 1024 up.
const sizeLetters = "KMGTPEZY"

func humanReadable(a *args) (Value, error) {
	f, ok := asFloat(a.in)
	if s, isText := a.in.(Str); isText {
		f, ok = parseFloat(s.text)
	}
	if !ok {
		return nil, errNoNumber
	}
	base, small := "Bytes", "B"
	if a.flag("isbits", false) {
		base, small = "bits", "b"
	}
	unit := strings.ToUpper(a.text("unit", ""))
	for i := len(sizeLetters) - 1; i >= 0; i-- {
		size := math.Pow(1024, float64(i+1))
		if unit == "" && f >= size || unit != "" && unit[0] == sizeLetters[i] {
			return str(fmt.Sprintf("%.2f %c%s", f/size, sizeLetters[i], small)), nil
		}
	}
	return str(fmt.Sprintf("%.2f %s", f, base)), nil
}

var size = regexp.MustCompile(`^\s*(\d*\.?\d+)\s*([A-Za-z]+)?\s*$`)

func humanToBytes(a *args) (Value, error) {
	m := size.FindStringSubmatch(a.input())
	if m == nil {
		return nil, errors.New("wants a number and a unit, such as 10M or 1.5 GB")
	}
	f, _ := parseFloat(m[1])
	unit := m[2]
	if unit == "" {
		unit = a.text("default_unit", "B")
	}
	small := "B"
	if a.flag("isbits", false) {
		small = "b"
	}
	power := strings.IndexByte(sizeLetters, strings.ToUpper(unit + " ")[0]) + 1
	rest := unit[min(1, len(unit)):]
	if power == 0 && unit != small || power > 0 && rest != "" && rest != small {
		return nil, fmt.Errorf("the unit is unknown; want %s, or a letter of %s with or without it", small, sizeLetters)
	}
	n, ok := intOf(Float(roundHalfEven(f*math.Pow(1024, float64(power)), 0)))
	if !ok {
		return nil, errors.New("the number is too big")
	}
	return n, nil
}

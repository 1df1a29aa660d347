package jinja

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var versionOps = map[string]func(int) bool{
	"==": func(c int) bool { return c == 0 }, "!=": func(c int) bool { return c != 0 },
	"<": func(c int) bool { return c < 0 }, "<=": func(c int) bool { return c <= 0 },
	">": func(c int) bool { return c > 0 }, ">=": func(c int) bool { return c >= 0 },
}

var versionOpNames = map[string]string{"=": "==", "eq": "==", "<>": "!=", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

func versionTest(a *args) (Value, error) {
	have, want := a.input(), a.text("version", "")
	op := a.text("operator", "==")
	if full, ok := versionOpNames[op]; ok {
		op = full
	}
	holds, ok := versionOps[op]
	if !ok {
		return nil, fmt.Errorf("there is no operator %q; want one of %s", op, strings.Join(sortedKeys(versionOps), ", "))
	}
	if have == "" || want == "" {
		return nil, errors.New("an empty text is no version")
	}
	order := looseOrder
	kind := a.text("version_type", "loose")
	if a.flag("strict", false) {
		kind = "strict"
	}
	switch kind {
	case "loose":
	case "strict":
		order = strictOrder
	case "semver", "semantic":
		order = semanticOrder
	default:
		return nil, fmt.Errorf("the version_type %q is not supported; want loose, strict or semver", kind)
	}
	c, err := order(have, want)
	return Bool(err == nil && holds(c)), err
}

var versionPart = regexp.MustCompile(`[0-9]+|[a-z]+|\.|[^0-9a-z.]+`)

// looseParts splits a version into numbers and words; dots only separate.
func looseParts(s string) []string {
	parts := versionPart.FindAllString(s, -1)
	out := parts[:0]
	for _, p := range parts {
		if p != "." {
			out = append(out, p)
		}
	}
	return out
}

func looseOrder(a, b string) (int, error) {
	x, y := looseParts(a), looseParts(b)
	for i := range min(len(x), len(y)) {
		if x[i] == y[i] {
			continue
		}
		xNumber, yNumber := isNumber(x[i]), isNumber(y[i])
		switch {
		case xNumber && yNumber:
			if c := orderNumbers(x[i], y[i]); c != 0 {
				return c, nil
			}
		case xNumber != yNumber:
			return 0, fmt.Errorf("the versions cannot be compared: part %d of one is a number and of the other it is not", i+1)
		default:
			return cmp.Compare(x[i], y[i]), nil
		}
	}
	return cmp.Compare(len(x), len(y)), nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// orderNumbers compares digits of any length.
func orderNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

var strictForm = regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?$`)

func strictOrder(a, b string) (int, error) {
	x, y := strictForm.FindStringSubmatch(a), strictForm.FindStringSubmatch(b)
	if x == nil || y == nil {
		return 0, errors.New("a strict version is written as 1.2, 1.2.3 or 1.2b1")
	}
	for i := 1; i <= 3; i++ {
		if c := orderNumbers(x[i], y[i]); c != 0 {
			return c, nil
		}
	}
	if x[4] == "" || y[4] == "" {
		// A version without a mark comes after its alphas and betas.
		return cmp.Compare(strconv.FormatBool(x[4] == ""), strconv.FormatBool(y[4] == "")), nil
	}
	return cmp.Or(cmp.Compare(x[4], y[4]), orderNumbers(x[5], y[5])), nil
}

var semanticForm = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)

func semanticOrder(a, b string) (int, error) {
	x, y := semanticForm.FindStringSubmatch(a), semanticForm.FindStringSubmatch(b)
	if x == nil || y == nil {
		return 0, errors.New("a semantic version is written as 1.2.3 or 1.2.3-rc.1")
	}
	for i := 1; i <= 3; i++ {
		if c := orderNumbers(x[i], y[i]); c != 0 {
			return c, nil
		}
	}
	switch {
	case x[4] == y[4]:
		return 0, nil
	case x[4] == "":
		return 1, nil
	case y[4] == "":
		return -1, nil
	}
	return preReleaseOrder(strings.Split(x[4], "."), strings.Split(y[4], ".")), nil
}

// preReleaseOrder puts numbers before words, and a shorter one first.
func preReleaseOrder(x, y []string) int {
	for i := range min(len(x), len(y)) {
		xNumber, yNumber := isNumber(x[i]), isNumber(y[i])
		var c int
		switch {
		case xNumber && yNumber:
			c = orderNumbers(x[i], y[i])
		case xNumber:
			c = -1
		case yNumber:
			c = 1
		default:
			c = cmp.Compare(x[i], y[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

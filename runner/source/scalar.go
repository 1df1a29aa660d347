package source

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// The plain scalars that are not text, as YAML 1.1 has them. The YAML library
// knows version 1.2, where yes is text and 0644 may be decimal.
var (
	intText   = regexp.MustCompile(`^[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$`)
	sixtyText = regexp.MustCompile(`^[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+$`)
	floatText = regexp.MustCompile(`^[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?)$`)
)

// Scalar is the value of a scalar node as YAML 1.1 has it: nil, bool, int64,
// *big.Int, float64 or string. Dates stay text.
func Scalar(n *yaml.Node) any {
	if n.Style&yaml.TaggedStyle != 0 {
		return tagged(n)
	}
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&quoted != 0 || n.Tag == "!!binary" {
		return n.Value
	}
	return plain(n.Value)
}

// tagged is the value of a scalar whose type was written.
func tagged(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int":
		return plain(n.Value)
	case "!!float":
		if x, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64); err == nil {
			return x
		}
		return plain(n.Value)
	}
	return n.Value
}

func plain(s string) any {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	digits := strings.ReplaceAll(s, "_", "")
	switch {
	case intText.MatchString(s):
		return integer(digits)
	case sixtyText.MatchString(s):
		return sixty(digits)
	case floatText.MatchString(s):
		if f, err := strconv.ParseFloat(digits, 64); err == nil {
			return f
		}
	}
	return s
}

func integer(digits string) any {
	i, ok := new(big.Int).SetString(digits, 0)
	if !ok {
		return digits
	}
	if i.IsInt64() {
		return i.Int64()
	}
	return i
}

// sixty reads 1:30 as ninety, as YAML 1.1 does with times.
func sixty(text string) any {
	digits := strings.TrimLeft(text, "+-")
	total := new(big.Int)
	for part := range strings.SplitSeq(digits, ":") {
		n, ok := new(big.Int).SetString(part, 10)
		if !ok {
			return text
		}
		total.Add(total.Mul(total, big.NewInt(60)), n)
	}
	if strings.HasPrefix(text, "-") {
		total.Neg(total)
	}
	if total.IsInt64() {
		return total.Int64()
	}
	return total
}

// Value is what a node of Parse holds, in plain Go: map[string]any, []any and
// what Scalar gives.
func Value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for key, value := range Pairs(n) {
			m[key.Value] = Value(value)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = Value(item)
		}
		return list
	}
	return Scalar(n)
}

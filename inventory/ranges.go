package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// mostHosts is how many hosts one range may stand for: far above any real
// network, far below what fills the memory.
const mostHosts = 100_000

// expand gives the names that a host line stands for: node[01:08], db-[a:f],
// rack[0:10:5]-[1:2]. Both ends are included; leading zeros are kept.
func expand(name string) ([]string, error) {
	head, rest, found := strings.Cut(name, "[")
	if !found {
		return []string{name}, nil
	}
	inner, tail, closed := strings.Cut(rest, "]")
	if !closed {
		return nil, fmt.Errorf("the range in %q has no closing bracket", name)
	}
	middle, err := span(inner)
	if err != nil {
		return nil, fmt.Errorf("the range in %q: %w", name, err)
	}
	ends, err := expand(tail)
	if err != nil {
		return nil, err
	}
	if len(middle)*len(ends) > mostHosts {
		return nil, fmt.Errorf("%q stands for more than %d hosts", name, mostHosts)
	}
	names := make([]string, 0, len(middle)*len(ends))
	for _, m := range middle {
		for _, end := range ends {
			names = append(names, head+m+end)
		}
	}
	return names, nil
}

// span gives the members of first:last or first:last:step.
func span(text string) ([]string, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, fmt.Errorf("want first:last or first:last:step, found %q", text)
	}
	first, last, step := parts[0], parts[1], 1
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return nil, fmt.Errorf("the step %q is not a number above 0", parts[2])
		}
		step = n
	}
	if isLetter(first) && isLetter(last) {
		var out []string
		for c := int(first[0]); c <= int(last[0]); c += step {
			out = append(out, string(rune(c)))
		}
		return notEmpty(out, text)
	}
	if first == "" {
		first = "0"
	}
	from, err1 := strconv.ParseUint(first, 10, 31)
	to, err2 := strconv.ParseUint(last, 10, 31)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("want two numbers or two letters, found %q", text)
	}
	width := 0
	if len(first) > 1 && first[0] == '0' {
		if len(first) != len(last) {
			return nil, fmt.Errorf("both ends of %q need the same number of digits", text)
		}
		width = len(first)
	}
	if to >= from && (to-from)/uint64(step) >= mostHosts {
		return nil, fmt.Errorf("%q stands for more than %d hosts", text, mostHosts)
	}
	var out []string
	for n := from; n <= to; n += uint64(step) {
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return notEmpty(out, text)
}

func isLetter(s string) bool {
	return len(s) == 1 && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

func notEmpty(names []string, text string) ([]string, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("%q ends before it begins", text)
	}
	return names, nil
}

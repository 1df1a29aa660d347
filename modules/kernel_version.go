package modules

import "strings"

// compareVersions orders versions as dpkg --compare-versions does
// (deb-version(7)): below zero where a is the older one.
func compareVersions(a, b string) int {
	epochA, upstreamA, revisionA := cutVersion(a)
	epochB, upstreamB, revisionB := cutVersion(b)
	for _, pair := range [][2]string{{epochA, epochB}, {upstreamA, upstreamB}, {revisionA, revisionB}} {
		if c := compareVersionParts(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	return 0
}

func cutVersion(v string) (epoch, upstream, revision string) {
	if before, after, ok := strings.Cut(v, ":"); ok {
		epoch, v = before, after
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// compareVersionParts compares by turns what is not digits, and numbers.
func compareVersionParts(a, b string) int {
	for a != "" || b != "" {
		for versionWeight(a) != 0 || versionWeight(b) != 0 {
			if c := versionWeight(a) - versionWeight(b); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
		}
		var x, y string
		x, a = cutNumber(a)
		y, b = cutNumber(b)
		if c := len(x) - len(y); c != 0 {
			return c
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// versionWeight is the place of the first character in the order: ~ before the
// end, letters before all others. A digit weighs as much as the end.
func versionWeight(s string) int {
	switch {
	case s == "" || s[0] >= '0' && s[0] <= '9':
		return 0
	case s[0] == '~':
		return -1
	case s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

// cutNumber takes the digits off the beginning, without leading zeros.
func cutNumber(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return strings.TrimLeft(s[:len(s)-len(rest)], "0"), rest
}

package modules

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// calicoVersion is a release of Calico. What each does with IP sets was read at
// its tag: the ipset in the image is 7.11 up to 3.31, whatever the release.
type calicoVersion struct{ major, minor, patch int }

var calicoVersionText = regexp.MustCompile(`^v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:[-+].*)?$`)

func parseCalicoVersion(text string) (calicoVersion, bool) {
	m := calicoVersionText.FindStringSubmatch(text)
	if m == nil {
		return calicoVersion{}, false
	}
	var v calicoVersion
	for i, part := range []*int{&v.major, &v.minor, &v.patch} {
		*part, _ = strconv.Atoi(m[i+1])
	}
	return v, true
}

// imageVersion is the version in an image's tag. An image that only has a
// digest does not say.
func imageVersion(image string) (calicoVersion, bool) {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return parseCalicoVersion(tag)
}

func (v calicoVersion) String() string { return fmt.Sprintf("v%d.%d.%d", v.major, v.minor, v.patch) }

func (v calicoVersion) line() string { return fmt.Sprintf("v%d.%d", v.major, v.minor) }

func (v calicoVersion) before(w calicoVersion) bool {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch)) < 0
}

// firstOwnOnly is the first release that lists the names of all sets and reads
// only its own.
var firstOwnOnly = calicoVersion{3, 27, 1}

// newestCure is the last release of the line in which that was mended.
var newestCure = calicoVersion{3, 27, 5}

// listsAll says whether one set of anybody that its ipset does not know stops
// Felix.
func (v calicoVersion) listsAll() bool { return v.before(firstOwnOnly) }

// selfHeals says whether Felix makes its own sets again where it cannot read
// them. Two older lines got it late.
func (v calicoVersion) selfHeals() bool {
	for _, first := range []calicoVersion{{3, 30, 6}, {3, 31, 3}} {
		if v.major == first.major && v.minor == first.minor {
			return !v.before(first)
		}
	}
	return !v.before(calicoVersion{3, 32, 0})
}

// cure is the newest release of the same minor that cures class A.
func (v calicoVersion) cure() string {
	if v.listsAll() && v.line() == newestCure.line() {
		return newestCure.String()
	}
	return ""
}

func (v calicoVersion) judged() map[string]any {
	cures, why := []string{}, ""
	switch {
	case v.listsAll():
		why = v.String() + " lists all IP sets of the host, as v3.27.0 does: one set of anybody that its ipset does not know stops Felix"
	case v.selfHeals():
		cures = []string{"A", "B"}
		why = v.String() + " reads only Calico's own sets, and makes them again where its ipset cannot read them"
	default:
		cures = []string{"A"}
		why = v.String() + " reads only Calico's own sets; one of these that somebody rewrites with a newer ipset still stops Felix"
	}
	return map[string]any{
		"version": v.String(), "lists_all": v.listsAll(), "self_heals": v.selfHeals(),
		"cures": texts(cures), "faulty": v.listsAll(), "why": why,
	}
}

package modules

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// place is what stands at a path of the target, looked at without reading it.
type place struct {
	path     string // absolute
	link     string // where a symbolic link points, as it is written; empty for others
	real     string // the path at the end of all links, if path is a link; empty if even its directory is missing
	self     *inode // the path itself; nil: nothing is there
	end      *inode // at the end of all links; nil: nothing is there
	access   string // of r, w and x, those that the looking user has
	sum      string // checksum of a regular file, if one was asked for
	ancestor string // the nearest path above that exists, or the path itself
	folder   string // its directory without any links; that of the ancestor, where nothing is there
	maker    maker  // who would own what is made here; known where nothing is there
	err      error  // why it could not be looked at
	there    bool   // something is there, though err says that it cannot be known what
	unread   bool   // a regular file whose content an earlier task of the plan has yet to make
}

// maker is who a new file or directory would belong to, and with which mode.
// The zero maker is not known.
type maker struct {
	owner, group string // group is empty where the directory gives its own
	uid, gid     int
	umask        uint32
	known        bool
}

// inode is what stat says. Times are seconds since 1970.
type inode struct {
	mode                     uint32 // type and permission bits, as st_mode has them
	uid, gid                 int
	owner, group             string // names, or numbers where there is no name
	size, number, dev, links int64
	blocks, blockSize, rdev  int64
	atime, mtime, ctime      float64

	by string // the task of the plan that makes it so: numbers and times are not known, the size may be -1
	// the owners may be empty with ids of -1, and bare says that the mode has no known bits
	bare bool
}

// The file types in st_mode.
const (
	typeBits   = 0o170000
	typeFifo   = 0o010000
	typeChar   = 0o020000
	typeDir    = 0o040000
	typeBlock  = 0o060000
	typeFile   = 0o100000
	typeLink   = 0o120000
	typeSocket = 0o140000
)

func (i *inode) is(fileType uint32) bool { return i != nil && i.mode&typeBits == fileType }

func (i *inode) perm() uint32 { return i.mode & 0o7777 }

// kind names the file type for people.
func (i *inode) kind() string {
	if i == nil {
		return "absent"
	}
	switch i.mode & typeBits {
	case typeFile:
		return "file"
	case typeDir:
		return "directory"
	case typeLink:
		return "link"
	case typeFifo:
		return "fifo"
	case typeSocket:
		return "socket"
	}
	return "device"
}

// at is the inode that a path means, with or without following links.
func (p place) at(follow bool) *inode {
	if follow {
		return p.end
	}
	return p.self
}

// lookScript defines look WORD, which prints the fields of a place, each ended
// by a NUL, so that no file name can be taken for another field.
const lookScript = `nul() { printf '%s\0' "$1"; }
status() {
  s=$(LC_ALL=C stat "$@" 2>&1) || case $s in *'No such file'*) s= ;; *) s="error $s" ;; esac
  nul "$s"
}
real() {
  if [ -e "$p" ]; then nul "$(readlink -f -- "$p")"; return; fi
  case $l in /*) ;; *) l=${p%/*}/$l ;; esac
  if [ -L "$l" ] || [ ! -d "${l%/*}/" ]; then l=; fi
  nul "$l"
}
look() {
  p=$1 a=
  case $p in /*) ;; *) p=$PWD/$p ;; esac
  nul "$p"
  if [ -L "$p" ]; then l=$(readlink -- "$p"); nul "$l"; real; else nul ''; nul ''; fi
  status -c "$format" -- "$p"
  status -L -c "$format" -- "$p"
  if [ -r "$p" ]; then a=r; fi
  if [ -w "$p" ]; then a=${a}w; fi
  if [ -x "$p" ]; then a=${a}x; fi
  nul "$a"
  if [ -n "$sum" ] && [ -f "$p" ] && [ -r "$p" ]; then nul "$($sum <"$p")"; else nul ''; fi
  d=${p%/*} m=
  if [ ! -e "$p" ]; then
    while [ ! -e "$p" ]; do p=${p%/*}; p=${p:-/}; done
    d=$p m="$(LC_ALL=C stat -c '%U|%G|%u|%g' /proc/self/ 2>/dev/null)|$(umask)"
    if [ -g "$p" ]; then m=$m'|g'; fi
  fi
  nul "$p"
  nul "$(cd -P -- "$d/" 2>/dev/null && pwd -P)"
  nul "$m"
}
format='%f %u %g %s %i %d %h %b %o %t %T %X %Y %Z|%U|%G|%x|%y|%z'
`

const placeFields = 10

// lookQuery looks at paths, given as shell words. With an algorithm (sha1, ...)
// regular files get a checksum.
func lookQuery(algorithm string, words ...string) Run {
	var b strings.Builder
	b.WriteString(lookScript)
	if algorithm != "" {
		algorithm += "sum"
	}
	fmt.Fprintf(&b, "sum=%s\n", algorithm)
	for _, w := range words {
		fmt.Fprintf(&b, "look %s\n", w)
	}
	return Run{Shell: b.String()}
}

// lookAt is one query for all places. Each keeps its own error: a place that
// was looked at for a case that has not come need not be one. In a plan they
// are as earlier tasks would have left them.
func lookAt(ctx context.Context, t Target, algorithm string, words ...string) ([]place, error) {
	return lookThrough(ctx, t, linkHops, algorithm, words...)
}

// lookThrough is lookAt that follows so many links of the plan.
func lookThrough(ctx context.Context, t Target, hops int, algorithm string, words ...string) ([]place, error) {
	out, err := t.Query(ctx, lookQuery(algorithm, words...))
	if err != nil {
		return nil, err
	}
	if out.Code != 0 {
		return nil, fmt.Errorf("looking at %s: exit code %d: %s",
			strings.Join(words, " "), out.Code, strings.TrimSpace(out.Stderr))
	}
	fields := strings.Split(strings.TrimSuffix(out.Stdout, "\x00"), "\x00")
	if len(fields) != placeFields*len(words) {
		return nil, fmt.Errorf("looking at %s: %d fields instead of %d: %s",
			strings.Join(words, " "), len(fields), placeFields*len(words), strings.TrimSpace(out.Stderr))
	}
	places := make([]place, len(words))
	for i := range places {
		places[i] = parsePlace(fields[i*placeFields:])
		if err := places[i].foresee(ctx, t, hops, algorithm); err != nil {
			return nil, err
		}
	}
	return places, nil
}

func parsePlace(f []string) place {
	p := place{path: f[0], link: f[1], real: f[2], access: f[5], ancestor: f[7], folder: f[8], maker: parseMaker(f[9])}
	p.sum, _, _ = strings.Cut(f[6], " ")
	var err error
	if p.self, err = parseInode(f[3]); err != nil {
		p.err = fmt.Errorf("%q: %w", p.path, err)
	}
	// A link that leads nowhere, be it in a circle, is still a link.
	p.end, _ = parseInode(f[4])
	return p
}

// parseMaker reads owner|group|uid|gid|umask, and |g where the directory gives
// its own group to what is made in it.
func parseMaker(text string) maker {
	f := strings.Split(text, "|")
	if len(f) < 5 {
		return maker{}
	}
	uid, err1 := strconv.Atoi(f[2])
	gid, err2 := strconv.Atoi(f[3])
	umask, err3 := strconv.ParseUint(f[4], 8, 32)
	if err := errors.Join(err1, err2, err3); err != nil {
		return maker{}
	}
	m := maker{nameOr(f[0], f[2]), nameOr(f[1], f[3]), uid, gid, uint32(umask), true}
	if len(f) > 5 {
		m.group, m.gid = "", -1
	}
	return m
}

// errThroughFile says that a path runs through a file, so nothing can be there.
var errThroughFile = errors.New("cannot be looked at: the path runs through what is not a directory")

func parseInode(text string) (*inode, error) {
	if text == "" {
		return nil, nil
	}
	if why, failed := strings.CutPrefix(text, "error "); failed {
		if strings.Contains(why, "Not a directory") {
			return nil, errThroughFile
		}
		return nil, fmt.Errorf("cannot be looked at: %s", why)
	}
	parts := strings.Split(text, "|")
	numbers := strings.Fields(parts[0])
	if len(parts) != 6 || len(numbers) != 14 {
		return nil, fmt.Errorf("stat answers %q", text)
	}
	var n [14]int64
	for i, word := range numbers {
		base := 10
		if i == 0 || i == 9 || i == 10 { // mode and device numbers
			base = 16
		}
		var err error
		if n[i], err = strconv.ParseInt(word, base, 64); err != nil {
			return nil, fmt.Errorf("stat answers %q", text)
		}
	}
	return &inode{
		mode: uint32(n[0]), uid: int(n[1]), gid: int(n[2]), size: n[3], number: n[4], dev: n[5], links: n[6],
		blocks: n[7], blockSize: n[8], rdev: n[9]<<8 | n[10],
		owner: nameOr(parts[1], numbers[1]), group: nameOr(parts[2], numbers[2]),
		atime: withFraction(n[11], parts[3]), mtime: withFraction(n[12], parts[4]), ctime: withFraction(n[13], parts[5]),
	}, nil
}

func nameOr(name, number string) string {
	if name == "UNKNOWN" {
		return number
	}
	return name
}

var fraction = regexp.MustCompile(`\.\d+`)

func withFraction(seconds int64, human string) float64 {
	part, _ := strconv.ParseFloat("0"+fraction.FindString(human), 64)
	return float64(seconds) + part
}

package jinja

import (
	"errors"
	"net/url"
	"path"
	"strings"
)

func pathFilters() builtins {
	return builtins{
		"basename":  onText(func(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }),
		"dirname":   onText(dirname),
		"splitext":  define("", splitExt),
		"path_join": define("", pathJoin),
		"normpath":  onText(path.Clean),
		"urlencode": define("", urlEncode),
		"urldecode": define("", urlDecode),
		"urlsplit":  define("query", urlSplit),
	}
}

func dirname(p string) string {
	head := p[:strings.LastIndexByte(p, '/')+1]
	if bare := strings.TrimRight(head, "/"); bare != "" {
		return bare
	}
	return head
}

// splitExt splits before the last dot of the name; dots that begin the name do
// not count.
func splitExt(a *args) (Value, error) {
	p := a.input()
	base := strings.LastIndexByte(p, '/') + 1
	name := strings.TrimLeft(p[base:], ".")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		at := len(p) - len(name) + i
		return newTuple(str(p[:at]), str(p[at:])), nil
	}
	return newTuple(str(p), str("")), nil
}

func pathJoin(a *args) (Value, error) {
	if s, ok := a.in.(Str); ok {
		return s, nil
	}
	joined := ""
	for i, item := range a.items() {
		part, ok := item.(Str)
		switch {
		case !ok:
			return nil, errors.New("wants texts")
		case i == 0 || strings.HasPrefix(part.text, "/"):
			joined = part.text
		case joined == "" || strings.HasSuffix(joined, "/"):
			joined += part.text
		default:
			joined += "/" + part.text
		}
	}
	return str(joined), nil
}

// percentEncode keeps the slash, as Jinja does for a text.
func percentEncode(s, keep string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_.-~"+keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func urlEncode(a *args) (Value, error) {
	entries := []Value{}
	switch v := a.in.(type) {
	case *Dict:
		entries = pairs(v).(*List).Items
	case *List, *Tuple:
		entries = a.items()
	default:
		return str(percentEncode(a.input(), "/")), nil
	}
	var parts []string
	for _, e := range entries {
		pair, err := iterate(e)
		if err != nil || len(pair) != 2 {
			return nil, errors.New("wants a text, a dict or a list of pairs")
		}
		form := func(v Value) string { return strings.ReplaceAll(percentEncode(Text(v), ""), "%20", "+") }
		parts = append(parts, form(pair[0])+"="+form(pair[1]))
	}
	return str(strings.Join(parts, "&")), nil
}

func urlDecode(a *args) (Value, error) {
	s, err := url.QueryUnescape(a.input())
	if err != nil {
		return nil, errors.New("the text is not percent-encoded")
	}
	return str(s), nil
}

func urlSplit(a *args) (Value, error) {
	u, err := url.Parse(a.input())
	if err != nil {
		// The parser's message would quote the text, and with it a password.
		return nil, errors.New("the text is no URL")
	}
	password, hasPassword := u.User.Password()
	d := &Dict{}
	d.Set("fragment", str(u.Fragment))
	d.Set("hostname", orNone(u.Hostname()))
	netloc := u.Host
	if u.User != nil {
		netloc = u.User.String() + "@" + netloc
	}
	d.Set("netloc", str(netloc))
	d.Set("password", None{})
	if hasPassword {
		d.Set("password", str(password))
	}
	d.Set("path", str(u.EscapedPath()))
	d.Set("port", None{})
	if n, ok := parseInt(u.Port(), 10); ok {
		d.Set("port", n)
	}
	d.Set("query", str(u.RawQuery))
	d.Set("scheme", str(u.Scheme))
	d.Set("username", None{})
	if u.User != nil {
		d.Set("username", str(u.User.Username()))
	}
	if part := a.text("query", ""); part != "" {
		v, ok := d.Get(part)
		if !ok {
			return nil, errors.New("there is no such part of a URL; want one of fragment, hostname, netloc, password, path, port, query, scheme, username")
		}
		return v, nil
	}
	return d, nil
}

func orNone(s string) Value {
	if s == "" {
		return None{}
	}
	return str(s)
}

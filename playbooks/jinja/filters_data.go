package jinja

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// dataFilters read and write other notations.
func dataFilters() builtins {
	sha1Filter := define("", func(a *args) (Value, error) { return digest("sha1", a.input()) })
	return builtins{
		"to_json":      define("indent sort_keys ensure_ascii separators **", func(a *args) (Value, error) { return jsonFilter(a, jsonStyle{indent: -1}) }),
		"to_nice_json": define("indent sort_keys ensure_ascii **", func(a *args) (Value, error) { return jsonFilter(a, jsonStyle{indent: 4, sorted: true}) }),
		"tojson":       define("indent", htmlJSON),
		"from_json":    define("", func(a *args) (Value, error) { return fromJSON(a.input()) }),
		"to_yaml":      define("indent default_flow_style width sort_keys **", func(a *args) (Value, error) { return yamlFilter(a, yamlStyle{indent: 2, flowLeaves: true}) }),
		"to_nice_yaml": define("indent default_flow_style width sort_keys **", func(a *args) (Value, error) { return yamlFilter(a, yamlStyle{indent: 4}) }),
		"from_yaml":    define("", fromYAMLFilter),
		"b64encode":    define("encoding", encodeBase64),
		"b64decode":    define("encoding", decodeBase64),
		"md5":          define("", func(a *args) (Value, error) { return digest("md5", a.input()) }),
		"sha1":         sha1Filter,
		"checksum":     sha1Filter,
		"hash":         define("hashtype", func(a *args) (Value, error) { return digest(a.text("hashtype", "sha1"), a.input()) }),
		"to_uuid":      define("namespace", toUUID),
	}
}

func jsonFilter(a *args, style jsonStyle) (Value, error) {
	if err := a.only("vault_to_text", "preprocess_unsafe"); err != nil {
		return nil, err
	}
	if a.given("indent") {
		if style.indent = a.int("indent", 0); style.indent > maxDepth {
			return nil, errTooLong
		}
	}
	style.sorted = a.flag("sort_keys", style.sorted)
	style.unicode = !a.flag("ensure_ascii", true)
	style.item, style.entry = ", ", ": "
	if style.indent >= 0 {
		style.item = ","
	}
	if a.given("separators") {
		pair := a.list("separators")
		if len(pair) != 2 {
			return nil, errors.New("separators wants two texts")
		}
		style.item, style.entry = Text(pair[0]), Text(pair[1])
	}
	text, err := toJSON(a.in, style)
	return str(text), err
}

// only refuses arguments of other names than those that change nothing here.
func (a *args) only(harmless ...string) error {
	for _, name := range a.named.textKeys() {
		known := false
		for _, h := range harmless {
			known = known || h == name
		}
		if !known {
			return fmt.Errorf("the argument %q is not supported; it takes %s", name, a.b.takes())
		}
	}
	return nil
}

// forHTML makes JSON safe inside a page, as Jinja's own filter does.
var forHTML = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`)

func htmlJSON(a *args) (Value, error) {
	style := jsonStyle{indent: -1, sorted: true, item: ", ", entry: ": "}
	if a.given("indent") {
		style.indent, style.item = min(a.int("indent", 0), maxDepth), ","
	}
	text, err := toJSON(a.in, style)
	return str(forHTML.Replace(text)), err
}

func yamlFilter(a *args, style yamlStyle) (Value, error) {
	if err := a.only("allow_unicode", "vault_to_text"); err != nil {
		return nil, err
	}
	style.indent = a.int("indent", style.indent)
	if style.indent < 2 || style.indent > 9 {
		style.indent = 2
	}
	style.width = a.int("width", 80)
	if style.width <= style.indent*2 {
		style.width = 80
	}
	style.sorted = a.flag("sort_keys", true)
	if a.given("default_flow_style") {
		style.flowLeaves = false
		style.flow = a.flag("default_flow_style", false)
	}
	text, err := toYAML(a.in, style)
	return str(text), err
}

func fromYAMLFilter(a *args) (Value, error) {
	if _, ok := a.in.(Str); !ok {
		return a.in, nil
	}
	return fromYAML(a.budget, a.input())
}

func encodeBase64(a *args) (Value, error) {
	if err := a.utf8Only(); err != nil {
		return nil, err
	}
	return str(base64.StdEncoding.EncodeToString([]byte(a.input()))), nil
}

func (a *args) utf8Only() error {
	switch strings.ToLower(a.text("encoding", "utf-8")) {
	case "utf-8", "utf8":
		return nil
	}
	return fmt.Errorf("the encoding %q is not supported; want utf-8", a.text("encoding", ""))
}

func decodeBase64(a *args) (Value, error) {
	if err := a.utf8Only(); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(a.input()), ""))
	if err != nil {
		return nil, errors.New("the text is not base64")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("what is decoded is no text in UTF-8")
	}
	return str(string(data)), nil
}

func digest(kind, text string) (Value, error) {
	data := []byte(text)
	var sum []byte
	switch kind {
	case "md5":
		s := md5.Sum(data)
		sum = s[:]
	case "sha1":
		s := sha1.Sum(data)
		sum = s[:]
	case "sha224":
		s := sha256.Sum224(data)
		sum = s[:]
	case "sha256":
		s := sha256.Sum256(data)
		sum = s[:]
	case "sha384":
		s := sha512.Sum384(data)
		sum = s[:]
	case "sha512":
		s := sha512.Sum512(data)
		sum = s[:]
	default:
		return nil, fmt.Errorf("there is no hash %q; want md5, sha1, sha224, sha256, sha384 or sha512", kind)
	}
	return str(hex.EncodeToString(sum)), nil
}

// ansibleNamespace is what Ansible derives its UUIDs from.
const ansibleNamespace = "361E6D51-FAEC-444A-9079-341386DA8E2E"

// toUUID is the UUID, version 5, of a text.
func toUUID(a *args) (Value, error) {
	space, err := hex.DecodeString(strings.ReplaceAll(a.text("namespace", ansibleNamespace), "-", ""))
	if err != nil || len(space) != 16 {
		return nil, errors.New("the namespace is no UUID")
	}
	sum := sha1.Sum(append(space, a.input()...))
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return str(fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])), nil
}

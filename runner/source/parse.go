package source

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds on what one file may ask of the reader. They are far above what people
// write and far below what exhausts a machine.
const (
	maxDepth    = 100    // nesting
	maxExpanded = 10_000 // nodes that aliases and merge keys stand for
)

// Parse reads one YAML document as nodes with positions. What it returns has no
// aliases and no merge keys (what they stand for is in their place), no
// duplicate keys, only keys that are plain values, and only the core tags.
// An empty document is a null.
func Parse(f *File) (*yaml.Node, Errors) {
	if errs := f.checkText(); len(errs) > 0 {
		return nil, errs
	}
	reader := yaml.NewDecoder(bytes.NewReader(f.Data))
	var doc, next yaml.Node
	switch err := reader.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}, nil
	case err != nil:
		return nil, Errors{f.syntaxError(err)}
	}
	switch err := reader.Decode(&next); {
	case err == nil:
		return nil, Errors{f.At(next.Content[0].Line, 1).Errorf(1, "one document per file, found a second one").
			Try("remove the %q line or use two files", "---")}
	case !errors.Is(err, io.EOF):
		return nil, Errors{f.syntaxError(err)}
	}
	c := checker{file: f, anchors: map[*yaml.Node]bool{}}
	root := c.node(doc.Content[0], 0)
	return root, c.errs
}

// checkText finds bytes that no YAML file may have, before the parser sees them:
// it would not say where they are.
func (f *File) checkText() Errors {
	if len(f.Data) > MaxSize {
		return Errors{f.At(1, 1).Errorf(1, "the file is bigger than %d bytes", MaxSize)}
	}
	line, col := 1, 1
	for rest := f.Data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return Errors{f.At(line, col).Errorf(1, "byte 0x%02x is not UTF-8", rest[0]).Try("save the file as UTF-8")}
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return Errors{f.At(line, col).Errorf(1, "control character 0x%02x is not allowed", r).
				Try(`write it as \x%02x in double quotes`, r)}
		}
		rest = rest[size:]
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
	}
	return nil
}

// checker verifies nodes and puts in place what aliases stand for.
type checker struct {
	file     *File
	errs     Errors
	anchors  map[*yaml.Node]bool // the nodes above the one being looked at
	aliases  int                 // how many aliases lead to it
	expanded int                 // nodes that were reached through aliases
	spent    bool                // the budget for those is used up, and it was said
}

func (c *checker) fail(n *yaml.Node, length int, format string, args ...any) *Error {
	e := c.file.Pos(n).Errorf(length, format, args...)
	c.errs = append(c.errs, e)
	return e
}

// node returns a copy of n without aliases and merge keys.
func (c *checker) node(n *yaml.Node, depth int) *yaml.Node {
	if depth > maxDepth {
		c.fail(n, 1, "nested more than %d deep", maxDepth)
		return null(n)
	}
	if c.aliases > 0 {
		if c.expanded++; c.expanded > maxExpanded {
			if !c.spent {
				c.fail(n, 1, "aliases stand for more than %d values", maxExpanded)
			}
			c.spent = true
			return null(n)
		}
	}
	if n.Kind == yaml.AliasNode {
		if c.anchors[n.Alias] {
			c.fail(n, len(n.Value)+1, "alias %q is part of what it stands for", n.Value)
			return null(n)
		}
		c.aliases++
		defer func() { c.aliases-- }()
		return c.node(n.Alias, depth+1)
	}
	c.anchors[n] = true
	defer delete(c.anchors, n)
	c.tag(n)
	out := *n
	out.Anchor, out.Content = "", nil
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			out.Content = append(out.Content, c.node(item, depth+1))
		}
	case yaml.MappingNode:
		out.Content = c.pairs(n, depth)
	}
	return &out
}

func null(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
}

// tag refuses tags that are written and that nobody here understands.
func (c *checker) tag(n *yaml.Node) {
	if n.Style&yaml.TaggedStyle == 0 {
		return
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!seq", "!!map", "!!binary", "!!timestamp", "!":
	case "!vault", "!vault-encrypted", "!unsafe":
		c.fail(n, len(tag), "tag %q is not supported yet", tag)
	default:
		c.fail(n, len(tag), "unknown tag %q", tag)
	}
}

// pairs are the keys and values of a mapping, those of its merge keys behind its
// own. A key that was written twice is a mistake.
func (c *checker) pairs(n *yaml.Node, depth int) []*yaml.Node {
	if brace := looksTemplated(n); brace != nil {
		c.fail(brace, 2, "a value that starts with {{ must be quoted").Try(`write "{{ ... }}"`)
		return nil
	}
	var own, merged []*yaml.Node
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged = append(merged, c.merge(value, depth+1)...)
			continue
		}
		key = c.node(key, depth+1)
		value = c.node(value, depth+1)
		if key.Kind != yaml.ScalarNode {
			c.fail(key, 1, "a key must be text, found %s", Kind(key))
			continue
		}
		if before := first[key.Value]; before != nil {
			c.fail(key, len([]rune(key.Value)), "key %q stands here twice", key.Value).
				Try("the first is at %s", c.file.Pos(before))
			continue
		}
		first[key.Value] = key
		own = append(own, key, value)
	}
	for i := 0; i+1 < len(merged); i += 2 {
		if name := merged[i].Value; first[name] == nil {
			first[name] = merged[i]
			own = append(own, merged[i], merged[i+1])
		}
	}
	return own
}

// merge is what the merge key brings: the pairs of one mapping, or of a list of
// mappings of which the first that has a key wins.
func (c *checker) merge(value *yaml.Node, depth int) []*yaml.Node {
	value = c.node(value, depth)
	switch value.Kind {
	case yaml.MappingNode:
		return value.Content
	case yaml.SequenceNode:
		var all []*yaml.Node
		for _, item := range value.Content {
			if item.Kind != yaml.MappingNode {
				c.fail(item, 1, "the merge key wants mappings, found %s", Kind(item))
				continue
			}
			all = append(all, item.Content...)
		}
		return all
	}
	c.fail(value, 1, "the merge key wants a mapping or a list of mappings, found %s", Kind(value))
	return nil
}

// looksTemplated finds the {{ of an unquoted template, which YAML takes for a
// mapping whose key is a mapping.
func looksTemplated(n *yaml.Node) *yaml.Node {
	if n.Style&yaml.FlowStyle == 0 || len(n.Content) == 0 {
		return nil
	}
	key := n.Content[0]
	if key.Kind == yaml.MappingNode && key.Style&yaml.FlowStyle != 0 && key.Line == n.Line && key.Column == n.Column+1 {
		return n
	}
	return nil
}

// Kind says in words what a node is.
func Kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch Scalar(n).(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case string:
		return "text"
	case float64:
		return "a number with a fraction"
	}
	return "a number"
}

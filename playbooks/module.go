package playbooks

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"runbook/modules"
	"runbook/playbooks/jinja"
	"runbook/runner/source"
)

// Module makes the task's module for one host: templates rendered, expressions
// evaluated, the controller's files read, and all of it decoded strictly. The
// error is *UnknownError where a plan cannot know an argument yet.
func (t *Task) Module(s jinja.Scope) (modules.Module, error) {
	m := t.Def.New()
	if t.Args == nil {
		return m, nil
	}
	n, err := t.Args.expand(s)
	if err != nil {
		return nil, err
	}
	return m, t.Args.file.Decode(n, m).Err()
}

// expand gives the arguments for one host. One that comes to omit is left out.
func (a *Args) expand(s jinja.Scope) (*yaml.Node, error) {
	out := *a.node
	out.Content = nil
	for key, value := range source.Pairs(a.node) {
		arg := a.known[key.Value]
		var n *yaml.Node
		var err error
		switch {
		case arg.Expr:
			n, err = a.evaluate(value, s, arg.List)
		case arg.File:
			n, err = a.local(value, arg, s)
		default:
			n, err = a.render(value, s)
		}
		if err != nil {
			return nil, err
		}
		if n != nil {
			out.Content = append(out.Content, key, n)
		}
	}
	return &out, nil
}

// render gives the node with its templates rendered, in the same place; nil
// where it comes to omit.
func (a *Args) render(n *yaml.Node, s jinja.Scope) (*yaml.Node, error) {
	if t := a.templates[n]; t != nil {
		v, err := t.Render(s)
		if err != nil {
			return nil, a.file.Relocate(n, err)
		}
		return toNode(v, n)
	}
	if len(n.Content) == 0 {
		return n, nil
	}
	out := *n
	out.Content = nil
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			made, err := a.render(item, s)
			if err != nil {
				return nil, err
			}
			if made != nil {
				out.Content = append(out.Content, made)
			}
		}
		return &out, nil
	}
	for key, value := range source.Pairs(n) {
		made, err := a.render(value, s)
		if err != nil {
			return nil, err
		}
		if made != nil {
			out.Content = append(out.Content, key, made)
		}
	}
	return &out, nil
}

// evaluate gives an expression, or a list of them, with what it comes to. One
// that stands for a condition must be defined; one that is only shown need not.
func (a *Args) evaluate(n *yaml.Node, s jinja.Scope, condition bool) (*yaml.Node, error) {
	e := a.exprs[n]
	if e == nil {
		out := *n
		out.Content = make([]*yaml.Node, len(n.Content))
		for i, item := range n.Content {
			var err error
			if out.Content[i], err = a.evaluate(item, s, true); err != nil {
				return nil, err
			}
		}
		return &out, nil
	}
	v, err := e.Eval(s)
	if err != nil && !condition && isUndefined(n.Value, s) {
		v, err = jinja.FromGo("VARIABLE IS NOT DEFINED!"), nil
	}
	if err != nil {
		return nil, a.file.Relocate(n, err)
	}
	value, err := toNode(v, n)
	if err != nil {
		return nil, err
	}
	truth, known := jinja.Truth(v)
	if !known {
		return nil, &UnknownError{Reason: fmt.Sprintf("whether %s holds", n.Value)}
	}
	made := mapping(n, "text", word(n, n.Value), "true", tagged(n, "!!bool", strconv.FormatBool(truth)))
	if value != nil {
		made.Content = append(made.Content, word(n, "value"), value)
	}
	return made, nil
}

// isUndefined reports whether an expression fails because what it names is not
// there.
func isUndefined(text string, s jinja.Scope) bool {
	e, err := jinja.ParseExpr("("+text+") is undefined", source.Pos{})
	if err != nil {
		return false
	}
	v, err := e.Eval(s)
	missing, known := jinja.Truth(v)
	return err == nil && known && missing
}

// local gives a file of the controller with its content.
func (a *Args) local(n *yaml.Node, arg source.Arg, s jinja.Scope) (*yaml.Node, error) {
	n, err := a.render(n, s)
	if err != nil || n == nil || isNull(n) {
		return nil, err
	}
	path, rest := n.Value, ""
	if arg.Free {
		path, rest = firstWord(path)
	}
	data, mode, err := a.read(path)
	if err != nil {
		return nil, &source.Error{Pos: a.file.Pos(n), Len: len([]rune(path)), Msg: err.Error()}
	}
	return mapping(n, "path", word(n, path), "args", word(n, rest), "data", word(n, string(data)),
		"mode", word(n, fmt.Sprintf("%04o", mode.Perm()))), nil
}

// firstWord cuts free text behind its first word.
func firstWord(text string) (first, rest string) {
	words, err := source.Words(text)
	if err != nil || len(words) == 0 {
		return text, ""
	}
	return words[0].Text, strings.TrimSpace(text[words[0].Start+len(words[0].Raw):])
}

// find gives the path of a file of the controller: absolute, in files beside the
// playbook, or beside the playbook itself.
func (a *Args) find(path string) (string, error) {
	places := []string{path}
	if !filepath.IsAbs(path) {
		places = []string{filepath.Join(a.dir, "files", path), filepath.Join(a.dir, path)}
	}
	for _, place := range places {
		info, err := os.Stat(place)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", err
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("%q is not a regular file", path)
		}
		return place, nil
	}
	return "", fmt.Errorf("no file %q, neither in files beside the playbook nor beside it", path)
}

// biggest is what a file of the controller may hold: it is sent to every host,
// and kept in memory for each.
const biggest = 16 << 20

func (a *Args) read(path string) ([]byte, fs.FileMode, error) {
	place, err := a.find(path)
	if err != nil {
		return nil, 0, err
	}
	in, err := os.Open(place)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(in, biggest+1))
	if err == nil && len(data) > biggest {
		err = fmt.Errorf("%q is bigger than %d bytes", path, biggest)
	}
	if err == nil {
		a.files.Add(place, data)
	}
	return data, info.Mode(), err
}

// toNode puts a value where a node stood; nil for omit.
func toNode(v jinja.Value, at *yaml.Node) (*yaml.Node, error) {
	switch v := v.(type) {
	case jinja.Unknown:
		return nil, &UnknownError{Reason: v.Reason}
	case jinja.Omitted:
		return nil, nil
	case jinja.None:
		return tagged(at, "!!null", ""), nil
	case jinja.Bool:
		return tagged(at, "!!bool", strconv.FormatBool(bool(v))), nil
	case jinja.Int:
		return tagged(at, "!!int", jinja.Text(v)), nil
	case jinja.Float:
		return tagged(at, "!!float", strconv.FormatFloat(float64(v), 'g', -1, 64)), nil
	case *jinja.List:
		return list(v.Items, at)
	case *jinja.Tuple:
		return list(v.Items, at)
	case *jinja.Dict:
		if v.Rest != nil {
			return nil, &UnknownError{Reason: v.Rest.Reason}
		}
		out := mapping(at)
		for i, key := range v.Keys() {
			item, err := toNode(v.Values()[i], at)
			if err != nil {
				return nil, err
			}
			if item != nil {
				out.Content = append(out.Content, word(at, jinja.Text(key)), item)
			}
		}
		return out, nil
	}
	return word(at, jinja.Text(v)), nil
}

func list(items []jinja.Value, at *yaml.Node) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: at.Line, Column: at.Column}
	for _, item := range items {
		n, err := toNode(item, at)
		if err != nil {
			return nil, err
		}
		if n != nil {
			out.Content = append(out.Content, n)
		}
	}
	return out, nil
}

// word is a text in the place of a node. Its style keeps it a text, whatever it
// looks like.
func word(at *yaml.Node, text string) *yaml.Node {
	return tagged(at, "!!str", text)
}

func tagged(at *yaml.Node, tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Style: yaml.TaggedStyle, Value: text, Line: at.Line, Column: at.Column}
}

// mapping is names and their nodes, alternating, in the place of a node.
func mapping(at *yaml.Node, pairs ...any) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			out.Content = append(out.Content, word(at, p))
		case *yaml.Node:
			out.Content = append(out.Content, p)
		}
	}
	return out
}

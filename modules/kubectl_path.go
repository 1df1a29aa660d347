package modules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// jsonPath is a place in an object: .status.phase, .spec.containers[0].image,
// .metadata.labels['k8s-app']. The braces of kubectl may stand around it.
type jsonPath string

// jsonCondition splits PATH=VALUE.
func jsonCondition(text string) (jsonPath, string, error) {
	at := strings.LastIndex(text, "=")
	if at < 0 {
		return "", "", errors.New("it takes jsonpath=PATH=VALUE, such as jsonpath=.status.phase=Running")
	}
	path := strings.TrimSuffix(strings.TrimPrefix(text[:at], "{"), "}")
	if _, err := jsonPath(path).keys(); err != nil {
		return "", "", err
	}
	return jsonPath(path), text[at+1:], nil
}

// keys takes a path apart: strings for fields, ints for places in lists.
func (p jsonPath) keys() ([]any, error) {
	var keys []any
	rest := strings.TrimPrefix(string(p), "$")
	for rest != "" {
		var key string
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			key, rest = rest[1:end], rest[end:]
			if key == "" {
				return nil, fmt.Errorf("the path %q has an empty field", string(p))
			}
			keys = append(keys, key)
		case '[':
			end := strings.Index(rest, "]")
			if end < 0 {
				return nil, fmt.Errorf("the path %q has a [ without ]", string(p))
			}
			key, rest = rest[1:end], rest[end+1:]
			if quoted := strings.Trim(key, `'"`); quoted != key {
				keys = append(keys, quoted)
				continue
			}
			n, err := strconv.Atoi(key)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("the path %q has [%s]; it takes a number from 0 or a quoted field", string(p), key)
			}
			keys = append(keys, n)
		default:
			return nil, fmt.Errorf("the path %q does not begin with a dot; such as .status.phase", string(p))
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the path is empty; such as .status.phase")
	}
	return keys, nil
}

// text is what stands at the path; "absent" where nothing does.
func (p jsonPath) text(o Object) string {
	keys, err := p.keys()
	if err != nil {
		return err.Error()
	}
	var at any = o
	for _, key := range keys {
		switch key := key.(type) {
		case string:
			inner, _ := at.(map[string]any)
			at = inner[key]
		case int:
			list, _ := at.([]any)
			if key >= len(list) {
				return "absent"
			}
			at = list[key]
		}
	}
	return diffValue(at)
}

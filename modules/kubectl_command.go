package modules

import (
	"encoding/json"
	"strings"
)

// kubectlLine is the kubectl command that does the same as a step.
func kubectlLine(namespace string, words ...string) string {
	line := "kubectl"
	if namespace != "" {
		line += " -n " + Quote(namespace)
	}
	for _, w := range words {
		line += " " + Quote(w)
	}
	return line
}

// oneLineJSON is a value as JSON in one line, keys sorted.
func oneLineJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

package vars

import (
	"encoding/json"
	"fmt"

	"runbook/playbooks/jinja"
)

// Encode writes variables as JSON, by name, as they were written: templates are
// not rendered. Equal variables give equal bytes.
func Encode(l Layer) ([]byte, error) {
	plain := make(map[string]json.RawMessage, len(l))
	for name, value := range l {
		text, err := jinja.Encode(value)
		if err != nil {
			return nil, fmt.Errorf("variable %q: %w", name, err)
		}
		plain[name] = text
	}
	return json.Marshal(plain)
}

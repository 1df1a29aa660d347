package runner

import "runbook/playbooks/jinja"

// with is a registered result with one more key. Values are shared between
// tasks, so it is a copy. What is not known as a whole stays that.
func with(v jinja.Value, key string, value jinja.Value) jinja.Value {
	d, ok := v.(*jinja.Dict)
	if !ok {
		return v
	}
	c := &jinja.Dict{Rest: d.Rest}
	for i, k := range d.Keys() {
		c.Set(jinja.Text(k), d.Values()[i])
	}
	c.Set(key, value)
	return c
}

// partial is a result of which a plan knows only some keys.
func partial(known map[string]any, reason string) jinja.Value {
	d := &jinja.Dict{Rest: &jinja.Unknown{Reason: reason}}
	if k, ok := registered(known).(*jinja.Dict); ok {
		for i, key := range k.Keys() {
			d.Set(jinja.Text(key), k.Values()[i])
		}
	}
	return d
}

// itemsOf is what a loop goes through.
func itemsOf(v jinja.Value) ([]jinja.Value, bool) {
	switch v := v.(type) {
	case *jinja.List:
		return v.Items, true
	case *jinja.Tuple:
		return v.Items, true
	}
	return nil, false
}

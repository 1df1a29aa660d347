package playbooks_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/playbooks"
	"runbook/playbooks/jinja"
)

// fields is what a module holds, without what it does not hold.
func fields(t *testing.T, m any) map[string]any {
	t.Helper()
	text, err := json.Marshal(m)
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, json.Unmarshal(text, &all))
	for name, v := range all {
		if v == nil || v == "" || v == false || v == 0.0 {
			delete(all, name)
		}
	}
	return all
}

func TestModuleArguments(t *testing.T) {
	vars := scope{
		"dir": jinja.FromGo("/srv"), "n": jinja.FromGo(3), "no": jinja.Omit,
		"list": jinja.FromGo([]any{"a", "b"}), "evil": jinja.FromGo("{{ dir }}"),
	}
	tests := map[string]struct {
		text string
		want map[string]any
	}{
		"free text":                     {"command: echo hi", map[string]any{"Cmd": "echo hi"}},
		"free text with arguments":      {"command: echo 'a b' creates=/x chdir=\"/a b\" y=1", map[string]any{"Cmd": "echo 'a b'   y=1", "Creates": "/x", "Chdir": "/a b"}},
		"free text of several lines":    {"shell: |\n  a=1\n  echo $a", map[string]any{"Cmd": "a=1\necho $a"}},
		"mapping":                       {"command: {cmd: echo, chdir: '{{ dir }}'}", map[string]any{"Cmd": "echo", "Chdir": "/srv"}},
		"args":                          {"command: echo\nargs: {chdir: '{{ dir }}/x'}", map[string]any{"Cmd": "echo", "Chdir": "/srv/x"}},
		"key=value with a template":     {"command: echo chdir={{ dir }}", map[string]any{"Cmd": "echo", "Chdir": "/srv"}},
		"omit":                          {"command: {cmd: echo, chdir: '{{ no }}'}", map[string]any{"Cmd": "echo"}},
		"a list stays a list":           {"command: {argv: '{{ list }}'}", map[string]any{"Argv": []any{"a", "b"}}},
		"templates inside a list":       {"command: {argv: ['{{ dir }}', '{{ n }}', '{{ no }}']}", map[string]any{"Argv": []any{"/srv", "3"}}},
		"what a machine said is text":   {"command: {cmd: 'echo {{ evil }}'}", map[string]any{"Cmd": "echo {{ dir }}"}},
		"expressions":                   {"assert: {that: n == 3}", map[string]any{"That": []any{map[string]any{"Text": "n == 3", "Value": true, "True": true}}}},
		"several expressions":           {"assert: {that: [n, n > 5]}", map[string]any{"That": []any{map[string]any{"Text": "n", "Value": 3.0, "True": true}, map[string]any{"Text": "n > 5", "Value": false, "True": false}}}},
		"native types below a mapping":  {"debug: {msg: {a: '{{ n }}', b: [1, yes]}}", map[string]any{"Msg": map[string]any{"a": 3.0, "b": []any{1.0, true}}}},
		"key=value for a plain module":  {"stat: path=/etc follow=yes", map[string]any{"Path": "/etc", "Follow": true}},
		"rest":                          {"set_fact: {a: '{{ n }}', b: x}", map[string]any{"Variables": map[string]any{"a": 3.0, "b": "x"}}},
		"text that looks like a number": {"set_fact: {a: \"{{ '3' }}\"}", map[string]any{"Variables": map[string]any{"a": "3"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := task(t, tt.text).Module(vars)
			require.NoError(t, err)
			got := fields(t, m)
			for name, want := range tt.want {
				assert.Equal(t, want, got[name], name)
			}
		})
	}
}

func TestModuleReadsFilesOfTheController(t *testing.T) {
	m, err := task(t, "copy: {src: '{{ name }}', dest: /etc/motd}").Module(scope{"name": jinja.FromGo("motd")})
	require.NoError(t, err)
	src := fields(t, m)["Src"].(map[string]any)
	assert.Equal(t, "motd", src["Path"])
	assert.Equal(t, "aGVsbG8K", src["Data"])
	assert.EqualValues(t, 0o644, src["Mode"])

	m, err = task(t, "script: run.sh one 'two three' creates=/x").Module(scope{})
	require.NoError(t, err)
	assert.Equal(t, "/x", fields(t, m)["Creates"])
	src = fields(t, m)["Script"].(map[string]any)
	assert.Equal(t, "run.sh", src["Path"])
	assert.Equal(t, "one 'two three'", src["Args"])
	assert.Equal(t, "IyEvYmluL3NoCg==", src["Data"])

	_, err = task(t, "copy: {src: '{{ name }}', dest: /x}").Module(scope{"name": jinja.FromGo("none")})
	assert.EqualError(t, err, `x.yml:3:19: no file "none", neither in files beside the playbook nor beside it`)
}

func TestModuleMistakesAtRunTimeArePositioned(t *testing.T) {
	_, err := task(t, "stat: {path: /, follow: '{{ x }}'}").Module(scope{"x": jinja.FromGo("perhaps")})
	assert.EqualError(t, err, `x.yml:3:31: "follow" must be yes or no, found "perhaps"`)
}

func TestModuleSaysWhatIsNotKnownYet(t *testing.T) {
	later := scope{"x": jinja.Unknown{Reason: "the result of a"}}
	for _, text := range []string{
		"command: echo {{ x }}",
		"debug: {msg: ['{{ x }}']}",
		"debug: {var: x}",
		"assert: {that: [x]}",
		"copy: {src: '{{ x }}', dest: /x}",
	} {
		_, err := task(t, text).Module(later)
		var unknown *playbooks.UnknownError
		require.ErrorAs(t, err, &unknown, text)
		assert.Equal(t, "the result of a", unknown.Reason, text)
	}
}

func TestDebugOfAVariableThatIsNotThere(t *testing.T) {
	m, err := task(t, "debug: {var: nope}").Module(scope{})
	require.NoError(t, err)
	assert.Equal(t, "VARIABLE IS NOT DEFINED!", fields(t, m)["Var"].(map[string]any)["Value"])

	_, err = task(t, "assert: {that: nope}").Module(scope{})
	assert.ErrorContains(t, err, "x.yml:3:22: ")
	_, err = task(t, "debug: {var: 1 // 0}").Module(scope{})
	assert.Error(t, err, "another mistake is not hidden")
}

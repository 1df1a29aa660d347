package source_test

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"runbook/runner/source"
)

type inner struct {
	Port int `arg:"port,required"`
}

type expr struct {
	Text  string `arg:"text"`
	Value any    `arg:"value"`
	True  bool   `arg:"true"`
}

type local struct {
	Path string `arg:"path"`
	Data []byte `arg:"data"`
}

type args struct {
	Name    string            `arg:"name,required" alias:"pkg package" doc:"what to install"`
	State   string            `arg:"state" enum:"present absent latest"`
	Upgrade string            `arg:"upgrade" enum:"no yes full"`
	Force   bool              `arg:"force"`
	Count   int               `arg:"count"`
	Small   uint8             `arg:"small"`
	Ratio   float64           `arg:"ratio"`
	Wait    time.Duration     `arg:"wait"`
	List    []string          `arg:"list"`
	Numbers []int             `arg:"numbers"`
	Any     any               `arg:"any"`
	Map     map[string]any    `arg:"map"`
	Env     map[string]string `arg:"env"`
	Mode    fs.FileMode       `arg:"mode"`
	Inner   inner             `arg:"inner"`
	Inners  []inner           `arg:"inners"`
	Maybe   *bool             `arg:"maybe"`
	That    []expr            `arg:"that,expr"`
	Src     *local            `arg:"src,file"`
	Token   int               `arg:"token,secret"`
	ignored string            //nolint:unused // a field without a tag is no argument
}

func TestDecode(t *testing.T) {
	yes := true
	tests := map[string]struct {
		text string
		want args
	}{
		"text from a number":        {"1.10", args{Name: "1.10"}},
		"alias":                     {"{pkg: x}", args{Name: "x"}},
		"boolean words":             {`{name: x, force: "yes"}`, args{Name: "x", Force: true}},
		"boolean for an enum":       {"{name: x, upgrade: yes}", args{Name: "x", Upgrade: "yes"}},
		"boolean for text":          {"{name: true}", args{Name: "True"}},
		"number as text":            {`{name: x, count: "3"}`, args{Name: "x", Count: 3}},
		"fraction":                  {"{name: x, ratio: 2}", args{Name: "x", Ratio: 2}},
		"seconds":                   {"{name: x, wait: 1.5}", args{Name: "x", Wait: 1500 * time.Millisecond}},
		"minutes":                   {"{name: x, wait: 5m}", args{Name: "x", Wait: 5 * time.Minute}},
		"comma separated":           {"{name: x, list: 'a, b,c'}", args{Name: "x", List: []string{"a", "b", "c"}}},
		"list":                      {"{name: x, list: [a, 1]}", args{Name: "x", List: []string{"a", "1"}}},
		"comma separated numbers":   {"{name: x, numbers: '1,2'}", args{Name: "x", Numbers: []int{1, 2}}},
		"anything":                  {"{name: x, any: [1, {a: yes}]}", args{Name: "x", Any: []any{int64(1), map[string]any{"a": true}}}},
		"mapping":                   {"{name: x, map: {a: 1}, env: {A: 1}}", args{Name: "x", Map: map[string]any{"a": int64(1)}, Env: map[string]string{"A": "1"}}},
		"quoted mode":               {`{name: x, mode: "644"}`, args{Name: "x", Mode: 0o644}},
		"plain octal mode":          {"{name: x, mode: 0644}", args{Name: "x", Mode: 0o644}},
		"setuid":                    {`{name: x, mode: "4755"}`, args{Name: "x", Mode: 0o755 | fs.ModeSetuid}},
		"number out of a template":  {"{name: x, mode: !!int 420}", args{Name: "x", Mode: 0o644}},
		"nested":                    {"{name: x, inner: {port: 1}, inners: [{port: 2}]}", args{Name: "x", Inner: inner{1}, Inners: []inner{{2}}}},
		"pointer":                   {"{name: x, maybe: yes}", args{Name: "x", Maybe: &yes}},
		"null is not given":         {"{name: x, count: null, maybe: ~}", args{Name: "x"}},
		"expressions, evaluated":    {"{name: x, that: {text: a, value: 1, 'true': yes}}", args{Name: "x", That: []expr{{"a", int64(1), true}}}},
		"file of the controller":    {"{name: x, src: {path: a, data: b}}", args{Name: "x", Src: &local{"a", []byte("b")}}},
		"null for what is a struct": {"{name: x, inner: ~}", args{Name: "x"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if !strings.HasPrefix(tt.text, "{") {
				tt.text = "name: " + tt.text
			}
			f, n := parse(t, tt.text)
			var got args
			require.NoError(t, f.Decode(n, &got).Err())
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestDecodeFindsMistakes(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"misspelt, not also missing": {"nmae: x", `x.yml:1:1: unknown key "nmae"; did you mean "name"?`},
		"enum":                       {"name: x\nstate: lattest", `x.yml:2:8: "state" cannot be "lattest"; want one of present, absent, latest; did you mean "latest"?`},
		"missing":                    {"force: yes", `x.yml:1:1: "name" is missing`},
		"missing because null":       {"name:", `x.yml:1:1: "name" is missing`},
		"given under two names":      {"name: x\npkg: y", `x.yml:2:1: "pkg" and "name" are the same argument; keep one of them`},
		"not a boolean":              {"name: x\nforce: maybe", `x.yml:2:8: "force" must be yes or no, found "maybe"`},
		"not a number":               {"name: x\ncount: many", `x.yml:2:8: "count" must be a whole number, found "many"`},
		"too big":                    {"name: x\nsmall: 256", `x.yml:2:8: "small" must be a whole number of at most 8 bits, found "256"`},
		"negative":                   {"name: x\nsmall: -1", `x.yml:2:8: "small" must be a whole number that is not negative, found "-1"`},
		"negative time":              {"name: x\nwait: -1", `x.yml:2:7: "wait" must be a time that is not negative, found "-1"`},
		"list for text":              {"name: [x]", `x.yml:1:7: "name" must be text, found a list`},
		"mapping for a list":         {"name: x\nlist: {a: 1}", `x.yml:2:7: "list" must be a list, found a mapping`},
		"text for a mapping":         {"name: x\nmap: y", `x.yml:2:6: "map" must be a mapping, found "y"`},
		"decimal mode":               {"name: x\nmode: 644", `x.yml:2:7: "mode" is the decimal number 644, not an octal mode; write "0644"`},
		"symbolic mode":              {"name: x\nmode: u+x", `x.yml:2:7: "mode" must be octal, found "u+x"; symbolic modes depend on what is there; write the whole mode, such as "0644"`},
		"secret is not quoted":       {"name: x\ntoken: hunter2", `x.yml:2:8: "token" must be a whole number, found text`},
		"inside a list":              {"name: x\ninners: [{port: 1}, {prot: 2}]", `x.yml:2:22: unknown key "prot"; did you mean "port"?`},
		"in a comma separated list":  {"name: x\nnumbers: 1, b", `x.yml:2:13: "numbers" must be a whole number, found "b"`},
		"all of them":                {"nmae: x\nstate: y\ncount: z", "x.yml:1:1: unknown key \"nmae\"; did you mean \"name\"?\nx.yml:2:8: \"state\" cannot be \"y\"; want one of present, absent, latest\nx.yml:3:8: \"count\" must be a whole number, found \"z\""},
		"text without a free field":  {"some text", `x.yml:1:1: want a mapping, found "some text"; allowed: any, count, env, force, inner, inners, list, map, maybe, mode, name, numbers, package, pkg, ratio, small, src, state, that, token, upgrade, wait`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, n := parse(t, tt.text)
			for _, read := range []func() source.Errors{
				func() source.Errors { return f.Decode(n, &args{}) },
				func() source.Errors { return f.Vet(n, &args{}) },
			} {
				assert.Equal(t, tt.want, read().Error())
			}
		})
	}
}

func TestVetAcceptsWhatIsNotKnownYet(t *testing.T) {
	f, n := parse(t, `
name: "{{ a }}"
state: "{{ b }}"
count: "{{ c }}"
inner: "{{ d }}"
list: ["{{ e }}", x]
mode: "{{ f }}"
that: [a == 1, b]
src: files/x
`)
	require.NoError(t, f.Vet(n, &args{}).Err())
	errs := f.Decode(n, &args{})
	assert.NotEmpty(t, errs, "the same text is not good for a number once everything is known")
}

func TestVetOfOneExpression(t *testing.T) {
	f, n := parse(t, "{name: x, that: a is defined}")
	var got args
	require.NoError(t, f.Vet(n, &got).Err())
	assert.Equal(t, []expr{{Text: "a is defined"}}, got.That)
}

type free struct {
	Text  string         `arg:"cmd,required,free"`
	Dir   string         `arg:"chdir"`
	Extra map[string]any `arg:",rest"`
}

func (a *free) Validate() error {
	if a.Dir == "bad" {
		return errors.New("chdir cannot be bad")
	}
	return nil
}

func TestFreeTextRestAndValidate(t *testing.T) {
	f, n := parse(t, "echo hi")
	var got free
	require.NoError(t, f.Decode(n, &got).Err())
	assert.Equal(t, free{Text: "echo hi"}, got)

	f, n = parse(t, "{cmd: x, other: [1]}")
	got = free{}
	require.NoError(t, f.Decode(n, &got).Err())
	assert.Equal(t, free{Text: "x", Extra: map[string]any{"other": []any{int64(1)}}}, got)

	f, n = parse(t, "{cmd: x, chdir: bad}")
	assert.EqualError(t, f.Decode(n, &free{}), "x.yml:1:17: chdir cannot be bad", "at the argument that the message begins with")
	f, n = parse(t, "{cmd: '{{ x }}', chdir: bad}")
	assert.NoError(t, f.Vet(n, &free{}).Err(), "not judged before everything is known")
}

func TestArgs(t *testing.T) {
	got := source.ArgsOf(&args{State: "present", Wait: 90 * time.Second, Mode: 0o644, List: []string{"a", "b"}, Force: true})
	require.Len(t, got, 20)
	assert.Equal(t, source.Arg{Name: "name", Aliases: []string{"pkg", "package"}, Type: "text", Required: true, Doc: "what to install"}, got[0])
	assert.Equal(t, source.Arg{Name: "state", Type: "text", Enum: []string{"present", "absent", "latest"}, Default: "present"}, got[1])
	defaults := map[string]string{}
	for _, a := range got {
		if a.Default != "" {
			defaults[a.Name] = a.Default
		}
	}
	assert.Equal(t, map[string]string{"state": "present", "wait": "90", "mode": "0644", "list": "a, b", "force": "true"}, defaults)
	assert.Equal(t, "port", got[14].Args[0].Name)
	assert.Equal(t, "an expression or a list of expressions", got[17].Type)
	assert.Equal(t, "cmd", source.FreeArg(source.Args(reflect.TypeFor[*free]())))
}

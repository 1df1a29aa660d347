package jinja

import (
	"errors"
	"testing"

	"runbook/runner/source"
)

// addSeeds adds the templates of the compatibility cases.
func addSeeds(f *testing.F) vars {
	scope, cases := compatCases(f)
	for _, c := range cases {
		f.Add(c.Template)
	}
	f.Add("{% macro m(a, *b) %}{% call(x) y() %}{{- '\\u00' ~ [::] -}}{% endcall %}")
	f.Add("{{ '%*.*f{!r:>{}}' | format(1, 2.5, '{0[a].b}'.format(d)) }}")
	return scope
}

// FuzzRender holds every text to the promise that it gives a value or an error
// with a place, within the limits, and changes no variable.
func FuzzRender(f *testing.F) {
	scope := addSeeds(f)
	before := Text(FromGo(map[string]Value(scope)))
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string, source.Pos) (*Template, error){Parse, ParseFile} {
			template, err := parse(text, at(1, 1))
			if err == nil {
				template.Names()
				var v Value
				if v, err = template.Render(scope); err == nil {
					ToGo(v)
				}
			}
			wantPlaced(t, err)
		}
		if after := Text(FromGo(map[string]Value(scope))); after != before {
			t.Errorf("the variables changed to %s", after)
		}
	})
}

func FuzzExpr(f *testing.F) {
	scope := addSeeds(f)
	f.Add("n > 40 and not (s is match('x') or d.b.c in [1, 2][::-1])")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExpr(text, at(1, 1))
		if err == nil {
			_, err = e.Eval(scope)
		}
		wantPlaced(t, err)
	})
}

func wantPlaced(t *testing.T, err error) {
	var e *source.Error
	if err != nil && (!errors.As(err, &e) || e.Pos.Line < 1 || e.Pos.Col < 1 || e.Msg == "") {
		t.Errorf("an error without a place: %v", err)
	}
}

// FuzzPattern holds a translated pattern to be one for the engine, or refused.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{`(\w+) [\W_]*$`, `[^]a\]b-z]{,3}(?P<x>\bé)?`, `\u00e9|\x41|[\d\s\S]`, `(?i)a*?b++`, `[[:alpha:]]`} {
		f.Add(p, "Hello wörld\n")
	}
	f.Fuzz(func(t *testing.T, text, input string) {
		p, err := compile(text, false, false)
		if err != nil {
			return
		}
		if _, err := p.matches(&budget{}, input, -1); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	})
}

package journal

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"runbook/runner"
)

func TestOutputIsCappedInTheMiddle(t *testing.T) {
	require.Equal(t, strings.Repeat("x", outputCap), string(capped(strings.Repeat("x", outputCap))))
	for _, c := range []string{"x", "é", "日", "😀", "\xff"} {
		for shift := range 5 {
			text := strings.Repeat("a", shift) + strings.Repeat(c, 2*outputCap/len(c)) + "the end"
			got := string(capped(text))
			require.LessOrEqual(t, len(got), outputCap)
			require.Greater(t, len(got), outputCap-256)
			head, rest, ok := strings.Cut(got, "\n[... ")
			require.True(t, ok)
			number, tail, ok := strings.Cut(rest, " bytes are left out ...]\n")
			require.True(t, ok)
			require.Equal(t, fmt.Sprint(len(text)-len(head)-len(tail)), number)
			require.True(t, strings.HasPrefix(text, head) && strings.HasSuffix(text, tail))
			require.Equal(t, utf8.ValidString(text), utf8.ValidString(got), "no character is cut")
		}
	}
}

func TestNamesOfHostsAndTasksAreNoPaths(t *testing.T) {
	for text, want := range map[string]string{
		"web1.example.com": "web1.example.com",
		"":                 "%",
		".":                "%2E",
		"..":               "%2E.",
		"../../etc/passwd": "%2E.%2F..%2Fetc%2Fpasswd",
		"a b\x00\n":        "a%20b%00%0A",
		"[::1]:22":         "%5B%3A%3A1%5D%3A22",
		"%41":              "%2541",
		"é":                "%C3%A9",
		"C:\\x":            "C%3A%5Cx",
	} {
		require.Equal(t, want, safe(text))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		require.Equal(t, a == b, safe(a) == safe(b))
		name := safe(a)
		require.LessOrEqual(t, len(name), nameCap)
		require.Equal(t, name, path.Base(name))
		require.NotEqual(t, byte('.'), name[0])
	})
	long := strings.Repeat("n", 300)
	require.NotEqual(t, safe(long+"a"), safe(long+"b"))
}

func TestFilesOfHostileNamesStayInTheirFolder(t *testing.T) {
	m, w := begun(t)
	for i, name := range []string{"../../../etc", "/abs", "a/../../b", "..", "out", strings.Repeat("../", 100)} {
		o := aResult(name, i)
		o.Task, o.Stdout, o.Stderr = name, "out of "+name, "err of "+name
		o.Value = json.RawMessage(`"` + strings.Repeat("v", inlineCap) + `"`)
		require.NoError(t, w.Put(ctx, o, true))
	}
	require.NoError(t, w.Close())
	for name := range m.names {
		require.True(t, name == "." || name == "runs" || name == runDir || name == runDir+"/"+fileName || name == runDir+"/out" ||
			strings.HasPrefix(name, runDir+"/out/") && strings.Count(name, "/") <= 4, name)
	}
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	for _, r := range c.Records() {
		o := r.(runner.Outcome)
		out, stderr, err := c.Output(o)
		require.NoError(t, err)
		require.Equal(t, []string{"out of " + o.Host, "err of " + o.Host}, []string{out, stderr})
		require.Len(t, o.Value, inlineCap+2)
	}
}

func TestFilesBesideThatWereChangedAreSeen(t *testing.T) {
	m := newMemory("runs")
	require.NoError(t, tell(m, lives()).err)
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	o := c.Records()[3].(runner.Outcome)
	out, stderr, err := c.Output(o)
	require.NoError(t, err)
	require.Equal(t, []string{"Setting up ipset\n", "warning\n"}, []string{out, stderr})

	file := m.names[runDir+"/out/web1/1.tasks-1.0.0.out"]
	file.data[0]++
	out, stderr, err = c.Output(o)
	require.ErrorContains(t, err, "runs/x: out/web1/1.tasks-1.0.0.out does not hold what was written to it")
	require.Empty(t, out)
	require.Equal(t, "warning\n", stderr, "the other one is good")
	file.data = file.data[:3]
	_, _, err = c.Output(o)
	require.ErrorContains(t, err, "has 3 bytes, 17 were written")
	delete(m.names, runDir+"/out/web1/1.tasks-1.0.0.out")
	_, _, err = c.Output(o)
	require.ErrorContains(t, err, "1.tasks-1.0.0.out")

	large := m.names[runDir+"/out/web2/1.tasks-1.0.0.json"]
	for i := range 40 {
		large.data[i] ^= 4
		_, err = read(m.open, runDir)
		var d *Damage
		require.ErrorAs(t, err, &d, i)
		require.Equal(t, 7, d.Line)
		large.data[i] ^= 4
	}
	_, err = read(m.open, runDir)
	require.NoError(t, err)

	_, _, err = (&Contents{}).Output(o)
	require.NoError(t, err, "contents of nowhere have no files")
}

func TestWhatFitsStaysInTheLine(t *testing.T) {
	for _, c := range []struct {
		value, sealed int
		files         int
	}{{inlineCap - 2, 0, 0}, {inlineCap - 1, 0, 1}, {100, inlineCap - 102, 0}, {100, inlineCap, 1}} {
		m, w := begun(t)
		o := aResult("web1", 1)
		o.Value, o.Sealed = json.RawMessage(`"`+strings.Repeat("v", c.value)+`"`), strings.Repeat("s", c.sealed)
		require.NoError(t, w.Put(ctx, o, true))
		require.NoError(t, w.Close())
		files := 0
		for name := range m.names {
			if strings.HasSuffix(name, ".json") {
				files++
			}
		}
		require.Equal(t, c.files, files)
		got, err := read(m.after(losses[1]).open, runDir)
		require.NoError(t, err)
		require.Equal(t, []runner.Record{o}, got.Records())
	}
}

package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

func TestATailTornAtEveryByte(t *testing.T) {
	data, _ := smallRun(t)
	whole, err := read(holding(data).open, runDir)
	require.NoError(t, err)
	require.Empty(t, whole.Notice)
	all := flat(t, whole)
	require.Len(t, all, 4)
	for n := range len(data) + 1 {
		for what, torn := range map[string][]byte{
			"cut":           data[:n],
			"zeros instead": append(bytes.Clone(data[:n]), make([]byte, len(data)-n)...),
			"zeros after":   append(bytes.Clone(data[:n]), make([]byte, 4096)...),
		} {
			lines := bytes.Count(data[:n], []byte("\n"))
			m := holding(torn)
			c, err := read(m.open, runDir)
			if lines == 0 {
				require.ErrorIs(t, err, ErrNeverBegan, "%s at %d", what, n)
				require.ErrorContains(t, err, "runs/x/journal.jsonl", "the place")
				continue
			}
			require.NoError(t, err, "%s at %d", what, n)
			require.Equal(t, all[:lines], flat(t, c), "%s at %d", what, n)
			left := len(torn) - bytes.LastIndexByte(data[:n], '\n') - 1
			if left == 0 {
				require.Empty(t, c.Notice)
			} else {
				require.Contains(t, c.Notice, fmt.Sprintf("runs/x/journal.jsonl:%d: the last line was not written whole (%d bytes)", lines+1, left))
			}
			require.Equal(t, torn, m.names[runDir+"/"+fileName].data, "reading changes nothing")
			goesOn(t, m, all[:lines])
		}
	}
}

// goesOn resumes a run, and finds in its journal what was there and what is new.
func goesOn(t *testing.T, m *memory, before []any) {
	t.Helper()
	w, c, err := reopen(m.open, runDir, aResumption(99))
	require.NoError(t, err)
	require.Equal(t, before, flat(t, c))
	require.NoError(t, w.Put(context.Background(), runner.Halted{Reason: "again", At: clock(200)}, true))
	require.NoError(t, w.Close())
	found := m.after(losses[1]) // all that was not durable is gone
	c, err = read(found.open, runDir)
	require.NoError(t, err)
	require.Empty(t, c.Notice)
	want := append(before[:len(before):len(before)], aResumption(99), runner.Halted{Reason: "again", At: clock(200)})
	require.Equal(t, want, flat(t, c))
}

func TestABitFlippedAtEveryByte(t *testing.T) {
	data, _ := smallRun(t)
	line := 1
	for i := range data {
		for bit := range 8 {
			bad := bytes.Clone(data)
			bad[i] ^= 1 << bit
			m := holding(bad)
			_, err := read(m.open, runDir)
			var d *Damage
			require.ErrorAs(t, err, &d, "byte %d, bit %d", i, bit)
			require.Equal(t, line, d.Line, "byte %d, bit %d: %s", i, bit, d.Problem)
			require.Equal(t, "runs/x/journal.jsonl", d.Path)
			if bit == i%8 { // one of them is enough to see that nothing is written
				before := m.listing()
				_, _, err = reopen(m.open, runDir, aResumption(99))
				require.ErrorAs(t, err, &d)
				require.Equal(t, before, m.listing(), "a damaged journal is left as it is")
			}
		}
		if data[i] == '\n' {
			line++
		}
	}
	require.Equal(t, 5, line)
}

func TestLinesThatAreMissingMovedOrForged(t *testing.T) {
	data, _ := smallRun(t)
	lines := bytes.SplitAfter(data, []byte("\n"))[:4]
	other := sealed(t, `{"v":1,"seq":2,"ev":"halted","reason":"x","at":"2026-11-23T00:45:12Z","prev":"0123456789abcdef"`)
	head := string(lines[0])
	link := chain(lines[0][:len(lines[0])-1])
	for what, c := range map[string]struct {
		file    string
		line    int
		problem string
	}{
		"one is missing":      {head + string(lines[2]), 2, "number 3, wanted 2"},
		"the first missing":   {string(lines[1]), 1, "number 2, wanted 1"},
		"two are exchanged":   {head + string(lines[2]) + string(lines[1]), 2, "number 3, wanted 2"},
		"one is there twice":  {head + string(lines[1]) + string(lines[1]), 3, "number 2, wanted 3"},
		"of another journal":  {head + other, 2, `follows one named "0123456789abcdef"`},
		"an unknown kind":     {head + sealed(t, `{"v":1,"seq":2,"ev":"party","prev":"`+link+`"`), 2, `kind "party"`},
		"a second header":     {head + sealed(t, `{"v":1,"seq":2,"ev":"run","prev":"`+link+`"`), 2, `of the kind "run"`},
		"no header":           {sealed(t, `{"v":1,"seq":1,"ev":"halted","prev":"0000000000000000"`), 1, `of the kind "halted"`},
		"a newer format":      {head + sealed(t, `{"v":2,"seq":2,"ev":"party","prev":"`+link+`"`), 2, "format 2; this runbook reads up to 1: use a newer one"},
		"a newer first line":  {`{"v":12,"all":"is different"}` + "\n", 1, "format 12"},
		"no format":           {head + sealed(t, `{"seq":2,"ev":"halted","prev":"`+link+`"`), 2, "no format"},
		"a wrong type":        {head + sealed(t, `{"v":1,"seq":2,"ev":"halted","reason":5,"prev":"`+link+`"`), 2, "cannot unmarshal"},
		"not JSON":            {head + sealed(t, `{"v":1,"seq":2,"ev":"halted",,"prev":"`+link+`"`), 2, "cannot be read"},
		"an empty line":       {head + "\n" + string(lines[1]), 2, "does not end with"},
		"bytes before":        {"x" + head, 1, "checksum"},
		"zeros in the middle": {head + string(make([]byte, 512)) + "\n" + string(lines[1]), 2, "does not end with"},
		"files out of place":  {head + sealed(t, `{"v":1,"seq":2,"ev":"outcome","large":{"file":"../../key","size":1,"sha256":"00"},"prev":"`+link+`"`), 2, "not a file below out"},
		"files that are gone": {head + sealed(t, `{"v":1,"seq":2,"ev":"outcome","large":{"file":"out/a","size":1,"sha256":"00"},"prev":"`+link+`"`), 2, "out/a"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := read(holding([]byte(c.file)).open, runDir)
			var d *Damage
			require.ErrorAs(t, err, &d)
			require.Equal(t, c.line, d.Line)
			require.Contains(t, d.Problem, c.problem)
			require.ErrorContains(t, err, fmt.Sprintf("runs/x/journal.jsonl:%d: ", c.line))
		})
	}
}

// sealed ends a line as the journal does.
func sealed(t *testing.T, body string) string {
	t.Helper()
	return string(appendChecksum([]byte(body), 0)) + "\n"
}

// calls is how many calls of the disk the whole story takes.
func calls(t *testing.T) int {
	t.Helper()
	m := newMemory("runs")
	tale := tell(m, lives())
	require.NoError(t, tale.err)
	n := m.calls
	c, err := read(m.open, runDir)
	require.NoError(t, err)
	require.Equal(t, tale.told, flat(t, c))
	return n
}

func TestADiskThatFailsAtEveryCall(t *testing.T) {
	n := calls(t)
	require.Greater(t, n, 60)
	ended := 0
	for how, failure := range failures {
		for k := 1; k <= n; k++ {
			for _, last := range []int{k, 1 << 30} { // this call, or all from this one on
				m := newMemory("runs")
				m.failFrom, m.failTo, m.failure = k, last, failure
				tale := tell(m, lives())
				m.failTo = 0
				at := fmt.Sprintf("%s, calls %d to %d", how, k, last)
				if tale.err != nil {
					ended++
					require.ErrorIs(t, tale.err, failure, at)
					require.ErrorContains(t, tale.err, "runs/x", "the place: %s", at)
				}
				if tale.after != nil {
					require.Equal(t, tale.err.Error(), tale.after.Error(), "the first error stays: %s", at)
				} else {
					require.False(t, last > k && tale.err == nil, "nobody said that the disk is %s", at)
				}
				for _, l := range losses {
					holds(t, m.after(l), tale, at+": "+l.name)
				}
				// The kernel that has failed shows what its disk may not have.
				resumes(t, m, tale, at)
			}
		}
	}
	require.Greater(t, ended, 2*2*(n-5), "most failures end the run")
	t.Logf("%d calls, %d failures of them", n, ended)
}

func TestThePowerIsCutAfterEveryCall(t *testing.T) {
	n := calls(t)
	for k := 1; k <= n; k++ {
		m := newMemory("runs")
		m.cutAfter = k
		tale := tell(m, lives())
		for _, l := range losses {
			at := fmt.Sprintf("after call %d: %s", k, l.name)
			found := m.after(l)
			holds(t, found, tale, at)
			resumes(t, found, tale, at)
		}
	}
}

// holds says that a journal has all that was acknowledged, and nothing that was
// not put. It gives what it found.
func holds(t *testing.T, m *memory, tale *tale, at string) []any {
	t.Helper()
	c, err := read(m.open, runDir)
	if err != nil {
		require.Zero(t, tale.acked, "%s: %v", at, err)
		require.True(t, errors.Is(err, ErrNeverBegan) || errors.Is(err, fs.ErrNotExist), "%s: %v", at, err)
		return nil
	}
	got := bare(flat(t, c))
	require.GreaterOrEqual(t, len(got), tale.acked, at)
	require.LessOrEqual(t, len(got), len(tale.told), at)
	require.Equal(t, bare(tale.told)[:len(got)], got, at)
	return got
}

// resumes says that a run goes on from what holds, and that no power cut after
// that takes back what was there.
func resumes(t *testing.T, m *memory, tale *tale, at string) {
	t.Helper()
	found := holds(t, m, tale, at)
	if found == nil {
		return
	}
	w, _, err := reopen(m.open, runDir, aResumption(50))
	require.NoError(t, err, at)
	require.NoError(t, w.Put(context.Background(), runner.Halted{Reason: at}, true), at)
	require.NoError(t, w.Close(), at)
	for _, l := range losses {
		c, err := read(m.after(l).open, runDir)
		require.NoError(t, err, "%s, then %s", at, l.name)
		want := append(found[:len(found):len(found)], aResumption(50), runner.Halted{Reason: at})
		require.Equal(t, want, bare(flat(t, c)), "%s, then %s", at, l.name)
	}
}

package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRead reads anything as a journal, and once more with the checksums, the
// numbers and the chain put right, so that what is behind them is reached. A
// journal that is read can be resumed, and says the same after that.
func FuzzRead(f *testing.F) {
	old, err := filepath.Glob("testdata/v*/*.jsonl")
	require.NoError(f, err)
	require.NotEmpty(f, old)
	for _, path := range old {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
		f.Add(append(data, 0, 0, 0))
	}
	for _, text := range []string{"", "\n", "{}\n", `{"v":9}` + "\n", `{"v":1,"seq":1,"ev":"run","prev":"0000000000000000","crc":"00000000"}` + "\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		reads(t, data)
		reads(t, mended(data))
	})
}

func reads(t *testing.T, data []byte) {
	m := holding(data)
	c, err := read(m.open, runDir)
	if err != nil {
		var d *Damage
		require.True(t, errors.As(err, &d) || errors.Is(err, ErrNeverBegan), "%v", err)
		if d != nil {
			require.Positive(t, d.Line)
			require.LessOrEqual(t, d.Line, bytes.Count(data, []byte("\n"))+1)
			require.NotEmpty(t, d.Problem)
		}
		return
	}
	said := flat(t, c)
	turn := c.Lives[len(c.Lives)-1].Turn
	if turn == int(^uint(0)>>1) {
		return // no number is higher
	}
	w, _, err := reopen(m.open, runDir, aResumption(turn+1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	c, err = read(m.open, runDir)
	require.NoError(t, err)
	require.Empty(t, c.Notice)
	require.Equal(t, append(said, aResumption(turn+1)), flat(t, c))
}

// mended puts right what stands around the fields of each line.
func mended(data []byte) []byte {
	var out []byte
	prev := noLine
	for i, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		ev, fields := aHeader, line
		if _, rest, ok := bytes.Cut(line, []byte(`"ev":"`)); ok {
			if k, rest, ok := bytes.Cut(rest, []byte(`",`)); ok {
				ev, fields = kind(k), rest
			}
		}
		if end := bytes.LastIndex(fields, []byte(`,"prev":"`)); end >= 0 {
			fields = fields[:end]
		}
		start := len(out)
		out = appendLine(out, i+1, ev, append(append([]byte("{"), fields...), '}'), prev)
		prev = chain(out[start : len(out)-1])
	}
	return out
}

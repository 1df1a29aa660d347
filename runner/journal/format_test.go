package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

var update = flag.Bool("update", false, "write what journals say anew (testdata/v*/*.golden); the journals themselves never change")

func TestTheFormIsWhatItWas(t *testing.T) {
	m, w := begun(t)
	require.NoError(t, w.Put(ctx, runner.Halted{Reason: `a <b> "c" é ` + "\x1b\n", At: clock(1)}, true))
	require.NoError(t, w.Close())
	require.Equal(t, `{"v":1,"seq":1,"ev":"run","run":"20261123-004512-k3f9","turn":7,"playbook":"playbooks/site.yaml","args":{"limit":"web"},`+
		`"inputs":{"playbooks/site.yaml":"sha256:aa"},"inventory":"sha256:bb","version":"1.2.3","who":"ann@desk","pid":42,"at":"2026-11-23T00:45:12Z",`+
		`"prev":"0000000000000000","crc":"CRC1"}
{"v":1,"seq":2,"ev":"halted","reason":"a <b> \"c\" é \u001b\n","at":"2026-11-23T00:45:13Z","prev":"PREV","crc":"CRC2"}
`, blank(t, m.names[runDir+"/"+fileName].data))
}

// blank checks the checksums and the chain by another way than the journal's,
// and takes them out.
func blank(t *testing.T, data []byte) string {
	t.Helper()
	lines := strings.SplitAfter(string(data), "\n")
	for i, line := range lines[:2] {
		body, _, ok := strings.Cut(line, `,"crc":"`)
		require.True(t, ok)
		var says struct{ Prev, Crc string }
		require.NoError(t, json.Unmarshal([]byte(line), &says))
		sum, err := hex.DecodeString(says.Crc)
		require.NoError(t, err)
		h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		_, _ = h.Write([]byte(body))
		require.Equal(t, h.Sum(nil), sum)
		lines[i] = strings.Replace(line, says.Crc, []string{"CRC1", "CRC2"}[i], 1)
		if i == 1 {
			before := sha256.Sum256(data[:strings.Index(string(data), "\n")])
			require.Equal(t, hex.EncodeToString(before[:8]), says.Prev)
			lines[i] = strings.Replace(lines[i], says.Prev, "PREV", 1)
		}
	}
	return strings.Join(lines, "")
}

var everyRecord = map[kind]any{
	aHeader: Header{}, aResumed: Resumed{}, aDropped: Dropped{},
	anAdopted: runner.Adopted{}, aBatch: runner.BatchBegun{}, anIntent: runner.Intent{}, anOutcome: runner.Outcome{}, aHalted: runner.Halted{}, anEnded: runner.Ended{},
}

// fieldsOf are the names of a record's fields in its line.
func fieldsOf(record any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(record)) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || f.Anonymous {
			continue
		}
		if name == "" {
			name = f.Name
		}
		names = append(names, name)
	}
	return names
}

// `runbook doc journal` names every kind of record, and every field of it.
func TestTheDocumentationNamesEveryField(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "cli", "topics", "journal.md"))
	require.NoError(t, err)
	rows := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, " | "); len(cells) == 3 {
			rows[strings.TrimPrefix(cells[0], "| ")] = cells[2]
		}
	}
	for k, r := range everyRecord {
		words := strings.FieldsFunc(rows[string(k)], func(c rune) bool { return strings.ContainsRune(" ,|\n", c) })
		for _, name := range fieldsOf(r) {
			if name != "at" {
				require.Contains(t, words, name, "the row of %s", k)
			}
		}
	}
}

// A record whose field had the name of one of the line's would be read wrong,
// and only sometimes.
func TestNoRecordHasAFieldOfTheLine(t *testing.T) {
	taken := map[string]bool{"v": true, "seq": true, "ev": true, "prev": true, "crc": true, "out": true, "err": true, "large": true}
	for _, r := range everyRecord {
		for _, name := range fieldsOf(r) {
			require.False(t, taken[strings.ToLower(name)], "%T has the field %s", r, name)
		}
	}
	_, own := reflect.TypeOf(runner.Outcome{}).MethodByName("MarshalJSON")
	require.False(t, own, "it would hide the files of an outcome's line")
}

// recordsOfTheEngine reads them from its code: those with a method record.
func recordsOfTheEngine(t *testing.T) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "record.go"), nil, 0)
	require.NoError(t, err)
	var names []string
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "record" {
			names = append(names, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	return names
}

func TestEveryRecordOfTheEngineIsKept(t *testing.T) {
	samples := map[string]runner.Record{}
	for _, life := range lives() {
		for _, s := range life {
			if r, ok := s.record.(runner.Record); ok {
				samples[reflect.TypeOf(r).Name()] = r
			}
		}
	}
	names := recordsOfTheEngine(t)
	require.GreaterOrEqual(t, len(names), 6)
	for _, name := range names {
		require.Contains(t, samples, name, "the stories of the tests have none, so nobody knows whether it is kept")
	}
	require.Positive(t, calls(t))
}

// Journals of every version stay readable, and go on to say what they said.
func TestOldJournals(t *testing.T) {
	old, err := filepath.Glob("testdata/v*/*.jsonl")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(old), 4)
	for _, path := range old {
		t.Run(strings.TrimPrefix(path, "testdata/"), func(t *testing.T) {
			base := strings.TrimSuffix(path, ".jsonl")
			dir := filepath.Join(t.TempDir(), "x")
			require.NoError(t, os.Mkdir(dir, 0o700))
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), data, 0o600))
			if _, err := os.Stat(base + ".out"); err == nil {
				require.NoError(t, os.CopyFS(filepath.Join(dir, "out"), os.DirFS(base+".out")))
			}
			c, err := Read(dir)
			require.NoError(t, err)
			got, err := json.MarshalIndent(said(t, c), "", "  ")
			require.NoError(t, err)
			if *update {
				require.NoError(t, os.WriteFile(base+".golden", append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(base + ".golden")
			require.NoError(t, err)
			var wanted, have any
			require.NoError(t, json.Unmarshal(want, &wanted))
			require.NoError(t, json.Unmarshal(got, &have))
			contains(t, wanted, have, "")

			w, _, err := Reopen(dir, aResumption(1000))
			require.NoError(t, err, "an old run can be resumed")
			require.NoError(t, w.Close())
		})
	}
}

// said is all that a journal says, in words that do not hang on Go's types.
func said(t *testing.T, c *Contents) map[string]any {
	var records []any
	for _, r := range flat(t, c) {
		v := map[string]any{"is": reflect.TypeOf(r).Name()}
		if o, ok := r.(runner.Outcome); ok {
			v["printed"] = []string{o.Stdout, o.Stderr}
			if len(o.Value) > 1024 {
				v["value"] = chain(o.Value)
				o.Value = nil
			}
			r = o
		}
		v["says"] = r
		records = append(records, v)
	}
	_, notice, _ := strings.Cut(c.Notice, fileName)
	return map[string]any{"records": records, "notice": notice, "ended": c.Ended() != nil}
}

// contains says that all of want is in have: a newer record may say more.
func contains(t *testing.T, want, have any, at string) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		require.IsType(t, want, have, at)
		for name, v := range want {
			contains(t, v, have.(map[string]any)[name], at+"/"+name)
		}
	case []any:
		require.IsType(t, want, have, at)
		require.Len(t, have, len(want), at)
		for i, v := range want {
			contains(t, v, have.([]any)[i], at+"/#")
		}
	default:
		require.Equal(t, want, have, at)
	}
}

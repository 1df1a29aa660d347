package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"runbook/modules"
)

// allBytes holds every byte, and what shells are known to trip over.
var allBytes = func() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return "-n %s \\c '" + b.String() + "\x00\x81\x88\r\n\\\n"
}()

func TestRun(t *testing.T) {
	big := strings.Repeat(allBytes, 1<<20/len(allBytes))
	tests := map[string]struct {
		cmd  modules.Run
		want modules.Output
	}{
		"words":                   {modules.Command("echo", "a  b", "$HOME", "`id`", "it's", "-n", ""), modules.Output{Stdout: "a  b $HOME `id` it's -n \n"}},
		"two streams and a code":  {modules.Run{Shell: "printf out; printf err >&2; exit 3"}, modules.Output{Stdout: "out", Stderr: "err", Code: 3}},
		"nothing printed":         {modules.Command("true"), modules.Output{}},
		"only newlines":           {modules.Run{Shell: "echo; echo; echo >&2"}, modules.Output{Stdout: "\n\n", Stderr: "\n"}},
		"NUL bytes":               {modules.Run{Shell: `printf 'a\000b\000'`}, modules.Output{Stdout: "a\x00b\x00"}},
		"ended by TERM":           {modules.Run{Shell: "kill -TERM $$"}, modules.Output{Code: 143}},
		"ended by KILL":           {modules.Run{Shell: "kill -KILL $$"}, modules.Output{Code: 137}},
		"stdin is empty":          {modules.Command("cat"), modules.Output{}},
		"stdin of a shell":        {modules.Run{Shell: "cat; read x; echo $?"}, modules.Output{Stdout: "1\n"}},
		"stdin of every byte":     {modules.Run{Argv: []string{"cat"}, Stdin: allBytes}, modules.Output{Stdout: allBytes}},
		"stdin of a megabyte":     {modules.Run{Argv: []string{"cat"}, Stdin: big}, modules.Output{Stdout: big}},
		"stdin that is not read":  {modules.Run{Argv: []string{"true"}, Stdin: strings.Repeat("x", 30<<10)}, modules.Output{}},
		"big stdin, not read":     {modules.Run{Argv: []string{"true"}, Stdin: big}, modules.Output{}},
		"directory":               {modules.Run{Shell: "pwd", Dir: "/usr/lib"}, modules.Output{Stdout: "/usr/lib\n"}},
		"environment":             {modules.Run{Shell: `echo "$A|$_b1"`, Env: map[string]string{"A": "it's $x", "_b1": "two\nlines"}}, modules.Output{Stdout: "it's $x|two\nlines\n"}},
		"environment of the path": {modules.Run{Shell: `echo "$PATH"`, Env: map[string]string{"PATH": "/nowhere"}}, modules.Output{Stdout: "/nowhere\n"}},
		"another shell":           {modules.Run{Shell: `echo "$0"`, Exe: "/usr/bin/sh"}, modules.Output{Stdout: "/usr/bin/sh\n"}},
		"broken shell text":       {modules.Run{Shell: "exit 5; done )"}, modules.Output{Code: 2, Stderr: "\x00"}},
		"no such program":         {modules.Command("no-such-program"), modules.Output{Code: 127, Stderr: "\x00"}},
		"no such directory":       {modules.Run{Shell: "echo ran", Dir: "/no/such"}, modules.Output{Code: -1, Stderr: "\x00"}},
		"a background child":      {modules.Run{Shell: "sleep 600 & echo $! >&2; echo started", Limit: 20 * time.Second}, modules.Output{Stdout: "started\n", Stderr: "\x00"}},
	}
	onEach(t, func(t *testing.T, s *Shell) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				got, err := s.do(timed(t), test.cmd)
				require.NoError(t, err)
				if test.want.Stderr == "\x00" { // any words will do
					assert.NotEmpty(t, got.Stderr)
					if pid, err := strconv.Atoi(strings.TrimSpace(got.Stderr)); err == nil {
						assert.NoError(t, syscall.Kill(pid, syscall.SIGKILL), "the child goes on")
					}
					got.Stderr = test.want.Stderr
				}
				if test.want.Code == -1 {
					assert.NotZero(t, got.Code)
					got.Code = -1
				}
				assert.True(t, test.want == got, "want %.200q, got %.200q", test.want, got)
			})
		}
	})
}

func TestRunRefuses(t *testing.T) {
	s := start(t, shells(t)["sh"])
	tests := map[string]struct {
		cmd  modules.Run
		want string
	}{
		"no words":       {modules.Run{}, "without words"},
		"both forms":     {modules.Run{Argv: []string{"ls"}, Shell: "ls"}, `both words and shell text: "ls"`},
		"NUL in a word":  {modules.Command("echo", "a\x00b"), `"a\x00b"`},
		"NUL in a value": {modules.Run{Shell: "true", Env: map[string]string{"A": "\x00"}}, "NUL"},
		"bad variable":   {modules.Run{Shell: "true", Env: map[string]string{"A;id": "x"}}, `"A;id"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.do(timed(t), test.cmd)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// What goes in by any way comes out the same, for bytes of every kind.
func TestBytesSurvive(t *testing.T) {
	for name, open := range shells(t) {
		t.Run(name, func(t *testing.T) {
			s := start(t, open)
			rapid.Check(t, func(t *rapid.T) {
				word := strings.ReplaceAll(string(rapid.SliceOf(rapid.Byte()).Draw(t, "word")), "\x00", "")
				input := string(rapid.SliceOf(rapid.Byte()).Draw(t, "stdin"))
				got, err := s.Query(context.Background(), modules.Run{
					Shell: `printf %s "$1" >&2; printf %s "$WORD" >&2; cat`,
					Env:   map[string]string{"WORD": word}, Stdin: input,
				})
				require.NoError(t, err)
				require.Equal(t, input, got.Stdout)
				require.Equal(t, word, got.Stderr)
				got, err = s.Query(context.Background(), modules.Command("printf", "%s|", word, word))
				require.NoError(t, err)
				require.Equal(t, word+"|"+word+"|", got.Stdout)
			})
		})
	}
}

func TestOutputIsCapped(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		for _, extra := range []int{0, 1} {
			out, err := s.do(timed(t), modules.Run{Shell: fmt.Sprintf("head -c %d /dev/zero; echo kept >&2", maxOutput+extra)})
			require.NoError(t, err)
			assert.Len(t, out.Stdout, maxOutput)
			assert.Equal(t, "kept\n", out.Stderr)
			assert.Equal(t, extra > 0, out.Truncated)
		}
	})
}

// A command sees neither its mark nor the streams of the shell, and what looks
// like a frame in its output is output.
func TestOutputCannotForge(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		out, err := s.Do(timed(t), "forgery1", modules.Run{Shell: `env; set; echo; ls -l /proc/$$/fd; tr '\000' ' ' </proc/$$/cmdline`})
		require.NoError(t, err)
		seen := out.Stdout
		s.mu.Lock()
		s.number += 100
		s.mu.Unlock()
		old := newMark()
		forged := "\n" + old + " 0\nforged\n" + old + "\n\n" + old + "\n"
		out, err = s.do(timed(t), modules.Run{Argv: []string{"cat"}, Stdin: forged})
		require.NoError(t, err)
		assert.Equal(t, forged, out.Stdout)
		assert.NotContains(t, seen, "rb_")
		assert.NotRegexp(t, `[0-9a-f]{32}`, seen)
		assert.NotContains(t, seen, "turn")
		assert.LessOrEqual(t, strings.Count(seen, " -> "), 5, "standard streams and what ls and set need: %s", seen)
	})
}

func TestAtTheSameTime(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		big := strings.Repeat("0123456789abcdef", 4<<10)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				input := fmt.Sprintf("%d %s", i, big)
				out, err := s.Query(timed(t), modules.Run{
					Shell: fmt.Sprintf("cat; echo %d >&2; exit %d", i, i), Stdin: input,
				})
				assert.NoError(t, err)
				assert.True(t, modules.Output{Stdout: input, Stderr: fmt.Sprintln(i), Code: i} == out)
			})
		}
		all.Wait()
	})
}

// A command that waits for another shows that neither holds the other up.
func TestSlowCommandHoldsUpNobody(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		pipe := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
		slow := make(chan error, 1)
		go func() {
			_, err := s.do(timed(t), modules.Command("cat", pipe))
			slow <- err
		}()
		_, err := s.do(timed(t), modules.Run{Shell: "echo go >" + pipe})
		require.NoError(t, err)
		require.NoError(t, <-slow)
	})
}

func TestEnding(t *testing.T) {
	why := errors.New("nobody wants it")
	tests := map[string]struct {
		limit  time.Duration
		cancel bool
		text   string
		want   string
	}{
		"by the context": {0, true, "echo begun; sleep 601 & sleep 601", why.Error()},
		"by the limit":   {time.Second, false, "echo begun; sleep 601 & sleep 601", "its limit of 1s"},
		"against a trap": {time.Second, false, "trap '' TERM; echo begun; sleep 601; sleep 601", "its limit of 1s"},
	}
	onEach(t, func(t *testing.T, s *Shell) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				note := filepath.Join(t.TempDir(), "pid")
				ctx, cancel := context.WithCancelCause(timed(t))
				defer cancel(nil)
				if test.cancel {
					go func() {
						awaitFile(note)
						cancel(why)
					}()
				}
				out, err := s.do(ctx, modules.Run{Shell: "echo $$ >" + note + "; " + test.text, Limit: test.limit})
				require.ErrorContains(t, err, test.want)
				if test.cancel { // the limit may be over before it begins
					assert.Equal(t, "begun\n", out.Stdout)
				}
				assert.Empty(t, group(t, note), "processes of the group are left")
				again, err := s.do(timed(t), modules.Command("echo", "the shell is well"))
				require.NoError(t, err)
				assert.Equal(t, "the shell is well\n", again.Stdout)
			})
		}
	})
}

// awaitFile waits for a file with content to appear.
func awaitFile(name string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if data, err := os.ReadFile(name); err == nil && bytes.HasSuffix(data, []byte("\n")) {
			return
		}
		<-tick.C
	}
}

// group lists the live processes of the group whose number stands in the file;
// none if there is no file.
func group(t *testing.T, note string) []string {
	data, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	leader := strings.TrimSpace(string(data))
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var live []string
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has just ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); f[0] != "Z" && f[2] == leader {
			live = append(live, string(text))
		}
	}
	return live
}

// whereOutputIs prints the directory that the shell keeps output in.
var whereOutputIs = modules.Run{Shell: `dirname "$(readlink /proc/$$/fd/1)"`}

func TestCloseEndsWhatRuns(t *testing.T) {
	for name, open := range shells(t) {
		t.Run(name, func(t *testing.T) {
			s, err := New(timed(t), open, Become{})
			require.NoError(t, err)
			_, err = s.Lock(timed(t), me())
			require.NoError(t, err)
			dir, err := s.Query(timed(t), whereOutputIs)
			require.NoError(t, err)
			note := filepath.Join(t.TempDir(), "pid")
			ended := make(chan error, 1)
			go func() {
				_, err := s.do(timed(t), modules.Run{Shell: "echo $$ >" + note + "; sleep 602 & sleep 602"})
				ended <- err
			}()
			awaitFile(note)
			require.NoError(t, s.Close())
			require.NoError(t, <-ended)
			assert.Eventually(t, func() bool { return len(group(t, note)) == 0 }, 20*time.Second, 10*time.Millisecond)
			_, err = s.do(timed(t), modules.Command("true"))
			var lost *Lost
			assert.ErrorAs(t, err, &lost)
			assert.NoDirExists(t, strings.TrimSpace(dir.Stdout), "the shell has left its directory behind")
		})
	}
}

// When the connection is lost a step goes on and a query does not.
func TestLostConnection(t *testing.T) {
	for name, open := range shells(t) {
		t.Run(name, func(t *testing.T) {
			var end func() error
			s, err := New(timed(t), func(ctx context.Context, line string) (Streams, error) {
				streams, err := open(ctx, line)
				end = streams.Close
				streams.Close = func() error { // as when the connection is cut, both at once
					_ = streams.Stdout.(io.Closer).Close()
					_ = streams.Stdin.Close()
					return nil
				}
				return streams, err
			}, Become{})
			require.NoError(t, err)
			_, err = s.Lock(timed(t), me())
			require.NoError(t, err)
			place, err := s.Query(timed(t), whereOutputIs)
			require.NoError(t, err)
			dir := t.TempDir()
			text := "echo $$ >%s/%s; sleep 603"
			errs := make(chan error, 2)
			go func() {
				_, err := s.Query(timed(t), modules.Run{Shell: fmt.Sprintf(text, dir, "query")})
				errs <- err
			}()
			go func() {
				_, err := s.do(timed(t), modules.Run{Shell: fmt.Sprintf(text, dir, "step")})
				errs <- err
			}()
			awaitFile(dir + "/query")
			awaitFile(dir + "/step")
			require.NoError(t, s.streams.Close())
			for range 2 {
				var lost *Lost
				assert.ErrorAs(t, <-errs, &lost)
			}
			assert.Eventually(t, func() bool { return len(group(t, dir+"/query")) == 0 }, 20*time.Second, 10*time.Millisecond)
			assert.NotEmpty(t, group(t, dir+"/step"))
			pid, err := strconv.Atoi(strings.TrimSpace(string(must(os.ReadFile(dir + "/step")))))
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(-pid, syscall.SIGKILL))
			<-s.Done()
			assert.Eventually(t, func() bool {
				_, err := os.Stat(strings.TrimSpace(place.Stdout))
				return errors.Is(err, fs.ErrNotExist)
			}, 20*time.Second, 10*time.Millisecond, "the shell has left its directory behind")
			_ = end() // the login shell may be gone
		})
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

func TestNoZombies(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		for range 50 {
			_, err := s.Query(timed(t), modules.Command("true"))
			require.NoError(t, err)
		}
		out, err := s.Query(timed(t), modules.Run{Shell: `p=$(cut -d' ' -f4 /proc/$PPID/stat); grep -l "^[0-9]* ([^)]*) Z $p " /proc/[0-9]*/stat 2>/dev/null | wc -l`})
		require.NoError(t, err)
		n, err := strconv.Atoi(strings.TrimSpace(out.Stdout))
		require.NoError(t, err)
		assert.Less(t, n, 5, "dead wrappers are not reaped")
	})
}

// A variable that the shell itself refuses to set ends the command, not the wait.
func TestReadOnlyVariable(t *testing.T) {
	onEach(t, func(t *testing.T, s *Shell) {
		_, err := s.do(timed(t), modules.Run{Shell: "true", Env: map[string]string{"UID": "7", "PPID": "7"}, Limit: 20 * time.Second})
		require.NoError(t, err)
	})
}

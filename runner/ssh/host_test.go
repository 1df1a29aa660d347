package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"runbook/modules"
	"runbook/runner/shell"
)

// connected is a host on the server, which gets a key to log in with.
func connected(t testing.TB, s *server) *Host {
	file, public := newKeyFile(t, "id", "")
	s.keys = []ssh.PublicKey{public}
	s.loginKey = file
	s.serve(t)
	h, err := reach(t, s.options(t, file))
	require.NoError(t, err)
	return h
}

func TestHost(t *testing.T) {
	h := connected(t, &server{})
	ctx := timed(t)
	out, err := h.Query(ctx, modules.Run{Shell: "printf out; printf err >&2; exit 3"})
	require.NoError(t, err)
	assert.Equal(t, modules.Output{Stdout: "out", Stderr: "err", Code: 3}, out)
	name := filepath.Join(t.TempDir(), "file")
	for _, data := range [][]byte{[]byte("small"), bytes.Repeat([]byte("big\x00"), 1<<20)} {
		require.NoError(t, h.Write(ctx, modules.Write{Path: name, Data: data, Mode: 0o640}))
		f, err := h.ReadFile(ctx, name)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(data, f.Data))
		assert.EqualValues(t, 0o640, f.Mode)
	}
	require.NoError(t, h.Remove(ctx, modules.Remove{Path: name}))
	f, err := h.ReadFile(ctx, name)
	require.NoError(t, err)
	assert.False(t, f.Exists)
	left, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// me holds the lock in tests.
var me = shell.Holder{Run: "run1", Session: "s1", Who: "tester@here", Since: time.Unix(1e9, 0)}

// fakeSu stands in for su, as only root may use it without a password.
func fakeSu(t *testing.T) (dir string) {
	dir = t.TempDir()
	text := "#!/bin/sh\nwhile [ \"$1\" != -c ]; do shift; done\nexport AS=\"$3\"\nexec /bin/sh -c \"$2\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "su"), []byte(text), 0o755))
	return dir
}

// Everything works on a server that allows few sessions, for more users than
// there is room for, at the same time.
func TestFewSessions(t *testing.T) {
	for _, most := range []int{1, 2} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			h := connected(t, &server{maxSessions: most})
			var all sync.WaitGroup
			t.Setenv("PATH", fakeSu(t)+":"+os.Getenv("PATH"))
			for _, user := range []string{"", "first", "second"} {
				as := shell.Become{User: user, Method: "su"}
				if user == "" {
					as = shell.Become{}
				}
				h, err := h.As(timed(t), as)
				require.NoError(t, err)
				all.Go(func() {
					for range 3 {
						out, err := h.Query(timed(t), modules.Run{Shell: `echo "$AS"`})
						assert.NoError(t, err)
						assert.Equal(t, user+"\n", out.Stdout)
					}
				})
			}
			name := filepath.Join(t.TempDir(), "file")
			all.Go(func() {
				assert.NoError(t, h.Write(timed(t), modules.Write{Path: name, Data: make([]byte, 2<<20)}))
			})
			all.Wait()
			info, err := os.Stat(name)
			require.NoError(t, err)
			assert.EqualValues(t, 2<<20, info.Size())
		})
	}
}

func TestConnectionIsLost(t *testing.T) {
	s := &server{}
	h := connected(t, s)
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := h.Lock(timed(t), me)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := h.Do(timed(t), "lost-one", modules.Run{Shell: "echo begun >" + pipe + "; cat " + pipe})
		ended <- err
	}()
	begun, err := os.ReadFile(pipe)
	require.NoError(t, err)
	require.Equal(t, "begun\n", string(begun))
	s.cut()
	unreachable(t, <-ended, stageCommand)
	<-h.conn.down
	_, err = h.Query(timed(t), modules.Command("true"))
	unreachable(t, err, stageCommand)
	// The step goes on, and hears what is said to it.
	require.NoError(t, os.WriteFile(pipe, []byte("go\n"), 0o600))
	// A new connection of the same life shares the lock with it, and has its result.
	again, err := reach(t, s.options(t, s.loginKey))
	require.NoError(t, err)
	grip, err := again.Lock(timed(t), me)
	require.NoError(t, err)
	assert.True(t, grip.Fresh)
	fate, out, err := again.Collect(timed(t), "lost-one")
	require.NoError(t, err)
	assert.Equal(t, shell.Finished, fate)
	assert.Equal(t, modules.Output{Stdout: "go\n"}, out)
	require.NoError(t, again.Forget(timed(t), []string{"lost-one"}))
}

func TestHostThatFallsSilent(t *testing.T) {
	s := &server{}
	h := connected(t, s)
	works(t, h)
	s.mute.Store(true)
	go h.conn.keepAlive(10 * time.Millisecond)
	<-h.conn.down
	_, err := h.Query(timed(t), modules.Command("true"))
	unreachable(t, err, stageCommand, "did not answer for 30ms")
}

func TestServerThatIsBusy(t *testing.T) {
	s := &server{dropFirst: 2}
	works(t, connected(t, s))
	assert.EqualValues(t, 3, s.accepted.Load())
}

func TestNoWayThere(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	silent := (&server{silent: true, keys: []ssh.PublicKey{public}}).serve(t)
	closed := (&server{}).serve(t)
	_ = closed.listener.Close()
	drops := (&server{dropFirst: 1000}).serve(t)
	tests := map[string]struct {
		s     *server
		addr  string
		stage string
		want  string
	}{
		"nobody listens":     {closed, "127.0.0.1", stageConnect, "connect to " + closed.addr + ": connection refused"},
		"silent server":      {silent, "127.0.0.1", stageHandshake, "timeout after 200ms"},
		"drops all":          {drops, "127.0.0.1", stageHandshake, "the server closed the connection"},
		"no such host":       {silent, "no-such-host.invalid", stageConnect, "connect to no-such-host.invalid:"},
		"option for a name":  {silent, "-oProxyCommand=id", "", `"-oProxyCommand=id" is not the name`},
		"command for a name": {silent, "a;id", "", `"a;id" is not the name`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := test.s.options(t, file)
			o.Addr = test.addr
			if test.s == silent {
				o.ConnectTimeout = 200 * time.Millisecond
			}
			_, err := reach(t, o)
			if test.stage == "" {
				assert.ErrorContains(t, err, test.want)
				return
			}
			unreachable(t, err, test.stage, test.want)
		})
	}
}

func TestUserHasHadEnough(t *testing.T) {
	file, _ := newKeyFile(t, "id", "")
	silent := (&server{silent: true}).serve(t)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(timed(t))
	go func() {
		for silent.accepted.Load() < 1 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
		cancel(why)
	}()
	_, err := new(Dialer).Dial(ctx, silent.options(t, file))
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, silent.addr+": handshake: enough")
	var u *Unreachable
	assert.False(t, errors.As(err, &u), "the host is not to blame")
}

func TestJump(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	keys := []ssh.PublicKey{public}
	outer := (&server{keys: keys, maxSessions: 1}).serve(t)
	inner := (&server{keys: keys}).serve(t)
	last := (&server{keys: keys}).serve(t)
	known := knownAs(t, last.addr, last.hostKeys...)
	add := func(s *server) {
		more, err := os.ReadFile(knownAs(t, s.addr, s.hostKeys...))
		require.NoError(t, err)
		have, err := os.ReadFile(known)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(known, append(have, more...), 0o600))
	}
	o := last.options(t, file)
	o.KnownHosts = []string{known}
	o.Jump = []string{"root@" + outer.addr, "ssh://root@" + inner.addr}

	_, err := reach(t, o)
	unreachable(t, err, stageHostKey, "jump host root@"+outer.addr, "is not known")
	add(outer)
	_, err = reach(t, o)
	unreachable(t, err, stageHostKey, "jump host ssh://root@"+inner.addr, "is not known")
	add(inner)
	outer.accepted.Store(0)
	inner.accepted.Store(0)

	var d Dialer
	var all sync.WaitGroup
	hosts := make(chan *Host, 5)
	for range 5 {
		all.Go(func() {
			h, err := d.Dial(timed(t), o)
			if assert.NoError(t, err) {
				hosts <- h
			}
		})
	}
	all.Wait()
	close(hosts)
	assert.EqualValues(t, 1, outer.accepted.Load(), "the way there is shared")
	assert.EqualValues(t, 1, inner.accepted.Load(), "the way there is shared")
	for h := range hosts {
		works(t, h)
		assert.NoError(t, h.Close())
	}
	assert.Empty(t, d.jumps, "the last one out closes the door")
}

func TestJumpHostForbidsIt(t *testing.T) {
	file, public := newKeyFile(t, "id", "")
	hop := (&server{keys: []ssh.PublicKey{public}, noForward: true}).serve(t)
	last := (&server{}).serve(t)
	o := last.options(t, file)
	o.Jump, o.KnownHosts = []string{"root@" + hop.addr}, []string{knownAs(t, hop.addr, hop.hostKeys...)}
	_, err := reach(t, o)
	unreachable(t, err, stageConnect, "AllowTcpForwarding")
}

func TestDialThroughHost(t *testing.T) {
	h := connected(t, &server{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
		_ = listener.Close()
	}()
	conn, err := h.DialContext(timed(t), "tcp", listener.Addr().String())
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(got))
	_ = conn.Close() // the other side has closed it
}

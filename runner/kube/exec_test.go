package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/streaming/pkg/httpstream"
	streamspdy "k8s.io/streaming/pkg/httpstream/spdy"

	"runbook/modules"
)

// The channels of v5.channel.k8s.io.
const (
	stdoutChannel = 1
	stderrChannel = 2
	errorChannel  = 3
	closeChannel  = 255
)

// program is what the container runs: say A B, cat, flood, hang, exit N.
func (c *container) program(argv []string, stdin io.Reader, stdout, stderr io.Writer) metav1.Status {
	switch argv[0] {
	case "say":
		fmt.Fprint(stdout, argv[1])
		fmt.Fprint(stderr, argv[2])
	case "cat":
		_, _ = io.Copy(stdout, stdin)
	case "flood":
		for range maxText/(16<<10) + 1 {
			_, _ = stdout.Write(bytes.Repeat([]byte("x"), 16<<10))
		}
	case "hang":
		_, _ = stdin.Read(make([]byte, 1)) // so every stream stands
		c.hanging <- struct{}{}
		<-c.ended
	case "exit":
		return metav1.Status{
			Status: metav1.StatusFailure, Reason: "NonZeroExitCode", Message: "command terminated",
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: "ExitCode", Message: argv[1]}}},
		}
	}
	return metav1.Status{Status: metav1.StatusSuccess}
}

// container answers exec by websocket, and by SPDY where that is asked for.
type container struct {
	t       *testing.T
	spdy    bool          // refuse websockets, as an old proxy does
	clients chan string   // "websocket" or "spdy" for each exec served
	hanging chan struct{} // a tick for each hang that has begun
	ended   chan struct{} // closed when the test ends
}

func (c *container) serve(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/exec") {
		return false
	}
	switch {
	case r.Header.Get("Upgrade") != "websocket":
		c.serveSPDY(w, r)
	case c.spdy:
		http.Error(w, "no websockets here", http.StatusForbidden)
	default:
		c.serveWebsocket(w, r)
	}
	return true
}

func (c *container) serveWebsocket(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if !assert.NoError(c.t, err) {
		return
	}
	defer conn.Close()
	c.clients <- "websocket"
	reading := make(chan struct{})
	conn.SetPongHandler(func(string) error {
		close(reading)
		return nil
	})
	// Client-go leaves goroutines behind if it is cancelled before it reads.
	_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Minute))
	stdin, feed := io.Pipe()
	defer stdin.Close()
	typed := make(chan []byte, 16) // so that a program which does not read cannot keep the pong away
	go receive(conn, typed)
	go func() {
		for data := range typed {
			_, _ = feed.Write(data)
		}
		feed.Close()
	}()
	channel := func(id byte) io.Writer { return channelWriter{conn, id} }
	<-reading
	status := c.program(r.URL.Query()["command"], stdin, channel(stdoutChannel), channel(stderrChannel))
	said, _ := json.Marshal(status)
	_, _ = channel(errorChannel).Write(said)
	_ = conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
}

// receive passes on what arrives for stdin until the client closes it, and
// reads on to the end of the connection, which also answers pings.
func receive(conn *websocket.Conn, typed chan<- []byte) {
	typing := true
	for {
		_, data, err := conn.ReadMessage()
		if typing && (err != nil || data[0] == closeChannel) {
			close(typed)
			typing = false
		}
		if err != nil {
			return
		}
		if typing {
			typed <- data[1:]
		}
	}
}

type channelWriter struct {
	conn *websocket.Conn
	id   byte
}

func (w channelWriter) Write(p []byte) (int, error) {
	return len(p), w.conn.WriteMessage(websocket.BinaryMessage, append([]byte{w.id}, p...))
}

func (c *container) serveSPDY(w http.ResponseWriter, r *http.Request) {
	_, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"})
	if !assert.NoError(c.t, err) {
		return
	}
	wanted := 3
	if r.URL.Query().Get("stdin") == "true" {
		wanted = 4
	}
	streams := make(chan httpstream.Stream, wanted)
	conn := streamspdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	c.clients <- "spdy"
	by := map[string]httpstream.Stream{}
	for range wanted {
		select {
		case s := <-streams:
			by[s.Headers().Get("streamType")] = s
		case <-conn.CloseChan():
			return
		}
	}
	status := c.program(r.URL.Query()["command"], by["stdin"], by["stdout"], by["stderr"])
	said, _ := json.Marshal(status)
	_, _ = by["error"].Write(said)
	for _, s := range by {
		_ = s.Close()
	}
}

func TestExec(t *testing.T) {
	for _, way := range []string{"websocket", "spdy", "dialled"} {
		t.Run(way, func(t *testing.T) {
			inside := &container{
				t: t, spdy: way == "spdy", clients: make(chan string, 10), hanging: make(chan struct{}, 10), ended: make(chan struct{}),
			}
			defer close(inside.ended)
			whole, done := context.WithTimeout(t.Context(), time.Minute)
			defer done()
			f, c := newFake(t, func(f *fakeAPI) { f.hook = inside.serve })
			if way == "dialled" {
				var err error
				c, err = newClient(Options{Config: kubeconfig("http://api.invalid", ""), Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(f.url, "http://"))
				}})
				require.NoError(t, err)
				defer c.Close()
			}
			for _, e := range []struct {
				argv  []string
				stdin string
				want  modules.Output
			}{
				{[]string{"say", "out\n", "err"}, "", modules.Output{Stdout: "out\n", Stderr: "err"}},
				{[]string{"say", "a b;$c'\x1b", ""}, "", modules.Output{Stdout: "a b;$c'\x1b"}},
				{[]string{"cat"}, "in\x00put", modules.Output{Stdout: "in\x00put"}},
				{[]string{"exit", "3"}, "", modules.Output{Code: 3}},
				{[]string{"exit", "137"}, "", modules.Output{Code: 137}},
			} {
				out, err := c.Query(whole, modules.PodCommand{Pod: "p", Container: "c", Argv: e.argv, Stdin: e.stdin})
				require.NoError(t, err, "%q", e.argv)
				assert.Equal(t, e.want, out, "%q", e.argv)
				assert.Equal(t, map[string]string{"websocket": "websocket", "spdy": "spdy", "dialled": "spdy"}[way], <-inside.clients)
			}
			flood, err := c.Query(whole, modules.PodCommand{Pod: "p", Argv: []string{"flood"}})
			require.NoError(t, err)
			assert.True(t, flood.Truncated)
			assert.Len(t, flood.Stdout, maxText)

			hang := modules.PodCommand{Pod: "p", Argv: []string{"hang"}, Stdin: "x", Limit: 500 * time.Millisecond}
			_, err = c.Query(whole, hang)
			assert.EqualError(t, err, "exec in pod default/p: the command has not ended after 500ms")
			<-inside.hanging
			ctx, stop := context.WithCancel(whole)
			go func() {
				<-inside.hanging
				stop()
			}()
			hang.Limit = 0
			_, err = c.Query(ctx, hang)
			assert.ErrorIs(t, err, context.Canceled)

			_, err = c.Query(whole, modules.PodCommand{Pod: "p"})
			assert.ErrorContains(t, err, "no command given")
		})
	}
}

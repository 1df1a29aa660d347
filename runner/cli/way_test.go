package cli

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/runner"
)

// wired is a host that leads on, or does not.
type wired struct {
	runner.Machine
	closed bool
}

func (w wired) DialContext(context.Context, string, string) (net.Conn, error) {
	if w.closed {
		return nil, errors.New("connection refused")
	}
	a, _ := net.Pipe()
	return a, nil
}

func TestTheAPIIsReachedThroughWhateverHostIsUp(t *testing.T) {
	up := map[string]bool{"c1": true, "c2": true, "c3": true}
	var asked []string
	w := &way{hosts: []string{"c1", "c2", "c3"}, reach: func(_ context.Context, host string) (runner.Machine, error) {
		asked = append(asked, host)
		if host == "c3" {
			return wired{closed: !up[host]}, nil
		}
		if !up[host] {
			return nil, errors.New("no route")
		}
		return wired{}, nil
	}}
	dial := func() (through []string, err error) {
		asked = nil
		conn, err := w.dial(t.Context(), "tcp", "10.0.0.1:6443")
		if err == nil {
			require.NoError(t, conn.Close())
		}
		return asked, err
	}
	through, err := dial()
	require.NoError(t, err)
	require.Equal(t, []string{"c1"}, through)
	up["c1"], up["c2"] = false, false
	through, err = dial()
	require.NoError(t, err)
	require.Equal(t, []string{"c1", "c2", "c3"}, through)
	up["c1"] = true
	through, err = dial()
	require.NoError(t, err)
	require.Equal(t, []string{"c3"}, through, "the one that led there last")
	up["c1"], up["c3"] = false, false
	_, err = dial()
	require.EqualError(t, err, "no control-plane host leads to 10.0.0.1:6443: c3: connection refused; c1: no route; c2: no route")
	up["c2"] = true
	_, err = dial()
	require.NoError(t, err)
}

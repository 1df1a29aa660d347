//go:build !failpoint

package failpoint

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestNothingIsLeftOfPoints(t *testing.T) {
	t.Setenv("RUNBOOK_FAILPOINT", "off.here@1")
	p := New("off.here")
	p.Hit()
	New("off.here").Hit() // not even the name is kept
	require.Empty(t, Names())
	require.Zero(t, unsafe.Sizeof(p))
}

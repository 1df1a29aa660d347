package crash

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// workers is how many runs die at the same time: a killed one leaves pauses.
const workers = 4

// seed is CRASH_SEED, or one of this moment. It is printed.
func seed(t testing.TB) uint64 {
	n := uint64(time.Now().UnixNano())
	if asked := os.Getenv("CRASH_SEED"); asked != "" {
		var err error
		n, err = strconv.ParseUint(asked, 10, 64)
		require.NoError(t, err, "CRASH_SEED")
	}
	t.Logf("CRASH_SEED=%d", n)
	return n
}

// number is what a variable of the environment says, or otherwise.
func number(t testing.TB, name string, otherwise int) int {
	asked := os.Getenv(name)
	if asked == "" {
		return otherwise
	}
	n, err := strconv.Atoi(asked)
	require.NoError(t, err, name)
	return n
}

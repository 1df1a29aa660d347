package modules

import (
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAtOnce(t *testing.T) {
	numbers := make([]int, 100)
	for i := range numbers {
		numbers[i] = i
	}
	var now, most atomic.Int32
	got, err := atOnce(numbers, func(n int) (string, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		return strconv.Itoa(n), nil
	})
	require.NoError(t, err)
	for i, text := range got {
		assert.Equal(t, strconv.Itoa(i), text)
	}
	assert.LessOrEqual(t, most.Load(), int32(askedAtOnce))

	_, err = atOnce(numbers, func(n int) (string, error) {
		if n%40 == 39 {
			return "", errors.New(strconv.Itoa(n))
		}
		return "", nil
	})
	assert.EqualError(t, err, "39")

	none, err := atOnce(nil, func(int) (string, error) { return "", errors.New("never asked") })
	require.NoError(t, err)
	assert.Empty(t, none)
}

package runner

import (
	"crypto/rand"
	"encoding/hex"
)

// newID names a command on its target: nothing else was ever called so.
func newID() string {
	var bits [12]byte
	_, _ = rand.Read(bits[:]) // never fails
	return hex.EncodeToString(bits[:])
}

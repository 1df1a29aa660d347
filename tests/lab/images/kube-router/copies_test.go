package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCopies(t *testing.T) {
	const saved = "create cali40this-host hash:ip family inet hashsize 1024 maxelem 1048576\n" +
		"add cali40this-host 10.0.0.100\n" +
		"create TMP-LEFT hash:ip family inet\nadd TMP-LEFT 10.0.0.9\n" +
		"create empty hash:net family inet\n"
	this, empty := copyName("cali40this-host"), copyName("empty")
	require.Equal(t, "create "+this+" hash:ip family inet hashsize 1024 maxelem 1048576\nflush "+this+"\n"+
		"add "+this+" 10.0.0.100\n"+
		"create "+empty+" hash:net family inet\nflush "+empty+"\n"+
		"swap "+this+" cali40this-host\nflush "+this+"\ndestroy "+this+"\n"+
		"swap "+empty+" empty\nflush "+empty+"\ndestroy "+empty+"\n", copies(saved))
	require.Empty(t, copies(""))
	require.LessOrEqual(t, len(copyName("a set's name that is 31 long ..")), 31)
}

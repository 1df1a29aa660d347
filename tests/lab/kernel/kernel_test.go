package kernel

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStart(t *testing.T) {
	const release, other = "6.1.0-40-lab", "6.1.0-44-lab"
	with := func(data []byte, more string) *fstest.MapFile { return &fstest.MapFile{Data: append(data, more...)} }
	tests := []struct {
		name   string
		disk   fstest.MapFS
		panics bool
		err    string
	}{
		{"it comes up", fstest.MapFS{"k": with(Image(release), ""), "i": with(Ramdisk(release), "")}, false, ""},
		{"the image panics", fstest.MapFS{"k": with(Image(release), Panics), "i": with(Ramdisk(release), "")}, true, "kernel panic: k"},
		{"the ramdisk panics", fstest.MapFS{"k": with(Image(release), ""), "i": with(Ramdisk(release), Panics)}, true, "kernel panic: i"},
		{"another's ramdisk", fstest.MapFS{"k": with(Image(release), ""), "i": with(Ramdisk(other), "")}, true, "kernel panic: i"},
		{"no ramdisk", fstest.MapFS{"k": with(Image(release), "")}, true, "unable to mount the root"},
		{"an empty ramdisk", fstest.MapFS{"k": with(Image(release), ""), "i": with(nil, "")}, true, "kernel panic: i"},
		{"no kernel", fstest.MapFS{"i": with(Ramdisk(release), "")}, false, "k: file does not exist"},
		{"something else", fstest.MapFS{"k": with([]byte("MZ"), "")}, false, `a kernel is wanted, found "MZ"`},
		{"an empty file", fstest.MapFS{"k": with(nil, "")}, false, `a kernel is wanted, found ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Start(tt.disk, "k", "i")
			if tt.err == "" {
				require.NoError(t, err)
				require.Equal(t, release, got)
				return
			}
			require.ErrorContains(t, err, tt.err)
			if tt.panics {
				require.ErrorIs(t, err, ErrPanic)
			} else {
				require.NotErrorIs(t, err, ErrPanic)
			}
		})
	}
}

func TestRebootsAfter(t *testing.T) {
	tests := []struct {
		args []string
		wait time.Duration
		ok   bool
	}{
		{nil, 0, false},
		{[]string{"ro", "quiet"}, 0, false},
		{[]string{"ro", "panic=30"}, 30 * time.Second, true},
		{[]string{"panic=30", "panic=1"}, time.Second, true},
		{[]string{"panic=30", "panic=0"}, 0, false},
		{[]string{"panic=-1"}, 0, true},
		{[]string{"panic=soon"}, 0, false},
	}
	for _, tt := range tests {
		wait, ok := RebootsAfter(tt.args)
		require.Equal(t, tt.ok, ok, tt.args)
		if ok {
			require.Equal(t, tt.wait, wait, tt.args)
		}
	}
}

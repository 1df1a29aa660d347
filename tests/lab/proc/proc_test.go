package proc

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	const tail = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20"
	tests := []struct {
		name, stat string
		want       uint64
		wantErr    bool
	}{
		{"plain", "12 (sh) S" + tail, 777, false},
		{"name holds a parenthesis and a space", "12 (a) b) S" + tail, 777, false},
		{"zombie", "12 (sh) Z" + tail, 0, true},
		{"cut short", "12 (sh) S 1 2", 0, true},
		{"empty", "", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat(tt.stat)
			require.Equal(t, tt.wantErr, err != nil, "error: %v", err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestStopEndsTheProcessThatWasRecorded(t *testing.T) {
	dir := t.TempDir()
	_, err := Start(dir, "sleeper", exec.Command("sleep", "60"))
	require.NoError(t, err)
	all, err := Load(dir)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.True(t, all[0].Alive())

	require.NoError(t, all[0].Stop(context.Background(), 5*time.Second))
	require.False(t, all[0].Alive())
}

func TestStopKillsWhatIgnoresTerm(t *testing.T) {
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	r, err := Start(dir, "stubborn", exec.Command("sh", "-c", `trap "" TERM; : >"$0"; while :; do sleep 60; done`, ready))
	require.NoError(t, err)
	require.Eventually(t, func() bool { _, err := os.Stat(ready); return err == nil }, 10*time.Second, time.Millisecond)

	require.NoError(t, r.Stop(context.Background(), time.Millisecond))
	require.False(t, r.Alive())
}

func TestStopLeavesAStrangerAlone(t *testing.T) {
	dir := t.TempDir()
	r, err := Start(dir, "stranger", exec.Command("sleep", "60"))
	require.NoError(t, err)
	other := r
	other.Start++ // the same pid, another process
	require.NoError(t, other.Stop(context.Background(), 0))
	require.True(t, r.Alive())
	require.NoError(t, r.Stop(context.Background(), 0))
}

func TestLoadWithoutFolder(t *testing.T) {
	all, err := Load(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestLoadLeavesOutATornRecord(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "torn.json"), []byte(`{"name":"to`), 0o600))
	all, err := Load(dir)
	require.NoError(t, err)
	require.Empty(t, all)
}

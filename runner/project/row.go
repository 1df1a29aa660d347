package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"runbook/runner/durable"
	"runbook/runner/journal"
)

const (
	rowFile    = "summary.json"
	rowVersion = 1
)

// row is a run's summary, kept beside its journal: to compare a checksum is much
// faster than to read all records. It may be missing, old or damaged.
type row struct {
	V   int    `json:"v"`
	Sum string `json:"journal"` // SHA-256 of the journal that it summarizes
	Run *Run   `json:"run"`
}

// sumOf is the checksum of a journal as it is now, and its size in bytes. Who
// reads the journal after that reads at least as much.
func sumOf(dir string) (sum string, size int64, err error) {
	f, err := os.Open(filepath.Join(dir, journalFile))
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// row is a run's summary, of the row if that is of this very journal.
func (p *Project) row(id string) (*Run, error) {
	dir := p.RunDir(id)
	sum, _, err := sumOf(dir)
	if err != nil {
		return nil, err
	}
	if data, err := os.ReadFile(filepath.Join(dir, rowFile)); err == nil {
		var kept row
		line, err := whole(data)
		if err == nil && json.Unmarshal(line, &kept) == nil && kept.V == rowVersion && kept.Sum == sum && kept.Run != nil && kept.Run.ID == id {
			return kept.Run, nil
		}
	}
	c, err := journal.Read(dir)
	if err != nil {
		return nil, err
	}
	return summarize(id, c), nil
}

// keepRow is done for speed only: a failure costs nothing else.
func (p *Project) keepRow(r row) {
	if data, err := encode(r); err == nil {
		path := filepath.Join(p.RunDir(r.Run.ID), rowFile)
		durable.Sweep(path)
		_ = durable.Replace(path, data)
	}
}

package shell

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// pending is a request that the shell has not answered yet.
type pending struct {
	keep  int         // bytes of each stream to keep
	note  string      // of a kept command: where its process is noted
	frame chan frame  // of a command; holds one
	acks  chan string // of an upload; holds two
}

// frame is what a command printed and how it ended.
type frame struct {
	code           string // a number, or a word of the prelude's
	stdout, stderr []byte
	cut            bool
}

// await reads until the line that is exactly mark. What comes before is noise of
// the login and is dropped.
func await(r *bufio.Reader, mark string) error {
	for noise := 0; noise < maxNoise; {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if string(bytes.TrimRight(line, "\r\n")) == mark {
			return nil
		}
		noise += len(line)
	}
	return fmt.Errorf("the login printed %d bytes and no shell started", maxNoise)
}

// read delivers what the shell prints until it ends.
func (s *Shell) read(r *bufio.Reader) {
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // not ours: a header is short
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("its output was closed")
			}
			s.end(err)
			return
		}
		mark, rest, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if err := s.deliver(r, mark, rest); err != nil {
			s.end(err)
			return
		}
	}
}

// deliver hands what begins with this header to the one who waits for it.
func (s *Shell) deliver(r *bufio.Reader, mark, rest string) error {
	s.mu.Lock()
	p := s.pending[mark]
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if p.acks != nil {
		select {
		case p.acks <- rest:
			return nil
		default:
			return errors.New("it acknowledged an upload twice")
		}
	}
	f := frame{code: rest}
	var cutOut, cutErr bool
	var err error
	if f.stdout, cutOut, err = section(r, mark, p.keep); err != nil {
		return err
	}
	if f.stderr, cutErr, err = section(r, mark, p.keep); err != nil {
		return err
	}
	f.cut = cutOut || cutErr
	s.forget(mark)
	p.frame <- f
	return nil
}

// section reads up to the line that is exactly mark. It keeps at most keep bytes
// and says whether there were more.
func section(r *bufio.Reader, mark string, keep int) (data []byte, cut bool, err error) {
	total, fresh := 0, true // fresh: at the beginning of a line
	for {
		chunk, err := r.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !full {
			return nil, false, err
		}
		if fresh && !full && string(chunk[:len(chunk)-1]) == mark {
			break
		}
		fresh = !full
		total += len(chunk)
		if room := keep + 1 - len(data); room > 0 {
			data = append(data, chunk[:min(room, len(chunk))]...)
		}
	}
	// The newline before the mark is the frame's.
	if total-1 > keep {
		return data[:keep], true, nil
	}
	return data[:max(total-1, 0)], false, nil
}

func (s *Shell) expect(mark string, p *pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[mark] = p
}

func (s *Shell) forget(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, mark)
}

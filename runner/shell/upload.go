package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	uploadChunk = 4 << 20         // so that other commands need not wait for a whole upload
	uploadLimit = 5 * time.Minute // of one chunk: 14 kB/s is the slowest line that will do
)

// upload puts data into the file that is the standard input of the command with
// this number. Raw bytes follow their order on the shell's own standard input:
// the shell says when it is ready to read them, as what it has read ahead would
// be lost, and when it has them all.
func (s *Shell) upload(ctx context.Context, number int, data string) error {
	for len(data) > 0 {
		chunk := data[:min(uploadChunk, len(data))]
		data = data[len(chunk):]
		if err := s.uploadChunk(ctx, number, chunk); err != nil {
			s.tell("rm -f " + stdinFile(number) + "\n")
			return err
		}
	}
	return nil
}

func (s *Shell) uploadChunk(ctx context.Context, number int, chunk string) error {
	mark := newMark()
	o := order{
		text: fmt.Sprintf("rb_take %s %s %d\n", stdinFile(number), mark, len(chunk)),
		data: chunk,
		acks: make(chan string, 2),
		sent: make(chan error, 1),
	}
	s.expect(mark, &pending{acks: o.acks})
	defer s.forget(mark)
	if err := s.give(ctx, o); err != nil {
		return err
	}
	// A chunk that was begun must be finished, as the shell takes what comes next
	// for its bytes. So the context is asked between chunks only.
	select {
	case err := <-o.sent:
		return err
	case <-s.done:
		return s.lost()
	}
}

// send writes the bytes of an order. Only the writer calls it.
func (s *Shell) send(o order) error {
	slow := time.AfterFunc(uploadLimit, func() {
		s.end(fmt.Errorf("%d bytes of standard input were not taken within %v", len(o.data), uploadLimit))
	})
	defer slow.Stop()
	if _, err := s.ack(o); err != nil {
		return err
	}
	if _, err := io.WriteString(s.streams.Stdin, o.data); err != nil {
		s.end(err)
		return s.lost()
	}
	code, err := s.ack(o)
	if err != nil {
		return err
	}
	if code != "0" {
		return errors.New("standard input cannot be kept on the target: the directory for it is full or gone")
	}
	return nil
}

func (s *Shell) ack(o order) (string, error) {
	select {
	case word := <-o.acks:
		return word, nil
	case <-s.done:
		return "", s.lost()
	}
}

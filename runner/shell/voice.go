package shell

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// voice is what the shell itself prints on stderr: password prompts while it
// starts, and the reason when something is wrong with it.
type voice struct {
	asked chan struct{} // receives for every prompt
	done  chan struct{} // closed at the end of the stream

	mu     sync.Mutex
	prompt []byte
	text   []byte // the last of it
}

const voiceKept = 4 << 10

func newVoice(mark string) *voice {
	return &voice{
		asked:  make(chan struct{}, 4), // sudo asks at most three times
		done:   make(chan struct{}),
		prompt: []byte(promptOf(mark)),
	}
}

func (v *voice) listen(r io.Reader) {
	defer close(v.done)
	_, _ = io.Copy(v, r) // the end of stderr says nothing that the end of stdout does not
}

// Write keeps the end of the text, and takes the prompts out.
func (v *voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text = append(v.text, p...)
	for {
		before, after, found := bytes.Cut(v.text, v.prompt)
		if !found {
			break
		}
		v.text = append(before, after...)
		select {
		case v.asked <- struct{}{}:
		default:
		}
	}
	if extra := len(v.text) - voiceKept; extra > 0 {
		v.text = append(v.text[:0], v.text[extra:]...)
	}
	return len(p), nil
}

// last is the text as one line for an error.
func (v *voice) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return oneLine(string(v.text))
}

// all is last after the stream has ended, or a second if it does not end: a
// child may hold it.
func (v *voice) all() string {
	select {
	case <-v.done:
	case <-time.After(time.Second):
	}
	return v.last()
}

// oneLine makes words of the target fit for an error: its last 300 bytes in one
// line, without anything that a terminal would obey.
func oneLine(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = "..." + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}

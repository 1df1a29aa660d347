package render

import (
	"fmt"
	"io"

	"github.com/schollz/progressbar/v3"
)

// progress is the overall line at the foot of a terminal. It stands only where
// nothing else is being printed: every event clears it first and draws it last.
// The nil progress draws nothing.
type progress struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	done int
}

func newProgress(w io.Writer) *progress {
	if w == nil {
		return nil
	}
	return &progress{w: w}
}

func (p *progress) start(tasks int) {
	if p == nil || tasks == 0 {
		return
	}
	p.bar = progressbar.NewOptions(tasks,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionSetWidth(20),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionClearOnFinish(),
	)
}

// task counts one more task. Handlers and later batches may bring more tasks
// than are written: the line then stays at its end.
func (p *progress) task(name string) {
	if p == nil || p.bar == nil {
		return
	}
	p.describe(name)
	if p.done < p.bar.GetMax()-1 {
		p.done++
		_ = p.bar.Set(p.done) // only its own line is at stake
	}
}

func (p *progress) waiting(host, what string) {
	if p != nil && p.bar != nil {
		p.describe(fmt.Sprintf("[%s] waits for %s", host, what))
	}
}

// describe keeps the line shorter than any terminal: a wrapped one cannot be
// cleared.
func (p *progress) describe(text string) {
	const width = 40
	runes := []rune(clean(text))
	for i, r := range runes {
		if r == '\n' {
			runes[i] = ' '
		}
	}
	if len(runes) > width {
		runes = append(runes[:width-3], []rune("...")...)
	}
	p.bar.Describe(string(runes))
}

func (p *progress) clear() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
	}
}

func (p *progress) draw() {
	if p != nil && p.bar != nil {
		_ = p.bar.RenderBlank()
	}
}

func (p *progress) finish() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}

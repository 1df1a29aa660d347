package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// What one rendering may use, so that a wrong loop or hostile data ends with an
// error and not with the machine's memory.
const (
	maxSteps  = 1_000_000 // evaluations
	maxOutput = 16 << 20  // bytes of one text
	maxItems  = 1_000_000 // of one list
	maxDepth  = 200       // templates and macros inside one another
	maxNested = 500       // parts of one expression inside one another
)

var (
	errTooManySteps = fmt.Errorf("gave up after %d steps", maxSteps)
	errTooLong      = fmt.Errorf("the text would be longer than %d MiB", maxOutput>>20)
	errTooMany      = fmt.Errorf("the list would be longer than %d items", maxItems)
	errTooDeep      = fmt.Errorf("templates and macros are more than %d deep in one another", maxDepth)
)

// budget is shared by all that one rendering sets off.
type budget struct {
	steps  int
	depth  int
	active []activeText
}

// activeText is a variable whose text is being rendered.
type activeText struct {
	name   string
	origin *origin
}

// spend takes n steps. Texts and lists cost as they grow: see grow and items.
func (b *budget) spend(n int) error {
	b.steps += n
	if b.steps > maxSteps {
		return errTooManySteps
	}
	return nil
}

// text pays for a text of n bytes.
func (b *budget) text(n int) error { return b.grow(n, n) }

// grow pays for the bytes that are added to a text, which then has size bytes.
func (b *budget) grow(size, added int) error {
	if size > maxOutput {
		return errTooLong
	}
	return b.spend(added >> 10)
}

// items pays for a list of n items.
func (b *budget) items(n int) error {
	if err := fits(n); err != nil {
		return err
	}
	return b.spend(n >> 6)
}

// fits says whether a list may have n items.
func fits(n int) error {
	if n > maxItems {
		return errTooMany
	}
	return nil
}

func (b *budget) enter() error {
	if b.depth >= maxDepth {
		return errTooDeep
	}
	b.depth++
	return nil
}

func (b *budget) leave() { b.depth-- }

// begin notes that the text of a variable is being rendered, and refuses one
// that is already.
func (b *budget) begin(name string, o *origin) error {
	for i, a := range b.active {
		if a.origin != o {
			continue
		}
		var loop []string
		for _, a := range b.active[i:] {
			loop = append(loop, a.name)
		}
		loop = append(loop, name)
		return errors.New("a variable refers to itself: " + strings.Join(loop, " -> "))
	}
	b.active = append(b.active, activeText{name, o})
	return b.enter()
}

func (b *budget) end() {
	b.active = b.active[:len(b.active)-1]
	b.leave()
}

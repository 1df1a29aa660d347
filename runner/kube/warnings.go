package kube

import (
	"context"
	"strings"
	"sync"
)

// warnings gives the server's warnings to whoever listens in the context, and
// keeps them off the terminal otherwise.
type warnings struct{}

type warningsKey struct{}

type heard struct {
	mu    sync.Mutex
	texts []string
}

// listen gives a context that collects the warnings of the calls made with it.
func listen(ctx context.Context) (context.Context, *heard) {
	h := &heard{}
	return context.WithValue(ctx, warningsKey{}, h), h
}

// all is what was heard, a line each.
func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var text strings.Builder
	for _, t := range h.texts {
		text.WriteString("Warning: " + t + "\n")
	}
	return text.String()
}

// HandleWarningHeaderWithContext is called by client-go for each warning. 299 is
// the only code that the API defines.
func (warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _ string, text string) {
	h, ok := ctx.Value(warningsKey{}).(*heard)
	if !ok || code != 299 || text == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, text)
}

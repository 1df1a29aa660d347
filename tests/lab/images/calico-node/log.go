package main

import (
	"fmt"
	"io"
	"time"
)

// logger writes lines as Felix does, so that what reads real logs reads these.
type logger struct {
	out io.Writer
	pid int
}

// line writes one line; where is the source file and line that Felix names.
func (l logger) line(level, where, message string) {
	now := time.Now().UTC().Format("2006-01-02 15:04:05.000")
	fmt.Fprintf(l.out, "%s [%s][%d] %s: %s\n", now, level, l.pid, where, message)
}

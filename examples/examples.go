// Package examples holds one runnable play per module: the documentation of
// `runbook doc`, the parse test and the integration test in one.
package examples

import "embed"

// Files are the examples, NAME.yaml for the module NAME.
//
//go:embed *.yaml
var Files embed.FS

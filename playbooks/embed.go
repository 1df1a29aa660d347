package playbooks

import "embed"

// Shipped are the playbooks that come with the program, by their file names.
//
//go:embed *.yaml
var Shipped embed.FS

package cli

import "path/filepath"

// places are where an inventory is looked for when -i names none.
func places(playbook string) []string {
	const nodes = "inventory/nodes.yaml"
	dir := filepath.Dir(playbook)
	var out []string
	seen := map[string]bool{}
	for _, base := range []string{dir, filepath.Dir(dir), "."} {
		if path := filepath.Join(base, nodes); !seen[path] {
			seen[path] = true
			out = append(out, path)
		}
	}
	return out
}

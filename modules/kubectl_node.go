package modules

// nodeFacts is a node in the words of playbooks.
func nodeFacts(node Object) map[string]any {
	ready, _ := conditionOf(node, "Ready")
	cordon := cordonOf(node, "")
	address := ""
	for _, a := range objectsAt(node, "status", "addresses") {
		if dig[string](a, "type") == "InternalIP" && address == "" {
			address = dig[string](a, "address")
		}
	}
	taints := []any{}
	for _, t := range objectsAt(node, "spec", "taints") {
		taints = append(taints, dig[string](t, "key"))
	}
	return map[string]any{
		"name": nameOf(node), "ready": ready == "True", "address": address, "taints": taints,
		"cordoned": cordon.on, "cordoned_by": cordon.by, "cordon_owner": cordon.holder(),
		"boot_id": dig[string](node, "status", "nodeInfo", "bootID"), "kernel": dig[string](node, "status", "nodeInfo", "kernelVersion"),
	}
}

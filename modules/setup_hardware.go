package modules

import "strings"

func (f findings) hardware() map[string]any {
	facts := map[string]any{}
	setIf(facts, "ansible_product_name", f.value["product_name"])
	setIf(facts, "ansible_system_vendor", f.value["system_vendor"])
	f.processors(facts)
	f.memory(facts)
	return facts
}

// processors counts logical processors (vcpus), sockets (count), and what each
// socket and core has.
func (f findings) processors(facts map[string]any) {
	var list []any
	var vcpus, cores, siblings int64
	sockets := map[string]bool{}
	for _, line := range strings.Split(f.value["cpus"], "\n") {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "processor":
			vcpus++
			list = append(list, value)
		case "vendor_id", "model name", "CPU implementer", "Model":
			list = append(list, value)
		case "physical id":
			sockets[value] = true
		case "cpu cores":
			cores = number(value)
		case "siblings":
			siblings = number(value)
		}
	}
	if vcpus == 0 {
		return
	}
	count, threads := int64(len(sockets)), int64(1)
	if count == 0 { // a kernel that names no sockets
		count, cores = vcpus, 1
	}
	if cores > 0 && siblings > cores {
		threads = siblings / cores
	}
	facts["ansible_processor"], facts["ansible_processor_vcpus"], facts["ansible_processor_nproc"] = list, vcpus, vcpus
	facts["ansible_processor_count"], facts["ansible_processor_cores"] = count, max(cores, 1)
	facts["ansible_processor_threads_per_core"] = threads
}

// memory is in MiB.
func (f findings) memory(facts map[string]any) {
	mb := map[string]int64{}
	for _, line := range strings.Split(f.value["meminfo"], "\n") {
		if w := strings.Fields(line); len(w) >= 2 {
			mb[strings.TrimSuffix(w[0], ":")] = number(w[1]) / 1024
		}
	}
	total, free := mb["MemTotal"], mb["MemFree"]
	if total == 0 {
		return
	}
	uncached := free + mb["Buffers"] + mb["Cached"]
	facts["ansible_memtotal_mb"], facts["ansible_memfree_mb"] = total, free
	facts["ansible_swaptotal_mb"], facts["ansible_swapfree_mb"] = mb["SwapTotal"], mb["SwapFree"]
	facts["ansible_memory_mb"] = map[string]any{
		"real":    map[string]any{"total": total, "free": free, "used": total - free},
		"nocache": map[string]any{"free": uncached, "used": total - uncached},
		"swap": map[string]any{
			"total": mb["SwapTotal"], "free": mb["SwapFree"],
			"used": mb["SwapTotal"] - mb["SwapFree"], "cached": mb["SwapCached"],
		},
	}
}

// virtualization is what the host itself believes to run in.
func (f findings) virtualization() map[string]any {
	kind, asked := f.value["virtual"]
	switch {
	case !asked:
		return nil
	case kind == "" || kind == "none":
		return map[string]any{"ansible_virtualization_type": "NA", "ansible_virtualization_role": "NA"}
	case kind == "microsoft":
		kind = "VirtualPC"
	case kind == "oracle":
		kind = "virtualbox"
	case kind == "vmware":
		kind = "VMware"
	}
	return map[string]any{"ansible_virtualization_type": kind, "ansible_virtualization_role": "guest"}
}

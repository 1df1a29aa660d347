package modules

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// network is every interface with its addresses, and the way out.
func (f findings) network() map[string]any {
	if len(f.interfaces) == 0 {
		return nil
	}
	var names []string
	devices := map[string]map[string]any{}
	for name, value := range f.interfaces {
		names = append(names, name)
		devices[name] = device(name, value)
	}
	slices.Sort(names)
	facts := map[string]any{"ansible_interfaces": words(names)}
	all4, all6 := f.addresses(devices)
	facts["ansible_all_ipv4_addresses"], facts["ansible_all_ipv6_addresses"] = all4, all6
	for _, name := range names {
		facts["ansible_"+strings.NewReplacer("-", "_", ".", "_", ":", "_").Replace(name)] = devices[name]
	}
	facts["ansible_default_ipv4"] = wayOut(f.value["route4"], "ipv4", devices)
	facts["ansible_default_ipv6"] = wayOut(f.value["route6"], "ipv6", devices)
	return facts
}

func device(name, value string) map[string]any {
	d := map[string]any{"device": name, "type": "ether"}
	w := strings.Fields(value)
	if len(w) >= 3 {
		d["macaddress"], d["mtu"], d["active"] = w[0], number(w[1]), w[2] != "down"
	}
	if len(w) > 3 {
		d["type"] = w[3]
	}
	if name == "lo" {
		d["type"] = "loopback"
		delete(d, "macaddress")
	}
	return d
}

// addresses sorts the lines of `ip -o addr` into the devices. It returns all
// addresses but those of this host alone.
func (f findings) addresses(devices map[string]map[string]any) (all4, all6 []any) {
	all4, all6 = []any{}, []any{}
	for _, line := range strings.Split(f.value["addresses"], "\n") {
		w := strings.Fields(line)
		if len(w) < 4 {
			continue
		}
		name, _, _ := strings.Cut(w[1], "@")
		d := devices[name]
		prefix, err := netip.ParsePrefix(w[3])
		if d == nil || err != nil {
			continue
		}
		if prefix.Addr().Is4() {
			addAddress(d, ipv4(prefix, after(w, "brd")))
		} else {
			list, _ := d["ipv6"].([]any)
			d["ipv6"] = append(list, map[string]any{
				"address": prefix.Addr().String(), "prefix": fmt.Sprint(prefix.Bits()), "scope": after(w, "scope"),
			})
		}
		switch {
		case prefix.Addr().IsLoopback():
		case prefix.Addr().Is4():
			all4 = append(all4, prefix.Addr().String())
		default:
			all6 = append(all6, prefix.Addr().String())
		}
	}
	for _, text := range f.fields("address_list", 0) { // a host without ip
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() {
			all4 = append(all4, text)
		} else if err == nil {
			all6 = append(all6, text)
		}
	}
	return all4, all6
}

// addAddress makes the first address of a device its ipv4, and lists the others.
func addAddress(d, address map[string]any) {
	if d["ipv4"] == nil {
		d["ipv4"] = address
		return
	}
	list, _ := d["ipv4_secondaries"].([]any)
	d["ipv4_secondaries"] = append(list, address)
}

func ipv4(prefix netip.Prefix, broadcast string) map[string]any {
	return map[string]any{
		"address": prefix.Addr().String(), "prefix": fmt.Sprint(prefix.Bits()), "broadcast": broadcast,
		"netmask": net.IP(net.CIDRMask(prefix.Bits(), 32)).String(), "network": prefix.Masked().Addr().String(),
	}
}

// after is the word that follows a keyword.
func after(line []string, keyword string) string {
	if i := slices.Index(line, keyword); i >= 0 && i+1 < len(line) {
		return line[i+1]
	}
	return ""
}

// wayOut reads the answer of `ip route get`: which interface and address would
// be used to reach the internet. It is empty where there is no route.
func wayOut(route, family string, devices map[string]map[string]any) map[string]any {
	w := strings.Fields(route)
	name, source := after(w, "dev"), after(w, "src")
	if name == "" || source == "" {
		return map[string]any{}
	}
	facts := map[string]any{"interface": name, "address": source}
	if family == "ipv4" {
		facts["alias"] = name
	}
	if gateway := after(w, "via"); gateway != "" {
		facts["gateway"] = gateway
	}
	d := devices[name]
	for _, key := range []string{"macaddress", "mtu", "type"} {
		if v, ok := d[key]; ok {
			facts[key] = v
		}
	}
	for _, a := range addressesOf(d, family) {
		if a["address"] == source {
			for key, value := range a {
				facts[key] = value
			}
		}
	}
	return facts
}

func addressesOf(d map[string]any, family string) []map[string]any {
	var list []map[string]any
	add := func(v any) {
		switch v := v.(type) {
		case map[string]any:
			list = append(list, v)
		case []any:
			for _, e := range v {
				if a, ok := e.(map[string]any); ok {
					list = append(list, a)
				}
			}
		}
	}
	add(d[family])
	add(d[family+"_secondaries"])
	return list
}

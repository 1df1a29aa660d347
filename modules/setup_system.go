package modules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// platform is the kernel, the names of the host and its boot.
func (f findings) platform() map[string]any {
	uname := f.fields("uname", 4)
	host, _, _ := strings.Cut(uname[1], ".")
	fqdn := f.value["fqdn"]
	if fqdn == "" {
		fqdn = uname[1]
	}
	_, domain, _ := strings.Cut(fqdn, ".")
	facts := map[string]any{
		"ansible_system": uname[0], "ansible_kernel": uname[2], "ansible_kernel_version": f.value["kernel_version"],
		"ansible_nodename": uname[1], "ansible_hostname": host, "ansible_fqdn": fqdn, "ansible_domain": domain,
		"ansible_machine": uname[3], "ansible_architecture": uname[3],
	}
	setIf(facts, "ansible_machine_id", f.value["machine_id"])
	setIf(facts, "ansible_boot_id", f.value["boot_id"])
	if seconds, err := strconv.ParseFloat(f.fields("uptime", 1)[0], 64); err == nil {
		facts["ansible_uptime_seconds"] = int64(seconds)
	}
	if load := f.fields("loadavg", 3); load[2] != "" {
		facts["ansible_loadavg"] = map[string]any{"1m": decimal(load[0]), "5m": decimal(load[1]), "15m": decimal(load[2])}
	}
	return facts
}

// setIf sets what is known.
func setIf(facts map[string]any, name, value string) {
	if value != "" {
		facts[name] = value
	}
}

func decimal(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// distributions are the names by ID of os-release, where they are not the ID
// with a capital letter.
var distributions = map[string]string{
	"rhel": "RedHat", "centos": "CentOS", "almalinux": "AlmaLinux", "ol": "OracleLinux", "amzn": "Amazon",
	"arch": "Archlinux", "sles": "SLES", "opensuse-leap": "openSUSE Leap",
	"opensuse-tumbleweed": "openSUSE Tumbleweed", "linuxmint": "Linux Mint", "raspbian": "Debian", "void": "Void",
}

// families are the os_family by ID or ID_LIKE of os-release.
var families = map[string]string{
	"debian": "Debian", "ubuntu": "Debian", "rhel": "RedHat", "fedora": "RedHat", "centos": "RedHat",
	"alpine": "Alpine", "arch": "Archlinux", "suse": "Suse", "sles": "Suse", "gentoo": "Gentoo",
}

var pointRelease = regexp.MustCompile(`^\d+\.\d+`)

func (f findings) distribution() map[string]any {
	release := osRelease(f.value["os_release"])
	id := release["ID"]
	if id == "" {
		return nil
	}
	name := distributions[id]
	if name == "" {
		name = strings.ToUpper(id[:1]) + id[1:]
	}
	version := release["VERSION_ID"]
	if exact := pointRelease.FindString(f.value["debian_version"]); id == "debian" && exact != "" {
		version = exact
	}
	major, minor, _ := strings.Cut(version, ".")
	family := name
	for _, like := range append([]string{id}, strings.Fields(release["ID_LIKE"])...) {
		if known := families[like]; known != "" {
			family = known
			break
		}
	}
	return map[string]any{
		"ansible_distribution": name, "ansible_distribution_version": orNA(version),
		"ansible_distribution_major_version": orNA(major), "ansible_distribution_minor_version": orNA(minor),
		"ansible_distribution_release": orNA(release["VERSION_CODENAME"]),
		"ansible_os_family":            family,
	}
}

func orNA(s string) string {
	if s == "" {
		return "NA"
	}
	return s
}

// osRelease reads KEY=value lines, whose values may be quoted as in a shell.
func osRelease(text string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if words, err := SplitWords(value); err == nil {
			value = strings.Join(words, " ")
		}
		values[key] = value
	}
	return values
}

// identity is the user who looks.
func (f findings) identity() map[string]any {
	ids := f.fields("ids", 4)
	facts := map[string]any{
		"ansible_user_id":           f.value["user"],
		"ansible_effective_user_id": number(ids[0]), "ansible_effective_group_id": number(ids[1]),
		"ansible_real_user_id": number(ids[2]), "ansible_real_group_id": number(ids[3]),
		"ansible_user_uid": number(ids[0]), "ansible_user_gid": number(ids[1]),
	}
	entries := f.value["passwd"] + "\n" + f.value["passwd_file"]
	for _, line := range strings.Split(entries, "\n") {
		if p := strings.Split(line, ":"); len(p) == 7 && p[2] == ids[0] {
			facts["ansible_user_gecos"], facts["ansible_user_dir"], facts["ansible_user_shell"] = p[4], p[5], p[6]
			facts["ansible_user_gid"] = number(p[3])
			break
		}
	}
	return facts
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// clock is the time of the host, when it was looked at.
func (f findings) clock() map[string]any {
	d := f.fields("date", 7) // epoch, offset, zone, weekday, its number, day and week of the year
	epoch, err := strconv.ParseInt(d[0], 10, 64)
	if err != nil {
		return nil
	}
	utc := time.Unix(epoch, 0).UTC()
	local := utc
	if zone, err := time.Parse("-0700", d[1]); err == nil {
		_, offset := zone.Zone()
		local = utc.In(time.FixedZone(d[2], offset))
	}
	return map[string]any{"ansible_date_time": map[string]any{
		"epoch": d[0], "epoch_int": d[0], "tz": d[2], "tz_offset": d[1], "tz_dst": d[2],
		"iso8601": utc.Format("2006-01-02T15:04:05Z"), "iso8601_micro": utc.Format("2006-01-02T15:04:05.000000Z"),
		"iso8601_basic": local.Format("20060102T150405.000000"), "iso8601_basic_short": local.Format("20060102T150405"),
		"date": local.Format("2006-01-02"), "time": local.Format("15:04:05"),
		"year": local.Format("2006"), "month": local.Format("01"), "day": local.Format("02"),
		"hour": local.Format("15"), "minute": local.Format("04"), "second": local.Format("05"),
		"weekday": d[3], "weekday_number": fmt.Sprint(int(local.Weekday())), "weeknumber": mondayWeek(local),
	}}
}

// mondayWeek is the week of the year as two digits; week 1 begins on the first
// Monday.
func mondayWeek(t time.Time) string {
	sinceMonday := (int(t.Weekday()) + 6) % 7
	return fmt.Sprintf("%02d", (t.YearDay()+6-sinceMonday)/7)
}

// services is how packages and services are managed, and how names resolve.
func (f findings) services() map[string]any {
	facts := map[string]any{"ansible_pkg_mgr": "unknown", "ansible_service_mgr": "service"}
	if p := f.value["packages"]; p != "" {
		facts["ansible_pkg_mgr"] = strings.TrimSuffix(p, "-get")
	}
	switch first := f.value["init"]; { // the first process
	case f.value["systemd"] == "yes":
		facts["ansible_service_mgr"] = "systemd"
	case first != "" && first != "init" && !strings.HasSuffix(first, "sh"):
		facts["ansible_service_mgr"] = strings.TrimSuffix(first, "-init")
	}
	dns := map[string]any{}
	for _, line := range strings.Split(f.value["resolv"], "\n") {
		switch w := strings.Fields(line); {
		case len(w) > 1 && w[0] == "nameserver":
			list, _ := dns["nameservers"].([]any)
			dns["nameservers"] = append(list, w[1])
		case len(w) > 1 && w[0] == "search":
			dns["search"] = words(w[1:])
		case len(w) > 1 && w[0] == "domain":
			dns["domain"] = w[1]
		}
	}
	if len(dns) > 0 {
		facts["ansible_dns"] = dns
	}
	return facts
}

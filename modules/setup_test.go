package modules

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newSetup(set func(*setup)) *setup {
	d, _ := Lookup("setup")
	m := d.New().(*setup)
	set(m)
	return m
}

func factsOf(t *testing.T, target Target, set func(*setup)) map[string]any {
	t.Helper()
	m := newSetup(set)
	require.NoError(t, m.Validate())
	change := check(t, m, target)
	assert.Empty(t, change.Diffs)
	assert.Empty(t, change.Steps)
	return change.Vars["ansible_facts"].(map[string]any)
}

// What the shells find out about this machine is what Go knows of it.
func TestSetupHere(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	me, err := user.Current()
	require.NoError(t, err)
	machine, err := exec.Command("uname", "-m").Output()
	require.NoError(t, err)
	for shell, h := range shells(t) {
		h.env = append(h.env, "ODD=a=b\nansible_hostname=forged")
		facts := factsOf(t, h, func(*setup) {})
		short, _, _ := strings.Cut(host, ".")
		assert.Equal(t, short, facts["ansible_hostname"], shell)
		assert.Equal(t, host, facts["ansible_nodename"])
		assert.Equal(t, "Linux", facts["ansible_system"])
		assert.Equal(t, strings.TrimSpace(string(machine)), facts["ansible_architecture"])
		assert.Equal(t, me.Username, facts["ansible_user_id"])
		assert.Equal(t, me.HomeDir, facts["ansible_user_dir"])
		assert.Equal(t, "a=b\nansible_hostname=forged", facts["ansible_env"].(map[string]any)["ODD"])
		assert.GreaterOrEqual(t, facts["ansible_processor_vcpus"], int64(runtime.NumCPU()))
		assert.Positive(t, facts["ansible_memtotal_mb"])
		assert.Contains(t, facts["ansible_interfaces"], "lo")
		assert.Equal(t, "127.0.0.1", facts["ansible_lo"].(map[string]any)["ipv4"].(map[string]any)["address"])
		assert.NotContains(t, facts["ansible_all_ipv4_addresses"], "127.0.0.1")
		assert.NotEmpty(t, facts["ansible_boot_id"])
		assert.NotContains(t, facts, "ansible_python_version")
	}
}

// answers is what setup.sh prints on the hosts that are told of.
func answers(pairs ...string) *fake {
	text := strings.Join(pairs, "\x00") + "\x00"
	f := &fake{commands: map[string]Output{}}
	for _, groups := range []string{"min", "min, hardware, network, virtual"} {
		f.commands["gather facts: "+groups] = Output{Stdout: text}
	}
	return f
}

func TestSetupDistribution(t *testing.T) {
	tests := []struct {
		name, release, debian string
		want                  map[string]any
	}{
		{"debian", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm", "12.11",
			map[string]any{"distribution": "Debian", "distribution_version": "12.11", "distribution_major_version": "12", "distribution_release": "bookworm", "os_family": "Debian"}},
		{"debian to come", "ID=debian\nVERSION_CODENAME=forky", "forky/sid",
			map[string]any{"distribution": "Debian", "distribution_version": "NA", "distribution_major_version": "NA", "distribution_release": "forky", "os_family": "Debian"}},
		{"ubuntu", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy", "bookworm/sid",
			map[string]any{"distribution": "Ubuntu", "distribution_version": "22.04", "distribution_major_version": "22", "distribution_release": "jammy", "os_family": "Debian"}},
		{"rocky", "# a comment\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"", "",
			map[string]any{"distribution": "Rocky", "distribution_version": "9.3", "distribution_major_version": "9", "distribution_release": "NA", "os_family": "RedHat"}},
		{"alpine", "ID=alpine\nVERSION_ID=3.19.1", "",
			map[string]any{"distribution": "Alpine", "distribution_version": "3.19.1", "distribution_major_version": "3", "distribution_release": "NA", "os_family": "Alpine"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			facts := factsOf(t, answers("os_release="+tt.release, "debian_version="+tt.debian), func(*setup) {})
			for key, want := range tt.want {
				assert.Equal(t, want, facts["ansible_"+key], key)
			}
		})
	}
}

func TestSetupNetwork(t *testing.T) {
	facts := factsOf(t, answers(
		"interface eth0=02:fc:00:00:00:01 1400 up", "interface br-lan=02:00:00:00:00:02 1500 down bridge", "interface lo=00:00:00:00:00:00 65536 unknown ",
		"addresses=1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n"+
			"4: eth0    inet 10.0.0.100/24 brd 10.0.0.255 scope global eth0\\  valid_lft forever\n"+
			"4: eth0    inet 10.0.1.7/32 scope global eth0\\  valid_lft forever\n"+
			"4: eth0    inet6 fd00::2/64 scope global nodad \\  valid_lft forever",
		"route4=8.8.8.8 via 10.0.0.1 dev eth0 src 10.0.0.100 uid 0 \\    cache", "route6="),
		func(*setup) {})
	assert.Equal(t, []any{"br-lan", "eth0", "lo"}, facts["ansible_interfaces"])
	assert.Equal(t, []any{"10.0.0.100", "10.0.1.7"}, facts["ansible_all_ipv4_addresses"])
	assert.Equal(t, []any{"fd00::2"}, facts["ansible_all_ipv6_addresses"])
	assert.Equal(t, map[string]any{
		"interface": "eth0", "alias": "eth0", "address": "10.0.0.100", "gateway": "10.0.0.1",
		"netmask": "255.255.255.0", "network": "10.0.0.0", "prefix": "24", "broadcast": "10.0.0.255",
		"macaddress": "02:fc:00:00:00:01", "mtu": int64(1400), "type": "ether",
	}, facts["ansible_default_ipv4"])
	assert.Equal(t, map[string]any{}, facts["ansible_default_ipv6"])
	assert.Equal(t, map[string]any{
		"device": "br-lan", "type": "bridge", "active": false, "macaddress": "02:00:00:00:00:02", "mtu": int64(1500),
	}, facts["ansible_br_lan"])
	assert.NotContains(t, facts["ansible_lo"], "macaddress")
	eth0 := facts["ansible_eth0"].(map[string]any)
	assert.Equal(t, "10.0.1.7", eth0["ipv4_secondaries"].([]any)[0].(map[string]any)["address"])
}

func TestSetupNetworkWithoutIP(t *testing.T) {
	facts := factsOf(t, answers("interface eth0=02:fc:00:00:00:01 1400 up", "address_list=10.0.0.5 fd00::5 "), func(*setup) {})
	assert.Equal(t, []any{"10.0.0.5"}, facts["ansible_all_ipv4_addresses"])
	assert.Equal(t, []any{"fd00::5"}, facts["ansible_all_ipv6_addresses"])
}

func TestSetupHardware(t *testing.T) {
	core := func(n string) string {
		return "processor\t: " + n + "\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nphysical id\t: 0\nsiblings\t: 4\ncpu cores\t: 2\n"
	}
	facts := factsOf(t, answers(
		"cpus="+core("0")+core("1")+core("2")+core("3"),
		"meminfo=MemTotal:        4096000 kB\nMemFree:  1024000 kB\nBuffers: 0 kB\nCached: 2048000 kB\nSwapTotal: 0 kB",
		"product_name=KVM", "virtual=kvm", "uptime=1861.51 2394.94", "loadavg=0.32 0.54 0.80 2/97 25840"), func(*setup) {})
	for key, want := range map[string]any{
		"processor_vcpus": int64(4), "processor_count": int64(1), "processor_cores": int64(2), "processor_threads_per_core": int64(2),
		"memtotal_mb": int64(4000), "memfree_mb": int64(1000), "product_name": "KVM", "uptime_seconds": int64(1861),
		"virtualization_type": "kvm", "virtualization_role": "guest",
		"loadavg": map[string]any{"1m": 0.32, "5m": 0.54, "15m": 0.80},
	} {
		assert.Equal(t, want, facts["ansible_"+key], key)
	}
	assert.Equal(t, []any{"0", "AuthenticAMD", "AMD EPYC"}, facts["ansible_processor"].([]any)[:3])
	nocache := facts["ansible_memory_mb"].(map[string]any)["nocache"]
	assert.Equal(t, map[string]any{"free": int64(3000), "used": int64(1000)}, nocache)
}

func TestSetupClockAndServices(t *testing.T) {
	facts := factsOf(t, answers("date=1795384592 +0130 XYZ Monday 1 327 48", "packages=apt-get",
		"resolv=# none\nnameserver 10.0.0.53\nnameserver 10.0.0.54\nsearch a.example b.example"), func(*setup) {})
	assert.Subset(t, facts["ansible_date_time"], map[string]any{
		"epoch": "1795384592", "iso8601": "2026-11-22T21:56:32Z", "date": "2026-11-22", "time": "23:26:32",
		"tz": "XYZ", "tz_offset": "+0130", "weekday_number": "0", "weeknumber": "46",
	})
	assert.Equal(t, "apt", facts["ansible_pkg_mgr"])
	for text, want := range map[string]string{
		"systemd=yes": "systemd", "init=runit-init": "runit", "init=init": "service", "init=bash": "service", "": "service",
	} {
		assert.Equal(t, want, factsOf(t, answers(text), func(*setup) {})["ansible_service_mgr"], text)
	}
	assert.Equal(t, map[string]any{
		"nameservers": []any{"10.0.0.53", "10.0.0.54"}, "search": []any{"a.example", "b.example"},
	}, facts["ansible_dns"])
}

func TestSetupGroups(t *testing.T) {
	tests := []struct{ subset, want []string }{
		{nil, []string{"hardware", "network", "virtual"}},
		{[]string{"all"}, []string{"hardware", "network", "virtual"}},
		{[]string{"min"}, []string{}},
		{[]string{"!all"}, []string{}},
		{[]string{"!all", "!min"}, []string{}},
		{[]string{"!all", "network"}, []string{"network"}},
		{[]string{"!hardware"}, []string{"network", "virtual"}},
		{[]string{"network", "!hardware"}, []string{"network"}},
		{[]string{"all", "!network", "!virtual"}, []string{"hardware"}},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, (&setup{GatherSubset: tt.subset}).groups(), tt.subset)
	}
	h := shells(t)["sh"]
	assert.NotContains(t, factsOf(t, h, func(m *setup) { m.GatherSubset = []string{"min"} }), "ansible_interfaces")
}

func TestSetupFilter(t *testing.T) {
	h := shells(t)["sh"]
	facts := factsOf(t, h, func(m *setup) { m.Filter = []string{"ansible_kern*", "mem*_mb"} })
	keys := make([]string, 0, len(facts))
	for k := range facts {
		keys = append(keys, k)
	}
	assert.ElementsMatch(t, []string{
		"ansible_kernel", "ansible_kernel_version", "ansible_memfree_mb", "ansible_memtotal_mb", "ansible_memory_mb",
	}, keys)
}

func TestSetupIsBounded(t *testing.T) {
	f := answers()
	check(t, newSetup(func(*setup) {}), f)
	require.Len(t, f.runs, 1, "facts are one query")
	assert.Equal(t, 10*time.Second, f.runs[0].Limit)
}

func TestSetupFails(t *testing.T) {
	const query = "gather facts: min, hardware, network, virtual"
	_, err := newSetup(func(*setup) {}).Check(t.Context(), &fake{errs: map[string]error{query: context.DeadlineExceeded}})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = newSetup(func(*setup) {}).Check(t.Context(), &fake{errs: map[string]error{query: errors.New("lost")}})
	assert.EqualError(t, err, "gathering facts: lost")
	_, err = newSetup(func(*setup) {}).Check(t.Context(), &fake{commands: map[string]Output{query: {Code: 2, Stderr: "syntax"}}})
	assert.EqualError(t, err, "gathering facts: exit code 2: syntax")
}

func TestSetupValidate(t *testing.T) {
	assert.EqualError(t, (&setup{GatherSubset: []string{"!all", "!facter"}}).Validate(),
		`gather_subset "!facter" is not known; write all, min, hardware, network, virtual, or one of them after !`)
	assert.EqualError(t, (&setup{Filter: []string{"ansible_[a"}}).Validate(),
		`filter "ansible_[a" is not a pattern: a bracket is never closed`)
}

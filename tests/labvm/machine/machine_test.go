package machine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommand(t *testing.T) {
	m := Machine{Name: "vm1", ID: "u", Memory: 512, Disk: "/d/a,b", Format: "qcow2", Seed: "/d/seed", Console: "/d/console"}
	bare := strings.Join(m.Command().Args, " ")
	require.Contains(t, bare, "-accel tcg,thread=multi -cpu max,la57=off,cx16=off ")
	require.Contains(t, bare, "format=qcow2,file=/d/a,,b ", "a comma in a path does not end it")
	require.Contains(t, bare, "readonly=on,format=raw,file=/d/seed")
	require.NotContains(t, bare, "-netdev")
	require.NotContains(t, bare, "-kernel")

	m.Network, m.Kernel = &Network{Tap: "tap1", MAC: "52:54:00:00:00:01"}, &Kernel{Image: "k", Initrd: "i", Line: "root=/dev/vda1 quiet"}
	args := m.Command().Args
	require.Contains(t, args, "tap,id=cable,script=no,downscript=no,ifname=tap1")
	require.Contains(t, args, "virtio-net-pci,netdev=cable,romfile=,mac=52:54:00:00:00:01")
	require.Equal(t, []string{"-kernel", "k", "-initrd", "i", "-append", "root=/dev/vda1 quiet"}, args[len(args)-6:])
}

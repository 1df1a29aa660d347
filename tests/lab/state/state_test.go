package state

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOursProtectsOtherFolders(t *testing.T) {
	const variable = "LAB_STATE"
	dir := t.TempDir()
	require.NoError(t, Dir(filepath.Join(dir, "none")).Ours(variable))
	d := Dir(dir)
	require.NoError(t, d.Ours(variable))
	require.NoError(t, os.WriteFile(d.Path("letters.txt"), nil, 0o644))
	require.EqualError(t, d.Ours(variable), dir+" is not empty and holds no lab: point LAB_STATE to a folder that may be removed")
	require.NoError(t, d.Make("10.0.0.0/16"))
	require.NoError(t, d.Ours(variable))
}

func TestLockKeepsASecondProgramOut(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "deep", "lab"))
	unlock, err := d.Lock()
	require.NoError(t, err)
	_, err = d.Lock()
	require.ErrorContains(t, err, d.StateDir()+".lock")
	unlock()
	unlock, err = d.Lock()
	require.NoError(t, err)
	unlock()
}

func TestSubnetIsWhatWasNoted(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "lab"))
	subnet, err := d.Subnet()
	require.NoError(t, err)
	require.Empty(t, subnet, "a lab that has not come so far")
	require.NoError(t, d.Make("10.77.0.0/16", "pki"))
	subnet, err = d.Subnet()
	require.NoError(t, err)
	require.Equal(t, "10.77.0.0/16", subnet)
	require.DirExists(t, d.Path("pki"))
}

func TestInventoryNamesEveryHostOnce(t *testing.T) {
	d := Dir(t.TempDir())
	require.NoError(t, d.WriteInventory([]Host{
		{"node001", "10.0.0.100", "control_plane", []byte("ssh-ed25519 one\n")},
		{"node004", "10.0.0.110", "workers", []byte("ssh-ed25519 four\n")},
		{"node005", "10.0.0.111", "workers", []byte("ssh-ed25519 five\n")},
	}))
	inventory, err := os.ReadFile(d.Inventory())
	require.NoError(t, err)
	require.Equal(t, `[control_plane]
node001 ansible_host=10.0.0.100

[workers]
node004 ansible_host=10.0.0.110
node005 ansible_host=10.0.0.111

[nodes:children]
control_plane
workers

[nodes:vars]
ansible_user=root
ansible_ssh_private_key_file=`+d.Path("id")+`
ansible_ssh_common_args='-o UserKnownHostsFile=`+d.Path("known_hosts")+` -o StrictHostKeyChecking=yes'
`, string(inventory))
	known, err := os.ReadFile(d.KnownHosts())
	require.NoError(t, err)
	require.Equal(t, "10.0.0.100 ssh-ed25519 one\n10.0.0.110 ssh-ed25519 four\n10.0.0.111 ssh-ed25519 five\n", string(known))
}

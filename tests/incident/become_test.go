//go:build linux

package incident

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"runbook/tests/lab"
)

const whoAmI = `- hosts: node006
  gather_facts: false
  tasks:
    - {name: Myself, command: id -un, register: me}
    - {name: The other, command: id -un, become: true, register: other}
    - {name: A file of the other, copy: {content: x, dest: /root/became, mode: "0600"}, become: true}
    - {name: Both, debug: {msg: "{{ me.stdout }} then {{ other.stdout }}"}}
`

// withPassword makes a user who may become root by a password.
const withPassword = `id careful >/dev/null 2>&1 || useradd --create-home careful
echo 'careful:hunter2-secret' | chpasswd
mkdir -p /home/careful/.ssh; cp /home/ops/.ssh/authorized_keys /home/careful/.ssh/; chown -R careful /home/careful
echo 'careful ALL=(ALL) ALL' >/etc/sudoers.d/careful; chmod 440 /etc/sudoers.d/careful`

func TestBecome(t *testing.T) {
	o := faulty(t, lab.None)
	host, err := o.Lab.Host("node006")
	require.NoError(t, err)
	_, err = o.Lab.SSH(t.Context(), host, withPassword)
	require.NoError(t, err)
	playbook := filepath.Join(t.TempDir(), "whoami.yaml")
	require.NoError(t, os.WriteFile(playbook, []byte(whoAmI), 0o600))

	free := o.call(t, "apply", "--yes", playbook, "-e", "ansible_user=ops")
	require.Equal(t, 0, free.Code)
	require.Contains(t, free.Stdout, "ops then root")

	asked := o.call(t, "apply", "--yes", "-v", playbook, "-e", "ansible_user=careful", "-e", "ansible_become_password=hunter2-secret")
	require.Equal(t, 0, asked.Code)
	require.Contains(t, asked.Stdout, "careful then root")
	require.NotContains(t, asked.Stdout+asked.Stderr, "hunter2")

	wrong := o.call(t, "apply", "--yes", playbook, "-e", "ansible_user=careful", "-e", "ansible_become_password=mistaken")
	require.Equal(t, 2, wrong.Code)
	require.Regexp(t, "(?i)password", wrong.Stdout)
	require.NotContains(t, wrong.Stdout+wrong.Stderr, "mistaken")

	without := o.call(t, "apply", "--yes", playbook, "-e", "ansible_user=careful")
	require.Equal(t, 2, without.Code)
	require.Regexp(t, "(?i)password", without.Stdout)
}

// TestClassCWithoutRoot ends the fault as a user who may use sudo.
func TestClassCWithoutRoot(t *testing.T) {
	o := faulty(t, lab.ClassC)
	apply := o.call(t, "apply", "--yes", "-b", Playbook, "-e", "ansible_user=ops")
	require.Equal(t, 0, apply.Code)
	require.True(t, o.probes(t).Healthy())
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

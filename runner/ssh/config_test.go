package ssh

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestArgs(t *testing.T) {
	tests := map[string]struct {
		args string
		want Options // with Args left out
		err  string
	}{
		"none":              {"", Options{}, ""},
		"jump":              {"-J a,b@c:2222", Options{Jump: []string{"a", "b@c:2222"}}, ""},
		"jump by option":    {"-o ProxyJump=bastion", Options{Jump: []string{"bastion"}}, ""},
		"joined":            {"-Jbastion -oStrictHostKeyChecking=accept-new -p2222", Options{Jump: []string{"bastion"}, HostKeys: AcceptNew, Port: 2222}, ""},
		"quoted":            {`-o "UserKnownHostsFile /a b" -i '/my key' -l admin -F /conf`, Options{KnownHosts: []string{"/a", "b"}, Keys: []string{"/my key"}, User: "admin", ConfigFile: "/conf"}, ""},
		"checking is off":   {"-o stricthostkeychecking=no", Options{HostKeys: Off}, ""},
		"unknown option":    {"-C", Options{}, `"-C" is not understood here`},
		"unknown keyword":   {"-o ProxyCommand=id", Options{}, "-o proxycommand is not understood here"},
		"a word":            {"bastion", Options{}, `"bastion" is not understood`},
		"no value":          {"-J", Options{}, "-J wants a value"},
		"no setting":        {"-o ProxyJump=", Options{}, "proxyjump wants a value"},
		"no port":           {"-p 0", Options{}, `-p "0" is not a port`},
		"open quote":        {"-J 'a", Options{}, "the quote ' is never closed"},
		"unknown policy":    {"-o StrictHostKeyChecking=maybe", Options{}, `"maybe" is not known`},
		"bad value, quoted": {"-p '22 '", Options{}, `"22 "`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Options{Args: test.args}.withArgs()
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				assert.ErrorContains(t, err, "ansible_ssh_common_args")
				return
			}
			require.NoError(t, err)
			got.Args = ""
			assert.Equal(t, test.want, got)
		})
	}
	o, err := Options{Port: 1, User: "me", HostKeys: Strict, Args: "-p 2 -l you -o StrictHostKeyChecking=no"}.withArgs()
	require.NoError(t, err)
	assert.Equal(t, Options{Port: 1, User: "me", HostKeys: Strict, Args: o.Args}, o, "fields win")
}

const sampleConfig = `
Host web*
  HostName 10.0.0.5
  User deploy
  Port 2222
  IdentityFile /keys/web
  IdentitiesOnly yes
  ProxyJump bastion
  StrictHostKeyChecking accept-new
  UserKnownHostsFile /known/one /known/two
  GlobalKnownHostsFile /known/all
  ConnectTimeout 7
Host proxied
  ProxyCommand nc %h %p
Host *
  GlobalKnownHostsFile none
  UserKnownHostsFile none
`

// Both ways to read ssh_config give the same, with and without the program.
func TestConfig(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte(sampleConfig), 0o600))
	ways := map[string]string{"files": t.TempDir()} // a PATH without ssh
	if _, err := exec.LookPath("ssh"); err == nil {
		ways["ssh -G"] = os.Getenv("PATH")
	}
	for way, path := range ways {
		t.Run(way, func(t *testing.T) {
			t.Setenv("PATH", path)
			checkConfig(t, file)
			checkOptionsWin(t, file)
		})
	}
}

func checkConfig(t *testing.T, file string) {
	s, err := resolve(timed(t), Options{Host: "node001", Addr: "web1", ConfigFile: file})
	require.NoError(t, err)
	assert.Equal(t, "10.0.0.5", s.addr)
	assert.Equal(t, "10.0.0.5", s.name)
	assert.Equal(t, "deploy", s.user)
	assert.Equal(t, 2222, s.port)
	assert.Equal(t, []string{"/keys/web"}, s.identities)
	assert.True(t, s.identitiesOnly)
	assert.Equal(t, []string{"bastion"}, s.jump)
	assert.Equal(t, AcceptNew, s.policy)
	assert.Equal(t, []string{"/known/one", "/known/two", "/known/all"}, s.knownHosts)
	assert.Equal(t, 7*time.Second, s.limit)

	s, err = resolve(timed(t), Options{Host: "plain", ConfigFile: file})
	require.NoError(t, err)
	assert.Equal(t, "plain", s.addr)
	assert.Equal(t, 22, s.port)
	assert.Equal(t, Strict, s.policy)
	assert.NotEmpty(t, s.user)
	assert.Empty(t, s.knownHosts)
	assert.NotEmpty(t, s.identities)

	_, err = resolve(timed(t), Options{Host: "proxied", ConfigFile: file})
	assert.ErrorContains(t, err, "use ProxyJump")
	_, err = resolve(timed(t), Options{Host: "x", ConfigFile: "/no/such/config"})
	assert.ErrorContains(t, err, "/no/such/config")
}

func checkOptionsWin(t *testing.T, file string) {
	s, err := resolve(timed(t), Options{
		Addr: "web1", ConfigFile: file, User: "me", Port: 22, HostKeys: Strict,
		KnownHosts: []string{"/mine"}, Jump: []string{"none"}, Keys: []string{"/key"},
	})
	require.NoError(t, err)
	assert.Equal(t, "me", s.user)
	assert.Equal(t, 22, s.port)
	assert.Equal(t, Strict, s.policy)
	assert.Equal(t, []string{"/mine"}, s.knownHosts)
	assert.Equal(t, []string{"/key"}, s.keys)
	assert.Empty(t, s.jump)
}

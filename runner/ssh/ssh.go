// Package ssh reaches a machine through sshd: one TCP connection, on it one
// shell for each user who is wanted, and sftp for what is big.
//
// It follows the user's ssh_config, agent, keys and known_hosts, and asks
// nothing: what it would have to ask is an error that says what to do.
package ssh

import (
	"context"
	"sync"
	"time"
)

// Policy says what to do about the key of a host that is not in known_hosts. A
// key that differs from the known one is an error under every policy but Off.
type Policy string

// The policies. The zero Policy is what ssh_config says, and Strict where it
// says nothing.
const (
	Strict    Policy = "strict"     // refuse
	AcceptNew Policy = "accept-new" // note it in the first of the known_hosts files
	Off       Policy = "off"        // check nothing: anyone on the way can read and change all
)

// Options say how to reach a host. What is zero comes from ssh_config, and from
// OpenSSH's defaults where that says nothing.
type Options struct {
	Host       string   // its name in the inventory, for errors
	Addr       string   // the name or address to connect to; Host where empty
	User       string   // who logs in
	Port       int      // of sshd
	Keys       []string // files of private keys, tried before all others
	HostKeys   Policy
	KnownHosts []string // files, instead of those of ssh_config
	ConfigFile string   // instead of ~/.ssh/config and the system's; "none" for none
	Jump       []string // hosts to go through, first the nearest; "none" for none
	Args       string   // ansible_ssh_common_args; fields above win

	// ConnectTimeout bounds each of TCP connect, handshake and authentication;
	// ten seconds where zero.
	ConnectTimeout time.Duration

	// Password is asked for when the server takes passwords and no key was good
	// enough; nil if there is none.
	Password func(ctx context.Context) (string, error)
}

// Dialer connects to hosts and holds what connections share: how many handshakes
// one server is given at a time, the connections to jump hosts, and known_hosts.
// The zero Dialer is ready for use, by any number of goroutines.
type Dialer struct {
	gates gates
	known knownHosts

	backoff time.Duration // before the second try; firstPause where zero

	mu    sync.Mutex
	jumps map[string]*jump // by the settings of the jump host
}

// shared makes Dial share between all hosts of the process.
var shared Dialer

// Dial connects to a host and logs in. The error of a host that cannot be
// reached is an *Unreachable. A login that was refused is never tried again.
func Dial(ctx context.Context, o Options) (*Host, error) { return shared.Dial(ctx, o) }

// Dial connects to a host and logs in, as the function Dial does.
func (d *Dialer) Dial(ctx context.Context, o Options) (*Host, error) {
	s, err := resolve(ctx, o)
	if err != nil {
		return nil, err
	}
	c, err := d.connect(ctx, s)
	if err != nil {
		return nil, err
	}
	return newHost(c), nil
}

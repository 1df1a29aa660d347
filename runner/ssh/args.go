package ssh

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"runbook/modules"
)

// withArgs fills what is zero in the options from ansible_ssh_common_args.
// What it does not know is an error: an option that is left out in silence may
// be the one that keeps a connection safe.
func (o Options) withArgs() (Options, error) {
	words, err := modules.SplitWords(o.Args)
	for err == nil && len(words) > 0 {
		var option, value string
		option, value, words, err = nextOption(words)
		if err == nil {
			err = o.fill(option, value)
		}
	}
	if err != nil {
		return o, fmt.Errorf("%s: ansible_ssh_common_args %q: %w", o.Host, o.Args, err)
	}
	return o, nil
}

// nextOption takes one option off the words: -J host, -Jhost, -o Name=value,
// -oName=value, "-o Name value". An option of -o is returned by its name.
func nextOption(words []string) (option, value string, rest []string, err error) {
	word := words[0]
	if len(word) < 2 || word[0] != '-' || !strings.Contains("oJiplF", word[1:2]) {
		return "", "", nil, fmt.Errorf("%q is not understood here: -F, -i, -J, -l, -p and -o are (ssh_config takes the rest)", word)
	}
	option, value, rest = word[:2], word[2:], words[1:]
	if value == "" {
		if len(rest) == 0 {
			return "", "", nil, fmt.Errorf("%s wants a value", word)
		}
		value, rest = rest[0], rest[1:]
	}
	if option == "-o" {
		name, setting, found := strings.Cut(strings.TrimSpace(value), "=")
		if !found {
			name, setting, _ = strings.Cut(strings.TrimSpace(value), " ")
		}
		option, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(setting)
	}
	return option, value, rest, nil
}

func (o *Options) fill(option, value string) error {
	if value == "" {
		return fmt.Errorf("%s wants a value", option)
	}
	switch option {
	case "-J", "proxyjump":
		if o.Jump == nil {
			o.Jump = strings.Split(value, ",")
		}
	case "-i":
		o.Keys = append(o.Keys, value)
	case "-l":
		o.User = cmp.Or(o.User, value)
	case "-F":
		o.ConfigFile = cmp.Or(o.ConfigFile, value)
	case "-p":
		port, err := strconv.Atoi(value)
		if err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("-p %q is not a port", value)
		}
		o.Port = cmp.Or(o.Port, port)
	case "userknownhostsfile":
		if o.KnownHosts == nil {
			o.KnownHosts = strings.Fields(value)
		}
	case "stricthostkeychecking":
		policy, err := policyOf(value)
		if err != nil {
			return err
		}
		o.HostKeys = cmp.Or(o.HostKeys, policy)
	default:
		return fmt.Errorf("-o %s is not understood here: ProxyJump, StrictHostKeyChecking and UserKnownHostsFile are (ssh_config takes the rest)", option)
	}
	return nil
}

// policyOf reads a value of StrictHostKeyChecking. To ask is to refuse: nobody
// can answer while hundreds of hosts are connected.
func policyOf(value string) (Policy, error) {
	switch strings.ToLower(value) {
	case "yes", "true", "ask", "":
		return Strict, nil
	case "accept-new":
		return AcceptNew, nil
	case "no", "false", "off":
		return Off, nil
	}
	return "", fmt.Errorf("StrictHostKeyChecking %q is not known: yes, accept-new and no are", value)
}

package ssh

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"
)

// settings are all that is needed to connect, with nothing left to look up.
type settings struct {
	host           string // for errors
	name           string // what known_hosts knows it by
	addr           string
	user           string
	port           int
	keys           []string // from the inventory: tried first
	identities     []string // from ssh_config
	certificates   []string
	agent          string // socket; none where empty
	identitiesOnly bool
	policy         Policy
	knownHosts     []string
	jump           []string
	depth          int           // how many hosts are reached by way of this one, in a chain
	given          Options       // what the inventory said
	limit          time.Duration // of each stage
	password       func(context.Context) (string, error)
}

const (
	defaultLimit = 10 * time.Second
	configLimit  = 10 * time.Second // of ssh -G: a `Match exec` may run anything
)

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9_.:][A-Za-z0-9_.:-]*(%[A-Za-z0-9_.-]+)?$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.@\\$+-]*$`)
)

// resolve joins the options with ssh_config. Options win.
func resolve(ctx context.Context, o Options) (settings, error) {
	o, err := o.withArgs()
	if err != nil {
		return settings{}, err
	}
	target := cmp.Or(o.Addr, o.Host)
	if !hostName.MatchString(target) {
		return settings{}, fmt.Errorf("%q is not the name or address of a host", target)
	}
	if o.User != "" && !userName.MatchString(o.User) {
		return settings{}, fmt.Errorf("%s: %q is not the name of a user", o.Host, o.User)
	}
	config, err := readConfig(ctx, o, target)
	if err != nil {
		return settings{}, fmt.Errorf("%s: ssh_config: %w", o.Host, err)
	}
	s, err := config.settings(target)
	if err != nil {
		return settings{}, fmt.Errorf("%s: ssh_config: %w", o.Host, err)
	}
	s.host = cmp.Or(o.Host, target)
	s.user = cmp.Or(o.User, s.user)
	s.port = cmp.Or(o.Port, s.port)
	s.policy = cmp.Or(o.HostKeys, s.policy)
	s.limit = cmp.Or(o.ConnectTimeout, s.limit)
	s.keys = expandAll(o.Keys)
	s.given = o
	s.password = o.Password
	if len(o.KnownHosts) > 0 {
		s.knownHosts = expandAll(o.KnownHosts)
	}
	if o.Jump != nil {
		s.jump = o.Jump
	}
	if len(s.jump) == 1 && s.jump[0] == "none" {
		s.jump = nil
	}
	return s, nil
}

// config is what ssh_config says about one host: values by keyword in lower case.
type config map[string][]string

func (c config) one(keyword string) string {
	if values := c[keyword]; len(values) > 0 && !strings.EqualFold(values[0], "none") {
		return values[0]
	}
	return ""
}

func (c config) settings(target string) (settings, error) {
	if proxy := c.one("proxycommand"); proxy != "" {
		return settings{}, fmt.Errorf("ProxyCommand %q is not supported: use ProxyJump", proxy)
	}
	s := settings{
		addr:           cmp.Or(c.one("hostname"), target),
		user:           c.one("user"),
		identities:     expandAll(c["identityfile"]),
		certificates:   expandAll(c["certificatefile"]),
		identitiesOnly: c.one("identitiesonly") == "yes",
		port:           22,
		limit:          defaultLimit,
	}
	if !hostName.MatchString(s.addr) {
		return settings{}, fmt.Errorf("HostName %q is not the name or address of a host", s.addr)
	}
	s.name = cmp.Or(c.one("hostkeyalias"), s.addr)
	var err error
	if s.policy, err = policyOf(c.one("stricthostkeychecking")); err != nil {
		return settings{}, err
	}
	if port := c.one("port"); port != "" {
		if s.port, err = strconv.Atoi(port); err != nil {
			return settings{}, fmt.Errorf("port %q is not a number", port)
		}
	}
	if seconds, err := strconv.Atoi(c.one("connecttimeout")); err == nil && seconds > 0 {
		s.limit = time.Duration(seconds) * time.Second
	}
	for _, keyword := range []string{"userknownhostsfile", "globalknownhostsfile"} {
		for _, value := range c[keyword] {
			s.knownHosts = append(s.knownHosts, expandAll(strings.Fields(value))...)
		}
	}
	if jump := c.one("proxyjump"); jump != "" {
		s.jump = strings.Split(jump, ",")
	}
	s.agent = os.Getenv("SSH_AUTH_SOCK")
	if socket := c["identityagent"]; len(socket) > 0 && socket[0] != "SSH_AUTH_SOCK" {
		s.agent = expand(c.one("identityagent"))
	}
	return s, nil
}

// readConfig asks ssh itself, which knows every keyword and Match, and reads the
// files where there is no ssh.
func readConfig(ctx context.Context, o Options, target string) (config, error) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return readFiles(o, target)
	}
	words := []string{"-G"}
	if o.ConfigFile != "" {
		words = append(words, "-F", expand(o.ConfigFile))
	}
	if o.User != "" {
		words = append(words, "-l", o.User)
	}
	if o.Port != 0 {
		words = append(words, "-p", strconv.Itoa(o.Port))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, configLimit, errTooSlow{configLimit})
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(words, "--", target)...)
	cmd.WaitDelay = configLimit // a program of Match exec may hold the output
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("ssh -G: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	c := config{}
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		keyword, value, _ := strings.Cut(lines.Text(), " ")
		c[keyword] = append(c[keyword], value)
	}
	return c, nil
}

// readFiles reads the user's and the system's ssh_config.
func readFiles(o Options, target string) (config, error) {
	files := []string{"~/.ssh/config", "/etc/ssh/ssh_config"}
	switch o.ConfigFile {
	case "":
	case "none":
		files = nil
	default:
		files = []string{o.ConfigFile}
	}
	c := config{}
	for _, name := range files {
		data, err := os.ReadFile(expand(name))
		if errors.Is(err, os.ErrNotExist) && o.ConfigFile == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		parsed, err := ssh_config.DecodeBytes(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, keyword := range keywords {
			values, err := parsed.GetAll(target, keyword)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if key := strings.ToLower(keyword); len(c[key]) == 0 || keyword == "IdentityFile" {
				c[key] = append(c[key], values...)
			}
		}
	}
	return c.withDefaults()
}

// keywords are those that readFiles looks for.
var keywords = []string{
	"CertificateFile", "ConnectTimeout", "GlobalKnownHostsFile", "HostKeyAlias", "HostName", "IdentitiesOnly",
	"IdentityAgent", "IdentityFile", "Port", "ProxyCommand", "ProxyJump", "StrictHostKeyChecking", "User",
	"UserKnownHostsFile",
}

// withDefaults adds what ssh -G would print for keywords that are not set.
func (c config) withDefaults() (config, error) {
	if c.one("user") == "" {
		who, err := user.Current()
		if err != nil {
			return nil, err
		}
		c["user"] = []string{who.Username}
	}
	for keyword, values := range map[string][]string{
		"identityfile":         {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"},
		"userknownhostsfile":   {"~/.ssh/known_hosts"},
		"globalknownhostsfile": {"/etc/ssh/ssh_known_hosts"},
	} {
		if len(c[keyword]) == 0 {
			c[keyword] = values
		}
	}
	return c, nil
}

func expandAll(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "none" })
	for i := range names {
		names[i] = expand(names[i])
	}
	return names
}

// expand puts the home directory in the place of ~.
func expand(name string) string {
	rest, found := strings.CutPrefix(name, "~/")
	if !found {
		return name
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return name
	}
	return filepath.Join(home, rest)
}

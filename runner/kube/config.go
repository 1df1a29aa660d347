package kube

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Client-go's own limits (5 a second) are made for controllers and would slow a
// run that looks at many objects. The server's fairness is the real limit.
const (
	requestsPerSecond = 50
	requestBurst      = 100
)

// loaded is a kubeconfig made ready for use.
type loaded struct {
	config    *rest.Config
	namespace string
	origin    string
}

func (l loaded) wrong(err error) error { return fmt.Errorf("%s: %w", l.origin, err) }

// Find lists the kubeconfig files of this machine as kubectl looks for them:
// those of $KUBECONFIG that exist, or else ~/.kube/config.
func Find() (paths []string, found bool) {
	for _, path := range clientcmd.NewDefaultClientConfigLoadingRules().GetLoadingPrecedence() {
		if _, err := os.Stat(path); err == nil {
			paths = append(paths, path)
		}
	}
	return paths, len(paths) > 0
}

func load(o Options) (loaded, error) {
	merged, origin, err := read(o)
	if err != nil {
		return loaded{}, err
	}
	name := o.Context
	if name == "" {
		name = merged.CurrentContext
	}
	l := loaded{origin: fmt.Sprintf("%s (context %q)", origin, name)}
	if name == "" && len(merged.Contexts) > 0 {
		return loaded{}, fmt.Errorf("%s: no current context; choose one of %s", origin, contexts(merged))
	}
	if _, ok := merged.Contexts[name]; !ok {
		return loaded{}, fmt.Errorf("%s: no context %q; there is %s", origin, name, contexts(merged))
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: name}
	overrides.Context.Namespace = o.Namespace
	client := clientcmd.NewNonInteractiveClientConfig(*merged, name, overrides, nil)
	if l.config, err = client.ClientConfig(); err != nil {
		return loaded{}, l.wrong(err)
	}
	if l.namespace, _, err = client.Namespace(); err != nil {
		return loaded{}, l.wrong(err)
	}
	l.config.QPS, l.config.Burst = requestsPerSecond, requestBurst
	l.config.UserAgent = fieldManager
	l.config.WarningHandlerWithContext = warnings{}
	if o.Dial != nil {
		l.config.Dial = o.Dial
		// Dial decides the way; a proxy of this machine may know nothing of it.
		l.config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	return l, nil
}

// read gives the kubeconfig and its name for people.
func read(o Options) (*api.Config, string, error) {
	if o.Config != nil {
		origin := "kubeconfig"
		if o.Origin != "" {
			origin += " " + o.Origin
		}
		config, err := clientcmd.Load(o.Config)
		if err != nil {
			return nil, origin, fmt.Errorf("%s: %w", origin, err)
		}
		return config, origin, selfContained(config, origin)
	}
	paths := o.Kubeconfig
	if len(paths) == 0 {
		found, ok := Find()
		if !ok {
			return nil, "", fmt.Errorf("no kubeconfig: $KUBECONFIG names no file that exists, and there is no %s", clientcmd.RecommendedHomeFile)
		}
		paths = found
	}
	origin := "kubeconfig " + strings.Join(paths, ", ")
	config, err := (&clientcmd.ClientConfigLoadingRules{Precedence: paths}).Load()
	if err != nil {
		return nil, origin, fmt.Errorf("%s: %w", origin, err)
	}
	return config, origin, trustworthy(config)
}

// selfContained refuses what would let a kubeconfig that came from another
// machine run a program here or send a file of this machine to its server.
func selfContained(config *api.Config, origin string) error {
	for _, name := range slices.Sorted(maps.Keys(config.AuthInfos)) {
		u := config.AuthInfos[name]
		if u.Exec != nil || u.AuthProvider != nil {
			return fmt.Errorf("%s: user %q gets its credentials from a program; only credentials in the file itself are taken from another machine", origin, name)
		}
		if err := noFile(origin, "user", name, u.ClientCertificate, u.ClientKey, u.TokenFile); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(config.Clusters)) {
		if err := noFile(origin, "cluster", name, config.Clusters[name].CertificateAuthority); err != nil {
			return err
		}
	}
	return nil
}

func noFile(origin, what, name string, paths ...string) error {
	for _, path := range paths {
		if path != "" {
			return fmt.Errorf("%s: %s %q names the file %q, which would be read from this machine; embed it (kubectl config view --raw --flatten)", origin, what, name, path)
		}
	}
	return nil
}

// trustworthy refuses a program to run that anybody on this machine may choose.
func trustworthy(config *api.Config) error {
	for _, name := range slices.Sorted(maps.Keys(config.AuthInfos)) {
		u := config.AuthInfos[name]
		if u.Exec == nil || u.LocationOfOrigin == "" {
			continue
		}
		info, err := os.Stat(u.LocationOfOrigin)
		if err != nil {
			return fmt.Errorf("kubeconfig %s: %w", u.LocationOfOrigin, err)
		}
		if info.Mode().Perm()&fs.FileMode(0o002) != 0 {
			return fmt.Errorf("kubeconfig %s: user %q runs %q, and anybody may write the file (mode %04o); chmod o-w %s",
				u.LocationOfOrigin, name, u.Exec.Command, info.Mode().Perm(), u.LocationOfOrigin)
		}
	}
	return nil
}

func contexts(config *api.Config) string {
	if len(config.Contexts) == 0 {
		return "none"
	}
	names := slices.Sorted(maps.Keys(config.Contexts))
	for i, name := range names {
		names[i] = strconv.Quote(name)
	}
	return strings.Join(names, ", ")
}

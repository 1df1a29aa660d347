package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// One document tells every kind of a server since Kubernetes 1.26; v2 since 1.30.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList," +
	"application/json"

// kind is one kind of object that the API serves.
type kind struct {
	schema.GroupVersion
	Kind       string
	plural     string // the word in URLs
	singular   string
	short      []string
	namespaced bool
}

func (k kind) resource() schema.GroupVersionResource {
	return k.WithResource(k.plural)
}

// title is how kubectl names an object: daemonset.apps/calico-node.
func (k kind) title(name string) string {
	word := strings.ToLower(k.Kind)
	if k.Group != "" {
		word += "." + k.Group
	}
	return word + "/" + name
}

// discover asks the server for its kinds, the legacy group first, as kubectl
// prefers it; versions of a group come in the server's order of preference.
func (c *Client) discover(ctx context.Context) ([]kind, error) {
	var all []kind
	for _, root := range []string{"/api", "/apis"} {
		data, err := c.document(ctx, root, aggregated)
		if err != nil {
			return nil, c.explain("ask for the kinds of the API", err)
		}
		found, err := c.kindsOf(ctx, root, data)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds = all
	return all, nil
}

func (c *Client) document(ctx context.Context, path, accept string) ([]byte, error) {
	var data []byte
	err := c.reading(ctx, func(ctx context.Context) (err error) {
		data, err = c.raw.Get().AbsPath(path).SetHeader("Accept", accept).Do(ctx).Raw()
		return err
	})
	return data, err
}

// groupList covers the answers of /api and /apis, aggregated or not.
type groupList struct {
	Kind     string
	Versions []string   // of /api
	Groups   []struct { // of /apis
		Name     string
		Versions []struct{ Version string }
	}
	Items []struct { // aggregated
		Metadata struct{ Name string }
		Versions []struct {
			Version   string
			Resources []aggregatedKind
		}
	}
}

type aggregatedKind struct {
	Resource         string
	ResponseKind     struct{ Group, Version, Kind string }
	Scope            string
	SingularResource string
	ShortNames       []string
}

func (c *Client) kindsOf(ctx context.Context, root string, data []byte) ([]kind, error) {
	var list groupList
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("ask for the kinds of the API: %s%s does not answer as a Kubernetes API: %w", c.server, root, err)
	}
	if list.Kind != "APIGroupDiscoveryList" {
		return c.oneByOne(ctx, root, list)
	}
	var found []kind
	for _, group := range list.Items {
		for _, version := range group.Versions {
			gv := schema.GroupVersion{Group: group.Metadata.Name, Version: version.Version}
			for _, r := range version.Resources {
				found = append(found, kind{
					GroupVersion: gv, Kind: r.ResponseKind.Kind, plural: r.Resource,
					singular: r.SingularResource, short: r.ShortNames, namespaced: r.Scope == "Namespaced",
				})
			}
		}
	}
	return found, nil
}

// oneByOne asks an older server for each group and version.
func (c *Client) oneByOne(ctx context.Context, root string, list groupList) ([]kind, error) {
	var versions []schema.GroupVersion
	for _, v := range list.Versions {
		versions = append(versions, schema.GroupVersion{Version: v})
	}
	for _, g := range list.Groups {
		for _, v := range g.Versions {
			versions = append(versions, schema.GroupVersion{Group: g.Name, Version: v.Version})
		}
	}
	var found []kind
	for _, gv := range versions {
		data, err := c.document(ctx, root+"/"+gv.String(), "application/json")
		if err != nil && !unreached(err) && ctx.Err() == nil {
			continue // an aggregated API that is down must not take the others with it
		}
		if err != nil {
			return nil, c.explain("ask for the kinds of "+gv.String(), err)
		}
		kinds, err := kindsIn(gv, data)
		if err != nil {
			return nil, fmt.Errorf("ask for the kinds of %s: %w", gv, err)
		}
		found = append(found, kinds...)
	}
	return found, nil
}

func kindsIn(gv schema.GroupVersion, data []byte) ([]kind, error) {
	var list struct {
		Resources []struct {
			Name, SingularName, Kind string
			ShortNames               []string
			Namespaced               bool
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	var found []kind
	for _, r := range list.Resources {
		if strings.Contains(r.Name, "/") {
			continue // a subresource
		}
		found = append(found, kind{
			GroupVersion: gv, Kind: r.Kind, plural: r.Name,
			singular: r.SingularName, short: r.ShortNames, namespaced: r.Namespaced,
		})
	}
	return found, nil
}

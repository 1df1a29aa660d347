package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"runbook/modules"
)

var _ modules.Cluster = (*Client)(nil)

// Get reads one object; nil where there is none.
func (c *Client) Get(ctx context.Context, ref modules.Ref) (modules.Object, error) {
	p, err := c.place(ctx, ref)
	if err != nil {
		return nil, err
	}
	if ref.Name == "" {
		return nil, fmt.Errorf("get %s: no name given", p.plural)
	}
	var found *unstructured.Unstructured
	err = c.reading(ctx, func(ctx context.Context) (err error) {
		found, err = p.objects.Get(ctx, ref.Name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.explain(p.what("get", ref), err)
	}
	return found.Object, nil
}

// List reads the objects that a Ref without a name selects, page by page.
func (c *Client) List(ctx context.Context, ref modules.Ref) ([]modules.Object, error) {
	p, err := c.place(ctx, ref)
	if err != nil {
		return nil, err
	}
	options := selection(ref)
	options.Limit = pageSize
	items, err := c.pages(ctx, p, options)
	if apierrors.IsResourceExpired(err) {
		// The rest of a slow list has been forgotten: take it whole.
		options.Limit = 0
		items, err = c.pages(ctx, p, options)
	}
	if err != nil {
		return nil, c.explain(p.what("list", ref), err)
	}
	slices.SortFunc(items, func(a, b unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	objects := make([]modules.Object, len(items))
	for i, item := range items {
		objects[i] = item.Object
	}
	return objects, nil
}

func (c *Client) pages(ctx context.Context, p place, options metav1.ListOptions) ([]unstructured.Unstructured, error) {
	var items []unstructured.Unstructured
	for range maxPages {
		var page *unstructured.UnstructuredList
		err := c.reading(ctx, func(ctx context.Context) (err error) {
			page, err = p.objects.List(ctx, options)
			return err
		})
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return items, nil
		}
	}
	return nil, fmt.Errorf("the list does not end after %d pages of %d", maxPages, pageSize)
}

func selection(ref modules.Ref) metav1.ListOptions {
	options := metav1.ListOptions{LabelSelector: ref.Selector, FieldSelector: ref.Fields}
	if ref.Name != "" {
		options.FieldSelector = "metadata.name=" + ref.Name
	}
	return options
}

// errLong is a log that cannot be given whole.
var errLong = errors.New("the log is longer than 16 MiB; read less of it by a later start")

// Logs reads what one container of a pod has logged. A log that is too long is
// an error: a part of it would hide lines from whoever looks for them.
func (c *Client) Logs(ctx context.Context, req modules.LogRequest) (string, error) {
	namespace := c.namespaceOf(req.Namespace)
	var text string
	err := c.reading(ctx, func(ctx context.Context) error {
		r := c.raw.Get().AbsPath("/api/v1/namespaces", namespace, "pods", req.Pod, "log")
		if req.Container != "" {
			r = r.Param("container", req.Container)
		}
		if req.Previous {
			r = r.Param("previous", "true")
		}
		if !req.Since.IsZero() {
			r = r.Param("sinceTime", req.Since.UTC().Format("2006-01-02T15:04:05Z"))
		}
		stream, err := r.Stream(ctx)
		if err != nil {
			return err
		}
		defer stream.Close()
		data, err := io.ReadAll(io.LimitReader(stream, maxText+1))
		text = string(data)
		return err
	})
	what := fmt.Sprintf("log of pod %s/%s", namespace, req.Pod)
	if req.Container != "" {
		what += ", container " + req.Container
	}
	if err != nil {
		return "", c.explain(what, err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("%s: %w", what, errLong)
	}
	return text, nil
}

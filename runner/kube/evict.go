package kube

import (
	"context"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"runbook/modules"
)

// evict asks the server to evict the pod that the step means, and only it. The
// server answers that a budget does not allow it with "too many requests", after
// which the client library would ask again by itself, for minutes: it must not.
func (c *Client) evict(ctx context.Context, p place, s modules.APIStep, dry bool) (string, error) {
	options := map[string]any{"preconditions": map[string]any{"uid": s.UID}}
	if s.Grace != nil {
		options["gracePeriodSeconds"] = *s.Grace
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata": map[string]any{"name": s.Ref.Name, "namespace": p.namespace}, "deleteOptions": options,
	})
	if err != nil {
		return "", err
	}
	r := c.raw.Post().AbsPath("/api/v1/namespaces", p.namespace, "pods", s.Ref.Name, "eviction").
		SetHeader("Content-Type", "application/json").Body(body).MaxRetries(0)
	if dry {
		r = r.Param("dryRun", "All")
	}
	switch err := r.Do(ctx).Error(); {
	case apierrors.IsNotFound(err):
		return "was gone already", nil
	case apierrors.IsConflict(err) && strings.Contains(err.Error(), "UID"):
		return "was replaced already", nil
	case apierrors.IsTooManyRequests(err):
		return "", &modules.BudgetError{Message: budgetWords(err)}
	default:
		return "evicted", err
	}
}

// budgetWords is what the server says of the budget, with the cause that names its
// numbers.
func budgetWords(err error) string {
	said := err.Error()
	var status apierrors.APIStatus
	if s, ok := err.(apierrors.APIStatus); ok {
		status = s
	}
	if status == nil || status.Status().Details == nil {
		return said
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Message != "" {
			said += " " + cause.Message
		}
	}
	return said
}

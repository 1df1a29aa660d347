package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"runbook/modules"
)

// explain turns what client-go says into what a person can act on. An error of
// the server keeps its words.
func (c *Client) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	var budget *modules.BudgetError
	if errors.Is(err, context.Canceled) || errors.As(err, &budget) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if unreached(err) {
		return fmt.Errorf("%s: the Kubernetes API at %s (from %s) cannot be reached: %w", what, c.server, c.origin, err)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return fmt.Errorf("%s: %w", what, err)
	}
	said := status.Status()
	switch {
	case unknownField(said.Message):
		return &modules.FieldError{Message: what + ": " + fieldWords(said.Message)}
	case said.Reason == metav1.StatusReasonConflict && said.Details != nil && len(owners(said.Details)) > 0:
		return fmt.Errorf("%s: others own %s; leave these fields out, or take them over with force: true", what, strings.Join(owners(said.Details), ", "))
	case said.Reason == metav1.StatusReasonConflict && strings.Contains(said.Message, "the object has been modified"):
		return &modules.StaleError{Message: what + ": " + said.Message}
	case said.Reason == metav1.StatusReasonUnauthorized:
		return fmt.Errorf("%s: %s does not accept the credentials of %s: %w", what, c.server, c.origin, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unknownField knows both ways in which a server refuses a field: decoding is
// strict about built-in kinds, server-side apply about the schema.
func unknownField(message string) bool {
	return strings.Contains(message, "unknown field") || strings.Contains(message, "field not declared in schema")
}

// fieldWords leaves out the whole object, which some servers put before the
// words that matter, with all that it may hold.
func fieldWords(message string) string {
	if at := strings.LastIndex(message, "strict decoding error"); at >= 0 {
		return message[at:]
	}
	return message
}

// onlyOurs tells whether an apply is in conflict with nobody but ourselves: with
// an earlier patch, which the server keeps apart from what was applied.
func onlyOurs(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	all := owners(status.Status().Details)
	return len(all) > 0 && !slices.ContainsFunc(all, func(field string) bool {
		return !strings.Contains(field, ` ("`+fieldManager+`"`)
	})
}

// owners lists the fields in conflict, each with who owns it.
func owners(d *metav1.StatusDetails) []string {
	var fields []string
	for _, cause := range d.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		owner := strings.TrimPrefix(cause.Message, "conflict with ")
		fields = append(fields, fmt.Sprintf("%s (%s)", cause.Field, owner))
	}
	return fields
}

// unreached tells whether there was no answer, as opposed to a refusal.
func unreached(err error) bool {
	var status apierrors.APIStatus
	var transport *url.Error
	return !errors.As(err, &status) && (errors.As(err, &transport) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF))
}

// passing tells whether the same read may well succeed a moment later. A call
// that used up its time is not repeated: the sum would be too long for a person.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	return unreached(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err)
}

// reading makes one read, each try within callLimit, and tries again while the
// server cannot be reached or says that it is busy.
func (c *Client) reading(ctx context.Context, read func(context.Context) error) error {
	for try := 0; ; try++ {
		err := within(ctx, callLimit, read)
		if err == nil || !passing(err) || try == len(c.pace.retries) {
			return err
		}
		if sleep(ctx, c.pace.retries[try]) != nil {
			return err
		}
	}
}

// within gives a call its own deadline.
func within(ctx context.Context, limit time.Duration, call func(context.Context) error) error {
	limited, stop := context.WithTimeout(quiet(ctx), limit)
	defer stop()
	return call(limited)
}

// quiet keeps client-go from writing its log to the terminal; what matters in
// it comes back as an error anyway.
func quiet(ctx context.Context) context.Context {
	return logr.NewContext(ctx, logr.Discard())
}

// sleep waits, or ends early with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

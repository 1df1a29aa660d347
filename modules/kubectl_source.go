package modules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	manifestLimit = time.Minute // for fetching a manifest
	fetchedAtMost = 1 << 20     // bytes of a body that Fetch keeps
)

var sha256Digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// validManifest is for the verbs that take a manifest: an object, a file or a URL.
func (k *kubectl) validManifest() error {
	var from []string
	for _, name := range k.given() {
		if name == "apply" || name == "src" || name == "url" {
			from = append(from, name)
		}
	}
	switch {
	case len(from) > 1:
		return fmt.Errorf("%s exclude each other; keep one of them", strings.Join(from, " and "))
	case len(from) == 0:
		return errors.New("no manifest given; give src, or url with digest")
	case k.Digest != "" && k.Apply != nil:
		return errors.New("digest is for src and url; what is written here needs none")
	case k.Digest != "" && !sha256Digest.MatchString(k.Digest):
		return fmt.Errorf("digest is %q; it takes sha256: and 64 hexadecimal digits, as sha256sum prints them", k.Digest)
	case k.URL != "":
		return k.validURL()
	case k.Apply == nil && k.Src.Data == nil:
		return nil // the file has not been read yet
	}
	_, err := k.written()
	return err
}

func (k *kubectl) validURL() error {
	u, err := url.Parse(k.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("url: %q is not an http or https URL", k.URL)
	case u.User != nil:
		return errors.New("url: a password does not belong into a URL, which is shown; download the manifest, and give it as src")
	case k.Digest == "":
		return fmt.Errorf("url takes digest: what %s serves may be another manifest tomorrow; give sha256: and what sha256sum prints of the one that you have read", k.URL)
	}
	return nil
}

// source reads the objects of the manifest, wherever it is.
func (k *kubectl) source(ctx context.Context, t Target) ([]Object, error) {
	if k.URL == "" {
		return k.written()
	}
	text, err := k.fetched(ctx, t)
	if err != nil {
		return nil, err
	}
	objects, err := parseManifest(k.URL, []byte(text))
	if err != nil {
		return nil, err
	}
	return objects, k.validObjects(objects)
}

// written reads a manifest that stands in the playbook or in a file.
func (k *kubectl) written() ([]Object, error) {
	if k.Digest != "" {
		if found := digestOf(k.Src.Data); found != k.Digest {
			return nil, fmt.Errorf("src: %s is %s, wanted %s; it is another manifest than the one that the digest was made of", k.Src.Path, found, k.Digest)
		}
	}
	objects, err := k.manifest()
	if err != nil {
		return nil, err
	}
	return objects, k.validObjects(objects)
}

// fetched is the manifest behind the URL. What has the digest is the same
// whenever it is fetched, so it is fetched once.
func (k *kubectl) fetched(ctx context.Context, t Target) (string, error) {
	k.seen.mu.Lock()
	defer k.seen.mu.Unlock()
	if k.seen.body != "" {
		return k.seen.body, nil
	}
	got, err := t.Fetch(ctx, Request{URL: k.URL, Follow: true, Timeout: manifestLimit})
	if err != nil {
		return "", fmt.Errorf("url: %s: %w; where this machine has no way there, download it elsewhere and give it as src", k.URL, err)
	}
	found := digestOf([]byte(got.Body))
	switch {
	case got.Status != http.StatusOK:
		return "", fmt.Errorf("url: %s answers %d %s, wanted 200", k.URL, got.Status, http.StatusText(got.Status))
	case found == k.Digest:
		k.seen.body = got.Body
		return got.Body, nil
	case len(got.Body) >= fetchedAtMost:
		return "", fmt.Errorf("url: %s is larger than 1 MiB, and no more of it is fetched; download it, and give it as src", k.URL)
	}
	return "", fmt.Errorf("url: what %s serves is %s (%d bytes), wanted %s; read it before you take that digest", k.URL, found, len(got.Body), k.Digest)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// diff tells what apply would change, and changes nothing: later tasks can judge
// the manifest before anything is done.
func (k *kubectl) diff(ctx context.Context, c outlook) (Change, error) {
	objects, err := k.source(ctx, c.target)
	if err != nil {
		return Change{}, err
	}
	would, err := k.apply(ctx, c)
	if err != nil {
		return Change{}, err
	}
	given, differences := []any{}, []any{}
	for _, o := range objects {
		given = append(given, o)
	}
	for _, d := range would.Diffs {
		differences = append(differences, map[string]any{"what": d.What, "have": d.Have, "want": d.Want})
	}
	return Change{Notes: would.Notes, Vars: map[string]any{
		"objects": given, "differs": len(differences) > 0, "differences": differences,
	}}, nil
}

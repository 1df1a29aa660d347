package project

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"runbook/runner"
	"runbook/runner/durable"
)

const (
	keyFile   = "key"
	keyPrefix = "runbook-key-1:" // and 32 bytes in base64
	keySize   = 32
	sealMark  = "sealed-1" // and the key's id, and nonce and ciphertext in base64
)

// Key seals what no journal and no plan may show, and signs plans. It is safe for
// concurrent use, and prints as its ID.
type Key struct {
	id          string
	aead        cipher.AEAD
	digest, mac []byte
}

var _ runner.Seal = (*Key)(nil)

// Key is the project's key, made on its first use.
func (p *Project) Key() (*Key, error) {
	path := p.path(keyFile)
	if missing(path) {
		if err := durable.Create(p.path(keyFile), newKey()); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the project's key: %w", err)
		}
	}
	return LoadKey(path)
}

func newKey() []byte {
	var secret [keySize]byte
	_, _ = rand.Read(secret[:]) // never fails
	return []byte(keyPrefix + base64.StdEncoding.EncodeToString(secret[:]) + "\n")
}

// LoadKey reads a key from a file that nobody but its owner may reach.
func LoadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the project's key: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the project's key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the project's key: %s is not a file", path)
	}
	if owner, known := ownerOf(info); known && owner != os.Geteuid() && owner != 0 {
		return nil, fmt.Errorf("the project's key: %s belongs to user %d, and you are user %d: take a key of your own", path, owner, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the project's key: %s has mode %04o, so others may know it: chmod 600 %[1]s, and take a new key if they do", path, mode)
	}
	var text [256]byte
	n, _ := f.Read(text[:])
	key, err := parseKey(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return nil, fmt.Errorf("the project's key: %s %w; restore it from a copy, or remove it to get a new one, which cannot open what the old one has sealed",
			path, err)
	}
	return key, nil
}

// parseKey never repeats what it was given.
func parseKey(text string) (*Key, error) {
	encoded, ok := strings.CutPrefix(text, keyPrefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with %q", keyPrefix)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != keySize {
		return nil, fmt.Errorf("is not %q and %d bytes in base64", keyPrefix, keySize)
	}
	return derive(secret)
}

// derive makes a key for each purpose out of the one secret.
func derive(secret []byte) (*Key, error) {
	var failed error
	sub := func(purpose string, size int) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, "runbook "+purpose+" 1", size)
		failed = errors.Join(failed, err)
		return key
	}
	k := &Key{id: hex.EncodeToString(sub("id", 6)), digest: sub("digest", 32), mac: sub("mac", 32)}
	sealing := sub("seal", 32)
	if failed != nil {
		return nil, failed
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, err
	}
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// ID names the key and says nothing of it.
func (k *Key) ID() string { return k.id }

// Format prints the ID, whatever is asked for.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("key " + k.id)) }

// Seal encrypts data into one word of text, another one each time.
func (k *Key) Seal(plain []byte) (string, error) {
	head := sealMark + ":" + k.id + ":"
	return head + base64.RawURLEncoding.EncodeToString(k.aead.Seal(nil, nil, plain, []byte(head))), nil
}

// Open is what was sealed. An error means that another key sealed it, or that it
// is not what Seal gave.
func (k *Key) Open(sealed string) ([]byte, error) {
	mark, rest, _ := strings.Cut(sealed, ":")
	id, encoded, ok := strings.Cut(rest, ":")
	switch {
	case !ok || mark != sealMark:
		return nil, fmt.Errorf("not a sealed value: it does not begin with %q", sealMark+":")
	case id != k.id:
		return nil, fmt.Errorf("sealed with key %s, and this is key %s: it can be read with the key of the project that sealed it only", clean(id), k.id)
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err == nil && base64.RawURLEncoding.EncodeToString(data) != encoded {
		err = errors.New("not one word") // the decoder passes over line ends
	}
	if err != nil {
		return nil, fmt.Errorf("a sealed value is damaged: %w", err)
	}
	plain, err := k.aead.Open(nil, nil, data, []byte(mark+":"+id+":"))
	if err != nil {
		return nil, errors.New("a sealed value was changed since key " + k.id + " sealed it")
	}
	return plain, nil
}

// clean is an id of who knows where, fit to be shown.
func clean(id string) string {
	if len(id) > 64 {
		id = id[:64]
	}
	return fmt.Sprintf("%q", id)
}

// Digest names data by 128 bits that nobody without the key can compute.
func (k *Key) Digest(data []byte) string {
	return hex.EncodeToString(sum(k.digest, data)[:16])
}

// MAC signs data.
func (k *Key) MAC(data []byte) string { return hex.EncodeToString(sum(k.mac, data)) }

// Verify says whether MAC signed data.
func (k *Key) Verify(data []byte, mac string) bool {
	return hmac.Equal([]byte(k.MAC(data)), []byte(mac))
}

func sum(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

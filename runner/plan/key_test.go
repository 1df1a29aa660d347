package plan_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// testKey is a key that really seals and signs. What it seals is the same each
// time, so that plans can be compared.
type testKey string

func (k testKey) aead() cipher.AEAD {
	sum := sha256.Sum256([]byte("seal" + k))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (k testKey) Seal(plain []byte) (string, error) {
	return base64.StdEncoding.EncodeToString(k.aead().Seal(nil, make([]byte, 12), plain, nil)), nil
}

func (k testKey) Open(sealed string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("it is not sealed")
	}
	return k.aead().Open(nil, make([]byte, 12), data, nil)
}

func (k testKey) Digest(data []byte) string { return k.sum("digest", data)[:16] }
func (k testKey) MAC(data []byte) string    { return k.sum("mac", data) }
func (k testKey) Verify(data []byte, mac string) bool {
	return hmac.Equal([]byte(mac), []byte(k.MAC(data)))
}
func (k testKey) ID() string { return k.sum("id", nil)[:8] }

func (k testKey) sum(purpose string, data []byte) string {
	h := hmac.New(sha256.New, []byte(purpose+string(k)))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// Package pki makes the certificates of the lab: one authority, and what it
// signs for servers and clients.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validFor is longer than any lab lives; backdate forgives a clock that is off.
const (
	validFor = 10 * 24 * time.Hour
	backdate = time.Hour
)

// Pair is a certificate with its private key.
type Pair struct {
	CertPEM, KeyPEM []byte

	cert *x509.Certificate
	key  crypto.Signer
}

// Subject is whom a certificate is for.
type Subject struct {
	Name   string
	Groups []string // organizations: what Kubernetes takes for groups
	Hosts  []string // names and addresses of a server
}

// NewCA makes a self-signed authority.
func NewCA(name string) (Pair, error) {
	return issue(Subject{Name: name}, nil)
}

// Issue makes a certificate that is good for a server at s.Hosts and for a
// client called s.Name.
func (ca Pair) Issue(s Subject) (Pair, error) {
	return issue(s, &ca)
}

func issue(s Subject, ca *Pair) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Pair{}, err
	}
	tmpl := template(s, serial)
	parent, signer := tmpl, crypto.Signer(key)
	if ca == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
		tmpl.KeyUsage |= x509.KeyUsageCertSign
	} else {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate of %q: %w", s.Name, err)
	}
	return encode(der, key)
}

func template(s Subject, serial *big.Int) *x509.Certificate {
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: s.Name, Organization: s.Groups},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(validFor),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range s.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return tmpl
}

func encode(der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Pair{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		cert:    cert,
		key:     key,
	}, nil
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	datastoreTimeout = 2 * time.Second // of one attempt: the API answers in milliseconds
	datastoreRetry   = time.Second
	authorityPath    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
)

// awaitDatastore returns when the API answers at its ClusterIP. Until then Felix
// knows of nothing that it should do, and touches no set.
func (f *felix) awaitDatastore() {
	address := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	for {
		err := reach(context.Background(), address, authorityPath)
		if err == nil {
			return
		}
		f.log.line("ERROR", "felix/daemon.go 325", fmt.Sprintf("Failed to reach the datastore, retrying... address=%q error=%v", address, err))
		time.Sleep(datastoreRetry)
	}
}

// reach opens a TLS connection to the address, whose certificate must be signed
// by the authority in the file, and closes it.
func reach(ctx context.Context, address, authority string) error {
	ctx, cancel := context.WithTimeout(ctx, datastoreTimeout)
	defer cancel()
	pem, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New(authority + " holds no certificate")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

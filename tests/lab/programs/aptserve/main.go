// Command aptserve offers folders of .deb files as one apt repository.
//
//	aptserve ADDRESS:PORT FOLDER...
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"runbook/tests/lab/aptrepo"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: aptserve ADDRESS:PORT FOLDER...")
		os.Exit(1)
	}
	if err := serve(os.Args[1], os.Args[2:]...); err != nil {
		fmt.Fprintln(os.Stderr, "aptserve:", err)
		os.Exit(1)
	}
}

func serve(addr string, dirs ...string) error {
	h, err := aptrepo.Handler(context.Background(), dirs...)
	if err != nil {
		return err
	}
	// A client that stops reading must not hold a connection for ever.
	srv := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute}
	return srv.ListenAndServe()
}

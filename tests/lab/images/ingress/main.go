// Command ingress stands for the ingress controller: it takes HTTP and HTTPS on
// the host's ports, passes every request to one backend, and answers 503 when
// the backend cannot be reached.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// reachWithin bounds name resolution and connecting together: what is not there
// by then counts as unreachable.
const reachWithin = 2 * time.Second

func main() {
	backend := flag.String("backend", "http://keybuzz-api.keybuzz.svc.cluster.local:8080", "where requests go")
	cert := flag.String("cert", "/tls/tls.crt", "certificate file")
	key := flag.String("key", "/tls/tls.key", "private key file")
	flag.Parse()
	to, err := url.Parse(*backend)
	if err != nil {
		log.Fatal(err)
	}
	h := proxy(to)
	fail := make(chan error, 2)
	go func() { fail <- server(":80", h).ListenAndServe() }()
	go func() { fail <- server(":443", h).ListenAndServeTLS(*cert, *key) }()
	log.Fatal(<-fail)
}

func server(addr string, h http.Handler) *http.Server {
	return &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
}

func proxy(to *url.URL) http.Handler {
	dialer := &net.Dialer{Timeout: reachWithin}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, reachWithin)
				defer cancel()
				return dialer.DialContext(ctx, network, addr)
			},
			// A kept connection would go on working after the way to new ones is cut.
			DisableKeepAlives:     true,
			ResponseHeaderTimeout: reachWithin,
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			log.Printf("backend: %v", err)
			http.Error(w, "503 Service Temporarily Unavailable", http.StatusServiceUnavailable)
		},
	}
}

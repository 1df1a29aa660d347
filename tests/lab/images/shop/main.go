// Command shop is what must not notice that its nodes are upgraded: it answers
// / and /health, and says in which pod. When it is told to end it goes on
// answering until everybody has heard that its pod is going, then finishes what
// has begun and ends.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// hearWithin is how long news of a pod that goes takes to every kube-proxy, on
	// a machine that has other things to do; finishWithin bounds the last requests.
	hearWithin   = 5 * time.Second
	finishWithin = 5 * time.Second
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { answer(w, "open") })
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok") })
	srv := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	failed := make(chan error, 1)
	go func() { failed <- srv.ListenAndServe() }()
	select {
	case err := <-failed:
		log.Fatal(err)
	case <-end:
	}
	time.Sleep(hearWithin)
	ctx, cancel := context.WithTimeout(context.Background(), finishWithin)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}

func answer(w http.ResponseWriter, status string) {
	host, _ := os.Hostname()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"status": status, "pod": host})
}

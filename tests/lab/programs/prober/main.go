// Command prober asks one address again and again, each time on a connection of
// its own, whatever became of the last one. It says "answered" when the first
// answer is there, which is not counted; from then on it counts until its
// standard input ends, and prints what it has found as JSON.
//
//	prober URL
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"runbook/tests/lab/probing"
)

const (
	// firstWithin bounds the wait for the first answer.
	firstWithin = 15 * time.Second
	// longestAnswer is more than anybody wants to say.
	longestAnswer = 1 << 20
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: prober URL")
		os.Exit(1)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "prober:", err)
		os.Exit(1)
	}
}

func run(url string) error {
	client := &http.Client{Timeout: probing.Within, Transport: &http.Transport{DisableKeepAlives: true}}
	if err := first(client, url); err != nil {
		return err
	}
	fmt.Println("answered")
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	return json.NewEncoder(os.Stdout).Encode(count(client, url, stop))
}

// first returns when the address answers.
func first(client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), firstWithin)
	defer cancel()
	tick := time.NewTicker(probing.Every)
	defer tick.Stop()
	for {
		err := ask(client, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %w", firstWithin, err)
		case <-tick.C:
		}
	}
}

// count asks until stop, and waits for the answers that are still to come.
func count(client *http.Client, url string, stop <-chan struct{}) probing.Result {
	var (
		result probing.Result
		mu     sync.Mutex
		asking sync.WaitGroup
	)
	tick := time.NewTicker(probing.Every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			asking.Wait()
			slices.SortFunc(result.Failures, func(a, b probing.Failure) int { return a.At.Compare(b.At) })
			return result
		case <-tick.C:
		}
		result.Sent++
		asking.Go(func() {
			at := time.Now()
			err := ask(client, url)
			took := time.Since(at)
			mu.Lock()
			defer mu.Unlock()
			result.Slowest = max(result.Slowest, took)
			if err != nil {
				result.Failures = append(result.Failures, probing.Failure{At: at, Took: took, Err: err.Error()})
			}
		})
	}
}

func ask(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, longestAnswer)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, 200 is wanted", resp.StatusCode)
	}
	return nil
}

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

const (
	attempts      = 10               // as Felix: then it gives up and panics
	firstBackoff  = time.Millisecond // doubled after each attempt
	refreshEvery  = 5 * time.Second  // Felix's default is 90 s; a lab cannot wait that long
	healthAddress = "127.0.0.1:9099" // the node's own address space: the pod is on the host network
	panicked      = 2                // the exit status of a Go program that panics
	routeProtocol = "12"             // "bird" in a node's routing table, as all of Calico's routes
	healthTimeout = 5 * time.Second
)

// felix is one life of the agent.
type felix struct {
	log    logger
	sets   ipsets
	routes []peer
	began  time.Time
	ready  atomic.Bool

	calculated atomic.Bool // the datastore has been read
}

// peer is another node: its pods are reached by way of its address.
type peer struct{ network, address string }

// runFelix returns only when the agent dies, with its exit status.
func runFelix() int {
	log := logger{out: os.Stdout, pid: os.Getpid()}
	peers, err := parsePeers(os.Getenv("PEERS"), os.Getenv("NODE_ADDRESS"))
	if err != nil {
		log.line("FATAL", "felix/daemon.go 310", err.Error())
		return 1
	}
	f := &felix{
		log:    log,
		sets:   ipsets{version: os.Getenv("CALICO_VERSION"), own: ownSets(os.Getenv("CALICO_IPV4POOL_CIDR"), os.Getenv("NODE_ADDRESS")), log: log},
		routes: peers,
		began:  time.Now(),
	}
	go f.serveHealth()
	f.announce()
	f.awaitDatastore()
	f.inSync()
	if os.Getenv("LAB_BROKEN") != "" {
		f.neverGetReady()
	}
	for first := true; ; first = false {
		if !f.apply() {
			return panicked
		}
		if first {
			f.firstUpdate()
		}
		time.Sleep(refreshEvery)
	}
}

func (f *felix) announce() {
	f.log.line("INFO", "felix/daemon.go 82", `Felix starting up GOMAXPROCS=2 builddate="" gitcommit="" version="`+os.Getenv("CALICO_VERSION")+`"`)
	f.status("wait-for-ready")
}

// inSync says that all of the datastore has been read.
func (f *felix) inSync() {
	f.status("resync")
	f.status("in-sync")
	f.calculated.Store(true)
	f.log.line("INFO", "felix/event_sequencer.go 259", "First time we've been in sync")
	f.log.line("INFO", "felix/int_dataplane.go 1836", "Datastore in sync, flushing the dataplane for the first time...")
	f.log.line("INFO", "felix/int_dataplane.go 1810", "Interface monitor now in sync.")
}

// neverGetReady is what the image of a release that must not be used does.
func (f *felix) neverGetReady() {
	for {
		f.log.line("ERROR", "felix/int_dataplane.go 1874", "This image of the lab never applies its first update to the dataplane.")
		time.Sleep(refreshEvery)
	}
}

func (f *felix) status(status string) {
	f.log.line("INFO", "felix/async_calc_graph.go 136", "Sending status update Status="+status)
}

// apply brings IP sets and routes to what they must be, as often as Felix tries.
func (f *felix) apply() bool {
	backoff := firstBackoff
	for i := 1; i <= attempts; i++ {
		err := f.sets.resync()
		if err == nil {
			if err = f.sets.ensureOwn(); err == nil {
				return f.installRoutes()
			}
		}
		f.log.line("WARNING", "felix/ipsets.go 320", fmt.Sprintf(`Failed to resync with dataplane error=%v family="inet"`, err))
		if i < attempts {
			f.log.line("INFO", "felix/ipsets.go 309", `Retrying after an ipsets update failure... family="inet"`)
			time.Sleep(backoff)
			backoff *= 2
		}
	}
	f.ready.Store(false)
	f.log.line("PANIC", "felix/ipsets.go 336", `Failed to update IP sets after multiple retries. family="inet"`)
	return false
}

func (f *felix) installRoutes() bool {
	for _, p := range f.routes {
		args := []string{"route", "replace", p.network, "via", p.address, "proto", routeProtocol}
		if out, err := exec.Command("/bin/ip", args...).CombinedOutput(); err != nil {
			f.log.line("ERROR", "felix/route_table.go 540", fmt.Sprintf("Failed to add route error=%v output=%q", err, out))
			return false
		}
	}
	return true
}

func (f *felix) firstUpdate() {
	f.ready.Store(true)
	f.log.line("INFO", "felix/int_dataplane.go 1921", fmt.Sprintf("Completed first update to dataplane. secsSinceStart=%f", time.Since(f.began).Seconds()))
	f.log.line("INFO", "felix/health.go 336", "Overall health status changed: live=true ready=true")
}

func (f *felix) serveHealth() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readiness", func(w http.ResponseWriter, _ *http.Request) {
		if !f.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			if !f.calculated.Load() {
				fmt.Fprintln(w, "async_calc_graph: non-ready")
			}
			fmt.Fprintln(w, "InternalDataplaneMainLoop: non-ready")
		}
	})
	mux.HandleFunc("GET /liveness", func(http.ResponseWriter, *http.Request) {})
	srv := &http.Server{Addr: healthAddress, Handler: mux, ReadHeaderTimeout: healthTimeout}
	// Two agents overlap for a moment when a pod is replaced: the port comes free.
	for {
		err := srv.ListenAndServe()
		f.log.line("ERROR", "felix/health.go 250", fmt.Sprintf("Health endpoint failed, trying to restart it... error=%v", err))
		time.Sleep(restartAfter)
	}
}

// parsePeers reads the list of all nodes and leaves out the one at own.
func parsePeers(list, own string) ([]peer, error) {
	var peers []peer
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		network, address, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("PEERS: POD-NETWORK=ADDRESS is wanted, found %q", item)
		}
		if address != own {
			peers = append(peers, peer{network: network, address: address})
		}
	}
	return peers, nil
}

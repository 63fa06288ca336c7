package virtual

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/komondor/komondor/block"
)

// firewall is the backend of mode observe with a memory: blocks end, and what a
// scenario asks is whether there ever was one.
type firewall struct {
	block.Observer
	mu    sync.Mutex
	since map[netip.Prefix]time.Time
}

// Add implements block.Backend.
func (f *firewall) Add(_ context.Context, entries []block.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		if _, known := f.since[e.Prefix]; !known {
			f.since[e.Prefix] = time.Now()
		}
	}
	return nil
}

func (f *firewall) blockedSince(p netip.Prefix) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, ok := f.since[p]
	return since, ok
}

package birthday

import (
	"context"
	"net/netip"
	"sync"

	"github.com/komondor/komondor/probe/packet"
)

// Wire counts what n1 sees of connections that one host begins.
type Wire struct {
	mu     sync.Mutex
	syn    map[call]bool
	resets map[call]int
}

// call is a connection as its first packet names it.
type call struct {
	port uint16
	isn  uint32
}

// Listen counts at a host what comes from another, until ctx ends.
func Listen(ctx context.Context, at *Host, from netip.Addr) (w *Wire, wait func() error, err error) {
	w = &Wire{syn: map[call]bool{}, resets: map[call]int{}}
	var live *packet.Live
	err = at.Do(func() error {
		live, err = packet.Listen(packet.Device{Name: "eth0"})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() {
		done <- live.Each(ctx, func(p *packet.Packet) error {
			if p.Source == from && p.Protocol == packet.TCP {
				w.take(p)
			}
			return nil
		})
	}()
	return w, func() error { return <-done }, nil
}

func (w *Wire) take(p *packet.Packet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case p.Flags&packet.SYN != 0:
		w.syn[call{p.SourcePort, p.Sequence}] = true
	case p.Flags&packet.RST != 0:
		w.resets[call{p.SourcePort, p.Sequence - 1}]++
	}
}

// Count is how many connections were begun, how many of them were reset, and how many resets there
// were of no such connection, or beyond the first.
func (w *Wire) Count() (begun, reset, odd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, n := range w.resets {
		if w.syn[c] {
			reset++
			n--
		}
		odd += n
	}
	return len(w.syn), reset, odd
}

//go:build !race

// The race detector crashes in synctest bubbles with many timers
// (go.dev/issue/78156); the other tests of this package run under it.

package testnet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/overlay"
)

// node is a whole overlay node with its broadcast; the two meet here as they do
// in the product.
type node struct {
	*overlay.Overlay
	cast *broadcast.Broadcast
	mu   sync.Mutex
	got  map[string]int
}

func (n *node) judge(_ context.Context, _ peer.ID, payload []byte) broadcast.Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got[string(payload)]++
	if string(payload) == "forged" {
		return broadcast.Invalid
	}
	return broadcast.Fresh
}

func (n *node) has(payload string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.got[payload]
}

// Fifty nodes on real Kademlia tables: every payload reaches all, once, also
// when a fifth of them has just crashed; a forgery goes nowhere.
func TestOverlayNetwork(t *testing.T) {
	size, dead := 50, 10
	if testing.Short() {
		size, dead = 16, 3
	}
	synctest.Test(t, func(t *testing.T) {
		mn := mocknet.New()
		defer mn.Close()
		var nodes []*node
		for range size {
			h, err := mn.GenPeer()
			if err != nil {
				t.Fatal(err)
			}
			c := overlay.Config{Host: h}
			for _, other := range nodes {
				mn.LinkPeers(h.ID(), other.ID())
			}
			if len(nodes) > 0 {
				c.Bootstrap = []peer.AddrInfo{{ID: nodes[0].ID(), Addrs: mn.Host(nodes[0].ID()).Addrs()}}
			}
			o, err := overlay.New(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			n := &node{Overlay: o, got: map[string]int{}}
			n.cast = broadcast.New(o, broadcast.Config{Receive: n.judge})
			o.Handle(func(context.Context, peer.ID, [32]byte, []byte) error { return nil }, n.cast.Receive, nil)
			nodes = append(nodes, n)
			defer n.Close()
			defer n.cast.Close()
		}
		// More need not fit: of the nodes that differ in the first bit a table holds 20.
		for slices.ContainsFunc(nodes, func(n *node) bool { _, table := n.Peers(); return table < size/2 }) {
			time.Sleep(time.Second) // virtual
		}

		publish := func(from *node, among []*node, payload string) {
			t.Helper()
			if err := from.cast.Publish(t.Context(), []byte(payload)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			for _, n := range among {
				if got := n.has(payload); n != from && got != 1 {
					t.Errorf("node %s has %q %d times", n.ID(), payload, got)
				}
			}
		}
		for i := range 5 {
			publish(nodes[i*3], nodes, fmt.Sprint("alert ", i))
		}
		perNode := float64(sum(nodes, nil).Sent) / float64(5*size)
		t.Logf("%.1f messages a node and payload", perNode)
		if perNode > 6 {
			t.Errorf("%.1f messages a node and payload, want at most 6", perNode)
		}

		liar := nodes[1]
		before, others := liar.cast.Stats(), sum(nodes, liar)
		publish(liar, nil, "forged")
		after, refused := liar.cast.Stats(), sum(nodes, liar)
		if n := refused.Invalid - others.Invalid; n == 0 || n != after.Failed-before.Failed || after.Acked != before.Acked {
			t.Errorf("%d refusals; the liar before %+v, after %+v", n, before, after)
		}
		if refused.Sent != others.Sent {
			t.Error("a forgery was forwarded")
		}

		alive := nodes[dead:]
		for _, n := range nodes[:dead] {
			for _, other := range nodes {
				if other != n {
					mn.UnlinkPeers(n.ID(), other.ID())
					mn.DisconnectPeers(n.ID(), other.ID())
				}
			}
		}
		publish(alive[0], alive, "after the crash")
	})
}

// sum adds the counters of all nodes but one.
func sum(nodes []*node, but *node) (total broadcast.Stats) {
	for _, n := range nodes {
		if n != but {
			s := n.cast.Stats()
			total.Sent += s.Sent
			total.Invalid += s.Invalid
		}
	}
	return total
}

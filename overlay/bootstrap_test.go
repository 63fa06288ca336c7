package overlay

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A network falls in two for ten minutes. One half has no seed of its own, so
// it must come back by the seeds it once had, and soon.
func TestPartitionHeals(t *testing.T) {
	inBubble(t, 14, func(t *testing.T, tn *testNet) {
		half, other := tn.nodes[:7], tn.nodes[7:]
		between(half, other, tn.cut)
		time.Sleep(10 * time.Minute)
		for _, n := range tn.nodes {
			if _, table := n.Peers(); table != 6 {
				t.Errorf("table of %d in a half of 7", table)
			}
		}
		between(half, other, func(a, b peer.ID) { tn.mn.LinkPeers(a, b) })
		until(t, 30*time.Second, "whole network", func() bool {
			for k := range 5 {
				for _, n := range tn.nodes {
					got, err := n.Collectors(t.Context(), testKey(k), 3)
					want := ids(tn.nearest(testKey(k), 3))
					if err != nil || len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
						return false
					}
				}
			}
			return true
		})
	})
}

// Half of the nodes crash at once: soon every living node knows the living
// collectors, and has been told to look.
func TestHalfTheNetworkDies(t *testing.T) {
	inBubble(t, 16, func(t *testing.T, tn *testNet) {
		for _, n := range tn.nodes {
			drain(n.Changed())
		}
		gone := tn.nodes[:8]
		for len(gone) > 0 {
			n := gone[0]
			gone = gone[1:]
			for _, p := range tn.mn.Peers() {
				tn.mn.UnlinkPeers(n.ID(), p)
				tn.mn.DisconnectPeers(n.ID(), p)
			}
			defer n.Close()
		}
		tn.nodes = append([]*testNode(nil), tn.nodes[8:]...)
		start := time.Now()
		for _, n := range tn.nodes {
			<-n.Changed()
			for k := range 5 {
				acks, err := n.Deliver(t.Context(), testKey(k), 3, []byte("again"))
				if acks != 3 || err != nil {
					t.Errorf("%d acks, %v", acks, err)
				}
			}
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("took %s, want at most 10 s", took)
		}
		for k := range 5 {
			for _, n := range tn.nearest(testKey(k), 3) {
				if n.has("again") == 0 {
					t.Error("a collector has nothing")
				}
			}
		}
	})
}

// Who was slow when the two met, and so got no place in the table, gets it soon.
func TestSlowToAnswerOnce(t *testing.T) {
	inBubble(t, 16, func(t *testing.T, tn *testNet) {
		a, b := tn.nodes[2], tn.nodes[4]
		a.dht.RoutingTable().RemovePeer(b.ID())
		if a.dht.RoutingTable().Find(b.ID()) != "" || a.host.Network().Connectedness(b.ID()) != network.Connected {
			t.Fatal("not as after a look-up without an answer")
		}
		until(t, 2*seedCheck, "place in the table", func() bool { return a.dht.RoutingTable().Find(b.ID()) != "" })
	})
}

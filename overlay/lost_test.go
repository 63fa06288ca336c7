package overlay

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/overlay/kademlia"
)

// between does something to every pair of nodes of two groups.
func between(a, b []*testNode, f func(a, b peer.ID)) {
	for _, m := range a {
		for _, n := range b {
			f(m.ID(), n.ID())
		}
	}
}

func (tn *testNet) cut(a, b peer.ID) {
	tn.mn.UnlinkPeers(a, b)
	tn.mn.DisconnectPeers(a, b)
}

// A network falls in two for ten minutes, and the node that all have joined by dies
// meanwhile. Nothing but memory leads from one half to the other.
func TestPartitionHealsWithoutSeed(t *testing.T) {
	inBubble(t, 29, func(t *testing.T, tn *testNet) {
		tn.kill(tn.nodes[0])
		half, other := tn.nodes[:14], tn.nodes[14:]
		between(half, other, tn.cut)
		time.Sleep(10 * time.Minute)
		for i, n := range tn.nodes {
			if _, table := n.Peers(); table != 13 {
				t.Fatalf("node %d has a table of %d in a half of 14", i, table)
			}
		}
		between(half, other, func(a, b peer.ID) { tn.mn.LinkPeers(a, b) })
		healed := time.Now()
		until(t, 20*time.Second, "whole tables", func() bool {
			for _, n := range tn.nodes {
				if _, table := n.Peers(); table < kademlia.K {
					return false
				}
			}
			return true
		})
		t.Logf("whole after %s", time.Since(healed))
		between(half, other, func(a, b peer.ID) {
			if len(tn.mn.Net(a).ConnsToPeer(b)) == 0 {
				t.Errorf("%s and %s have not met", a, b)
			}
		})
	})
}

// A member that is gone for good is tried, costs little, and is forgotten after a day.
func TestLostMembersAreBounded(t *testing.T) {
	var l lost
	l.init()
	start := time.Now()
	name := func(i int) peer.AddrInfo { return peer.AddrInfo{ID: peer.ID(fmt.Sprint("member ", i))} }
	for i := range 10 * maxLost {
		l.add(name(i), start.Add(time.Duration(i)*time.Second))
	}
	if len(l.by) != maxLost {
		t.Errorf("%d members remembered, want %d", len(l.by), maxLost)
	}
	last := name(10*maxLost - 1)
	for p := range l.by {
		if p != last.ID {
			l.found(p)
		}
	}
	if got := l.some(9, start.Add(lostTime)); len(got) != 1 || got[0].ID != last.ID {
		t.Errorf("%v lost, want the last one", got)
	}
	select {
	case <-l.back:
	default:
		t.Error("that some are back was not signalled")
	}
	if got := l.some(9, start.Add(2*lostTime)); len(got) != 0 || len(l.by) != 0 {
		t.Errorf("%v lost after two days", got)
	}
}

// Who leaves a bucket that is full all the same has made room for another, and is not
// looked for; who leaves a gap is.
func TestWhoMadeRoomIsNotLost(t *testing.T) {
	inBubble(t, 50, func(t *testing.T, tn *testNet) {
		for i, n := range tn.nodes {
			full := n.Buckets()[0]
			if len(full) < kademlia.K {
				continue // which half of the nodes have, at least
			}
			other := slices.IndexFunc(tn.nodes, func(m *testNode) bool { return n.self.PrefixLen(m.self) == 0 && !slices.Contains(full, m.ID()) })
			if other < 0 {
				continue
			}
			n.lose(tn.nodes[other].ID())
			if got := n.lost.some(9, time.Now()); len(got) > 0 {
				t.Fatalf("node %d has lost %v, and its bucket is full", i, got)
			}
			n.dht.RoutingTable().RemovePeer(full[0])
			synctest.Wait()
			if got := n.lost.some(9, time.Now()); len(got) != 1 || got[0].ID != full[0] {
				t.Fatalf("node %d has lost %v, want %s", i, got, full[0])
			}
			return
		}
		t.Fatal("no bucket is full")
	})
}

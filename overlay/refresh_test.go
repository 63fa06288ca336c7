package overlay

import (
	"slices"
	"testing"
	"time"
)

// Two members that have lost sight of each other hear of each other by others, and
// nothing happens while nobody is missing.
func TestGlance(t *testing.T) {
	inBubble(t, 14, func(t *testing.T, tn *testNet) {
		a, b := tn.nodes[3], tn.nodes[5]
		time.Sleep(10 * time.Second)
		if a.glance() {
			t.Error("found somebody though nobody is missing")
		}
		a.evict(b.ID())
		b.evict(a.ID())
		if err := tn.mn.DisconnectPeers(a.ID(), b.ID()); err != nil {
			t.Fatal(err)
		}
		a.dead.remove(b.ID()) // as deadTime would do
		b.dead.remove(a.ID())
		if slices.Contains(a.contacts(), b.ID()) {
			t.Fatal("they have not lost sight of each other")
		}
		if !a.glance() {
			t.Error("found nobody")
		}
		time.Sleep(time.Second)
		if !slices.Contains(a.contacts(), b.ID()) || !slices.Contains(b.contacts(), a.ID()) {
			t.Error("not in the tables")
		}
	})
}

// The more seldom, the longer nothing changes; soon again, when somebody comes.
func TestRefreshesAreRare(t *testing.T) {
	inBubble(t, 14, func(t *testing.T, tn *testNet) {
		received := func() (n uint64) {
			for _, node := range tn.nodes {
				for _, p := range node.dht.RoutingTable().GetPeerInfos() {
					if time.Since(p.LastSuccessfulOutboundQueryAt) < 10*time.Minute {
						n++ // it was asked lately, by kad-dht's own lookups
					}
				}
			}
			return n
		}
		time.Sleep(3 * time.Hour)
		if n := received(); n > 0 {
			t.Errorf("%d members asked in ten minutes of quiet", n)
		}
		tn.add(tn.nodes[0])
		time.Sleep(3 * time.Minute)
		if n := received(); n < 14*13 {
			t.Errorf("%d members asked, when somebody has come", n)
		}
	})
}

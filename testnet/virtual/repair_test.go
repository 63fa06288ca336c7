package virtual

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/federation"
)

const (
	orphaned = "203.0.113.80"
	twice    = "203.0.113.81"
	apart    = "203.0.113.82"
	shared   = "203.0.113.83"
)

// TestEvidenceOutlivesItsSources has all sources of some evidence die, and after them
// the collectors that they told, two at a time. What is left is what holders handed on.
func TestEvidenceOutlivesItsSources(t *testing.T) {
	inBubble(t, 2*time.Hour, 30, func(t *testing.T, net *Net) {
		net.Play("sources die, and all the collectors that they told: no evidence is lost, and none counted twice", Timetable{
			At(1*time.Second, Farthest(orphaned, 3), AttackedBy(orphaned, 2)), // 18 points
			At(3*time.Second, Farthest(orphaned, 3), Crash),
			At(5*time.Second, Nearest(orphaned, 2), Crash),
			At(15*time.Second, Nearest(orphaned, 2), Crash),
			At(25*time.Second, Nearest(orphaned, 2), Crash),
			NotBefore(35*time.Second, Anyone, Block(orphaned)),
			At(35*time.Second, Farthest(orphaned, 1), AttackedBy(orphaned, 1)), // 21
			By(36*time.Second, Everyone, Block(orphaned)),
		})
		healthy(t, net)
	})
}

// TestCollectorsBeginAnew restarts the collectors one after the other, so quickly
// that nobody misses them. They hold nothing then, and the sources are dead.
func TestCollectorsBeginAnew(t *testing.T) {
	inFederation(t, 2*time.Hour, 24, 12, func(t *testing.T, net *Net) {
		restart := func(n *Node) { n.Stop(); n.Start() }
		table := Timetable{
			At(1*time.Second, Farthest(twice, 3), AttackedBy(twice, 2)), // 18 points
			At(3*time.Second, Farthest(twice, 3), Crash),
		}
		first := Nearest(twice, 5)(net)
		for i, n := range first {
			table = append(table, At(time.Duration(5+10*i)*time.Second, Nodes(n.Number), restart))
		}
		net.Play("all collectors restart in turn: their neighbours tell them what they have forgotten", append(table,
			NotBefore(60*time.Second, Anyone, Block(twice)),
			At(60*time.Second, Farthest(twice, 1), AttackedBy(twice, 1)), // 21
			By(61*time.Second, Everyone, Block(twice)),
		))
	})
}

// TestPartitionedEvidence parts an overlay for ten minutes. Either half sees a part of
// an attack, from sources that die before it ends; one attack is seen by one half only.
func TestPartitionedEvidence(t *testing.T) {
	inBubble(t, 2*time.Hour, long(24, 100), func(t *testing.T, net *Net) {
		all := Everyone(net)
		half, other := all[:len(all)/2], all[len(all)/2:]
		each := func(do func(a, b peer.ID)) Action {
			return func(*Node) {
				for _, a := range half {
					for _, b := range other {
						if a.host != nil && b.host != nil {
							do(a.id, b.id)
						}
					}
				}
			}
		}
		part := each(func(a, b peer.ID) {
			_ = net.wires.UnlinkPeers(a, b)
			_ = net.wires.DisconnectPeers(a, b)
		})
		heal := each(func(a, b peer.ID) { _, _ = net.wires.LinkPeers(a, b) })
		once := Nodes(0)
		one, two := half[1:3], other[1:3]
		these := func(nodes []*Node) Who { return func(*Net) []*Node { return nodes } }
		var healed time.Time
		net.Play("two halves: each has half of one attack, and one has all of another", Timetable{
			At(1*time.Second, once, part),
			At(8*time.Minute, these(one[:1]), AttackedBy(shared, 3)), // 9 points here
			At(8*time.Minute, these(two), AttackedBy(shared, 1)),     // 6 there
			At(8*time.Minute, these(half[3:6]), AttackedBy(apart, 3)),
			By(8*time.Minute+2*time.Second, these(half), Block(apart)),
			At(9*time.Minute, these(one), Crash),
			At(9*time.Minute, these(two), Crash),
			At(10*time.Minute, once, heal),
			At(10*time.Minute, once, func(*Node) { healed = time.Now() }),
			NotBefore(10*time.Minute+29*time.Second, Anyone, Block(shared)),
			At(10*time.Minute+29*time.Second, these(other[4:6]), ProbedBy(shared)), // 19 points
			NotBefore(10*time.Minute+30*time.Second, Anyone, Block(shared)),
			By(10*time.Minute+30*time.Second, Everyone, Block(apart)),
			At(10*time.Minute+31*time.Second, these(half[7:8]), ProbedBy(shared)), // 21
			By(10*time.Minute+32*time.Second, Everyone, Block(shared)),
		})
		last := time.Duration(0)
		for _, n := range Everyone(net) {
			if since, ok := n.blockedSince(apart); ok {
				last = max(last, since.Sub(healed))
			}
		}
		Figure(t, fmt.Sprintf("partition of %d nodes healed: the alert of one half is everywhere after", len(all)), "30 s", last.Round(time.Millisecond), last < 30*time.Second)
		healthy(t, net)
	})
}

// TestHungCollector has the nearest collector of a key take reports and never answer,
// or answer each so late that it is just not given up.
func TestHungCollector(t *testing.T) {
	for name, hold := range map[string]time.Duration{"hangs": time.Hour, "is slow": 1900 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2*time.Hour, 24, func(t *testing.T, net *Net) {
				bad := net.AddTo("", federation.TierMember)
				attacker := net.Near(bad)
				err := bad.turn(&rogue{collect: func(ctx context.Context, _ peer.ID, _ [32]byte, _ []byte) error {
					select {
					case <-time.After(hold):
					case <-ctx.Done():
					}
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(settling)
				witnesses := Farthest(attacker, 3)(net)
				began := time.Now()
				net.Play("the nearest collector "+name+": the alert is two seconds late at most", Timetable{
					At(1*time.Second, Nodes(witnesses[0].Number, witnesses[1].Number), AttackedBy(attacker, 3)), // 18 points
					NotBefore(5*time.Second, Anyone, Block(attacker)),
					At(5*time.Second, Nodes(witnesses[2].Number), AttackedBy(attacker, 1)), // 21
					By(7*time.Second, Everyone, Block(attacker)),
				})
				last := time.Duration(0)
				for _, n := range Everyone(net) {
					if since, ok := n.blockedSince(attacker); ok {
						last = max(last, since.Sub(began.Add(5*time.Second)))
					}
				}
				Figure(t, "a collector "+name+" during an attack: everybody blocks after", "2 s", last.Round(time.Millisecond), last < 2*time.Second)
			})
		})
	}
}

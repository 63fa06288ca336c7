package virtual

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/node"
)

// Leaves report and act like others, and nobody relies on them.
func TestLeaves(t *testing.T) {
	inFederation(t, time.Hour, 12, 4, func(t *testing.T, net *Net) {
		const first, second = "203.0.113.81", "203.0.113.82"
		var leaves []*Node
		for i := range 3 {
			leaf := net.AddTo(fmt.Sprint("org-", i), federation.TierMember)
			leaf.tune = func(c *node.Config) { c.Leaf = true }
			leaf.Start()
			leaves = append(leaves, leaf)
		}
		a, b := leaves[0], leaves[1]
		hang := now("hang on three nodes", func(n *Node) bool { s := n.Status(); return s.Role == "leaf" && s.Attached == 3 })
		onlyLeaves := func(*Net) []*Node { return leaves }
		full := But(onlyLeaves)
		net.Play("two leaves and a full node are attacked: everybody blocks, leaves too", Timetable{
			By(5*time.Second, onlyLeaves, hang),
			At(6*time.Second, Nodes(a.Number, b.Number, 3), AttackedBy(first, 3)),
			By(7*time.Second, Everyone, Block(first)),
		})
		net.Play("half of the full nodes die: leaves hang on others within two seconds, and act", Timetable{
			At(1*time.Second, Nodes(0, 2, 4, 6, 8, 10), Crash),
			By(3*time.Second, onlyLeaves, hang),
			At(4*time.Second, Nodes(a.Number, 1, 3), AttackedBy(second, 3)),
			By(7*time.Second, Everyone, Block(second)),
			By(8*time.Second, onlyLeaves, now("collect nothing", func(n *Node) bool { return n.Status().Counters.KeysCollected == 0 })),
			By(8*time.Second, full, now("have no leaf in the table", func(n *Node) bool {
				contacts := n.Product().Contacts()
				return !slices.ContainsFunc(leaves, func(l *Node) bool { return slices.Contains(contacts, l.id) })
			})),
		})
	})
}

// tardy is a log that nobody takes the lines from in time.
type tardy struct {
	slog.Handler
	delay time.Duration
}

func (h tardy) Enabled(context.Context, slog.Level) bool { return true }

func (h tardy) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "alert" {
		time.Sleep(h.delay)
	}
	return nil
}

// A node that does not get on with what it sees itself stops collecting for others,
// who agree on who does so in its place, and takes part again when it is over.
func TestOverloadedCollector(t *testing.T) {
	inBubble(t, time.Hour, 12, func(t *testing.T, net *Net) {
		const during = "203.0.113.91"
		slow := Nearest(during, 1)(net)[0]
		slow.Stop()
		slow.tune = func(c *node.Config) { c.Log = slog.New(tardy{slog.DiscardHandler, 2 * time.Second}) }
		slow.Start()
		one := Nodes(slow.Number)
		others := But(one)
		busy := func(n *Node) {
			for i := range 20 {
				AttackedBy(fmt.Sprint("198.18.0.", i+1), 10)(n)
			}
		}
		sheds := now("collect nothing", func(n *Node) bool {
			c := n.Status().Collecting
			return !c.Now && c.Reason != "" && !c.Since.IsZero()
		})
		gathered := now("have the evidence", func(n *Node) bool {
			e, err := n.Product().Explain(t.Context(), netip.MustParseAddr(during))
			if err != nil {
				t.Error(err)
			}
			return len(e.Gathered) == 3
		})
		net.Play("the first collector of an attack is overloaded before and during it: it is blocked in time", Timetable{
			NotBefore(5*time.Second, Anyone, sheds),
			At(5*time.Second, one, busy),
			By(15*time.Second, one, sheds),
			NotBefore(16*time.Second, Anyone, Block(during)),
			At(16*time.Second, Farthest(during, 3), AttackedBy(during, 3)),
			By(18*time.Second, others, Block(during)),
			By(18*time.Second, one, Not(gathered)),
			Never(others, sheds),
			By(120*time.Second, one, Not(sheds)),
			By(150*time.Second, one, gathered),
		})
		if n := slow.Status().Counters.Shed; n == 0 || n > 100 {
			t.Errorf("%d reports were turned away", n)
		}
	})
}

package virtual

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/overlay"
)

// TestHostileCollectors has 30 of a hundred members acknowledge the reports that
// come to them as collectors, and do nothing with them; half of these send forged
// alerts to everybody instead. Meanwhile true attacks go on.
func TestHostileCollectors(t *testing.T) {
	inFederation(t, 2*time.Hour, long(35, 70), 25, func(t *testing.T, net *Net) {
		honest := Everyone(net)
		f := newForger(t, net)
		var hostile []*Node
		for range len(honest) * 3 / 7 {
			hostile = append(hostile, net.Add())
			if err := hostile[len(hostile)-1].turn(&rogue{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // all know of them, and one certificate ends

		attacks, forged := long(40, 1000), long(2000, 100_000)
		during := time.Duration(long(40, 400)) * time.Second
		before := net.sum(func(n *Node) uint64 { return n.Status().Counters.AlertsInvalid })
		var accepted [64]atomic.Int64
		var all sync.WaitGroup
		inventors := hostile[:len(hostile)/2]
		for i, n := range inventors {
			all.Go(func() {
				dice := rand.New(rand.NewPCG(uint64(i), 0))
				kinds := forgeries()
				each := forged / len(inventors)
				for k := range each {
					which := (i + k) % len(kinds)
					payload := kinds[which].make(f.with(dice), innocent(i*each+k))
					err := n.send(honest[dice.IntN(len(honest))], payload)
					if !errors.Is(err, overlay.ErrRefused) {
						accepted[which].Add(1)
						t.Logf("%s: %v", kinds[which].name, err)
					}
					time.Sleep(during / time.Duration(each))
				}
			})
		}
		dice := rand.New(rand.NewPCG(0, 0))
		for i := range attacks {
			for _, at := range pick(dice, honest, 3) {
				AttackedBy(criminal(i), 3)(at)
			}
			time.Sleep(during / time.Duration(attacks))
		}
		all.Wait()
		time.Sleep(5 * time.Second)

		raised, lost, silent := 0, 0, 0
		for i := range attacks {
			do, not, _ := Block(criminal(i)).split(honest)
			switch {
			case len(not) == 0:
				raised++
			case slices.ContainsFunc(honest, func(n *Node) bool { return n.collects(criminal(i)) }):
				silent++
				t.Errorf("%s: an honest collector has the evidence, and %d of %d block", criminal(i), len(do), len(honest))
			default:
				lost++
			}
		}
		took := 0
		for i, kind := range forgeries() {
			if n := accepted[i].Load(); n > 0 {
				took += int(n)
				t.Errorf("%d forged alerts accepted: %s", n, kind.name)
			}
		}
		blocked := 0
		for _, n := range honest {
			blocked += n.firewall.innocents()
		}
		sent := uint64(forged / len(inventors) * len(inventors))
		if refused := net.sum(func(n *Node) uint64 { return n.Status().Counters.AlertsInvalid }) - before; refused < sent {
			t.Errorf("%d alerts refused of %d forged", refused, sent)
		}
		Figure(t, fmt.Sprintf("forged alerts of %d accepted", sent), "0", took, took == 0)
		Figure(t, "innocents blocked by them", "0", blocked, blocked == 0)
		share := 100 * float64(raised) / float64(attacks)
		// In a short run one attack all of whose collectors are hostile, as one of 500 is, weighs too much.
		Figure(t, fmt.Sprintf("true alerts of %d raised, and blocked everywhere, where 30 %% of the nodes are hostile collectors", attacks),
			"99.5 %", fmt.Sprintf("%.2f %%, %d had no honest collector", share, lost), share >= 99.5 || !*faults && lost <= 2 && silent == 0)

		good := f.encode(f.alert(slandered, f.reports(slandered, f.honest[:3])...))
		if err := inventors[0].send(honest[0], good); err != nil {
			t.Errorf("the forgeries prove nothing: a good alert is not taken either: %v", err)
		}
	})
}

func newForger(t *testing.T, net *Net) *forger {
	t.Helper()
	stranger, err := federation.NewOpen(net.AddStranger().key)
	if err != nil {
		t.Fatal(err)
	}
	f := &forger{t: t, honest: pick(rand.New(rand.NewPCG(1, 1)), Everyone(net), 8), stranger: stranger,
		probation: net.AddTo("sybil", federation.TierProbation),
		revoked:   net.AddTo("robbed", federation.TierMember),
		expired:   net.addTo("idle", federation.TierMember, 7*24*time.Hour-30*time.Second),
		mates:     []*Node{net.AddTo("mates", federation.TierMember), net.AddTo("mates", federation.TierMember)},
	}
	// They do not run; their certificates are known all the same.
	for _, n := range append(f.mates, f.probation, f.revoked, f.expired) {
		for _, member := range Everyone(net) {
			if err := introduce(n, member); err != nil {
				t.Fatal(err)
			}
		}
	}
	Revoke(f.revoked.Number)(net.nodes[0])
	return f
}

func (f *forger) with(dice *rand.Rand) *forger {
	copied := *f
	copied.dice = dice
	return &copied
}

// send brings an alert to one node, as if it were passed on.
func (n *Node) send(to *Node, alert []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	frame := append([]byte{255, 1, 'a'}, alert...) // the last of its branch
	return n.rogue.Send(ctx, to.id, frame)
}

// pick picks n nodes of different organisations.
func pick(dice *rand.Rand, from []*Node, n int) (some []*Node) {
	of := map[string]bool{}
	for _, i := range dice.Perm(len(from)) {
		if organisation := from[i].speaksFor(); !of[organisation] && len(some) < n {
			of[organisation] = true
			some = append(some, from[i])
		}
	}
	return some
}

// criminal is the address of one of up to 65536 who attack.
func criminal(i int) string { return fmt.Sprintf("198.19.%d.%d", i>>8, i&255) }

// innocents is how many of them have ever been blocked.
func (f *firewall) innocents() (blocked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.since {
		if netip.MustParsePrefix("198.18.0.0/16").Overlaps(p) {
			blocked++
		}
	}
	return blocked
}

// collects says whether somebody's report on a source lies at the node.
func (n *Node) collects(source string) bool {
	x, err := n.Product().Explain(context.Background(), netip.MustParseAddr(source))
	if err != nil {
		n.net.t.Errorf("%s explains %s: %v", n, source, err)
	}
	return len(x.Gathered) > 0
}

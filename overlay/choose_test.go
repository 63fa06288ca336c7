package overlay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/komondor/komondor/overlay/kademlia"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
)

// A hundred nodes of 25 organisations, some of them leaves: source and
// collectors agree when they know the same, whoever asks, and never send a
// payload on.
func TestSourceAndCollectorsAgree(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		standing := map[peer.ID]member{}
		var all []peer.ID
		for range 100 {
			id := test.RandPeerIDFatal(t)
			all = append(all, id)
			organisation := rnd.IntN(25)
			if seed%2 == 0 {
				organisation = min(organisation, rnd.IntN(25)) // a few large ones
			}
			standing[id] = member{ID: id, Organisation: fmt.Sprint(organisation), Collects: rnd.IntN(5) > 0}
		}
		known := func(p peer.ID) (member, bool) { return standing[p], true }
		choose := func(self peer.ID, key [32]byte, r int) []peer.ID {
			q := kademlia.NewQuery(placeOf, known)
			q.Start(placeOfKey(key), self, r)
			for _, p := range all {
				q.Add(p)
			}
			return q.Collectors()
		}
		for k := range 20 {
			key := testKey(1000*int(seed) + k)
			want := choose(all[0], key, 5)
			of := map[string]int{}
			for _, p := range want {
				if of[standing[p].Organisation]++; !standing[p].Collects || of[standing[p].Organisation] > kademlia.MaxOfOne {
					t.Errorf("collector %+v, with %d of its organisation", standing[p], of[standing[p].Organisation])
				}
				if got := choose(p, key, 5); !slices.Equal(got, want) {
					t.Errorf("a collector would choose %v, the source %v", got, want)
				}
			}
		}
	}
}

// The same with whole nodes and tables as they come, which hold 20 a bucket.
func TestAgreementOfWholeNodes(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, tn *testNet) {
		const size, organisations, r, keys = 100, 25, 5, 20
		roll := newRoll()
		rnd := rand.New(rand.NewPCG(3, 3))
		for i := range size {
			n := tn.addMember(roll, fmt.Sprint(rnd.IntN(organisations)))
			roll.leaves[n.ID()] = i%10 == 9
		}
		tn.settle()
		before := tn.messages()
		differ, redirects := 0, uint64(0)
		for k := range keys {
			key := testKey(k)
			var near []member
			for _, n := range tn.nearest(key, size) {
				m, _ := tn.nodes[0].member(n.ID(), placeOfKey(key))
				near = append(near, m)
			}
			want := kademlia.Prefer(near)[:r]
			for i := 0; i < size; i += 10 {
				n := tn.nodes[i]
				got, err := n.Collectors(t.Context(), key, r)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					differ++
				}
				if acks, err := n.Deliver(t.Context(), key, r, fmt.Appendf(nil, "%d of %d", k, i)); acks < r || err != nil {
					t.Errorf("%d acks, %v", acks, err)
				}
				for _, p := range want { // by now redirects have put right what differed
					for _, m := range tn.nodes {
						if m.ID() == p && m.has(fmt.Sprintf("%d of %d", k, i)) == 0 {
							t.Errorf("key %d: a right collector has nothing", k)
						}
					}
				}
			}
			for i, p := range want {
				for _, m := range tn.nodes {
					if m.ID() == p && m.Rank(key) != i {
						t.Errorf("key %d: collector %d sees rank %d", k, i, m.Rank(key))
					}
				}
			}
		}
		after := tn.messages()
		for _, n := range tn.nodes {
			redirects += n.Stats().Report.Redirects
		}
		each := float64(after.LookupMessages-before.LookupMessages) / float64(after.Lookups-before.Lookups)
		t.Logf("%d nodes, %d organisations, r=%d: %.2f messages a lookup, %d of %d lookups differ from the truth, %d redirects", size, organisations, r, each, differ, keys*10, redirects)
		if each > 4 {
			t.Errorf("%.2f messages a lookup, want at most 4", each)
		}
		if differ > keys*10/50 || redirects > keys*10/50 {
			t.Errorf("%d of %d lookups differ, %d redirects", differ, keys*10, redirects)
		}
	})
}

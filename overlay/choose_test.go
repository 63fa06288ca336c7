package overlay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/komondor/komondor/overlay/kademlia"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
)

// Keys are small here and the key asked for is 0, so that a place is a distance:
// "001 A" is near and of organisation A, "110 B leaf" is far and should not collect.
func TestPrefer(t *testing.T) {
	for _, c := range []struct {
		name    string
		members string
		want    string
	}{
		{"nearest first", "001 A, 010 B, 011 C, 100 D", "001 010 011 100"},
		{"two of one", "001 A, 010 A, 011 A, 100 B", "001 010 100 011"},
		{"not enough others", "001 A, 010 A, 011 A, 100 A", "001 010 011 100"},
		{"the crowd keeps its order", "001 A, 010 A, 011 A, 100 A, 101 B, 110 B, 111 B", "001 010 101 110 011 100 111"},
		{"each its own", "001 , 010 , 011 , 100 A", "001 010 011 100"},
		{"who should not collect", "001 A leaf, 010 B, 011 C", "010 011 001"},
		{"rather crowded than not collecting", "001 A, 010 A, 011 A, 100 B leaf", "001 010 011 100"},
		{"nobody should collect", "001 A leaf, 010 A leaf, 011 A leaf, 100 B leaf", "001 010 100 011"},
		{"leaves of the crowded", "001 A leaf, 010 A, 011 A, 100 B leaf", "010 011 100 001"},
		{"alone", "101 A", "101"},
		{"nobody", "", ""},
	} {
		var got []string
		for _, p := range kademlia.Prefer(parseMembers(t, c.members)) {
			got = append(got, string(p))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func parseMembers(t *testing.T, text string) (near []member) {
	t.Helper()
	for _, one := range strings.Split(text, ", ") {
		if one == "" {
			continue
		}
		at, rest, _ := strings.Cut(one, " ")
		if _, err := strconv.ParseUint(at, 2, 8); err != nil {
			t.Fatal(err)
		}
		organisation, leaf := strings.CutSuffix(rest, " leaf")
		near = append(near, member{peer.ID(at), organisation, !leaf})
	}
	if !slices.IsSortedFunc(near, func(a, b member) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
		t.Fatalf("%q is not by distance", text)
	}
	return near
}

// Whoever is beyond the window does not change who is chosen inside.
func TestPreferLooksNoFurtherThanItsWindow(t *testing.T) {
	var near []member
	for i := range kademlia.Window + 5 {
		near = append(near, member{peer.ID(fmt.Sprintf("%02d", i)), "A", true})
	}
	near[kademlia.Window].Organisation = "B"
	for i, p := range kademlia.Prefer(near) {
		if p != near[i].ID {
			t.Fatalf("place %d: %s", i, p)
		}
	}
	near[kademlia.Window-1].Organisation = "B"
	if got := kademlia.Prefer(near)[kademlia.MaxOfOne]; got != near[kademlia.Window-1].ID {
		t.Errorf("the last in the window is passed over for %s", got)
	}
}

// The properties that placement promises, for random memberships: always r where
// there are r, at most two of one where there are enough, and the first of a
// longer choice are the shorter one.
func TestPreferOnRandomMemberships(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		near := make([]member, rnd.IntN(kademlia.Window+1))
		of, collecting := map[string]int{}, 0
		for i := range near {
			near[i] = member{peer.ID(fmt.Sprint(i)), string(rune('A' + rnd.IntN(6))), rnd.IntN(4) > 0}
			if near[i].Collects {
				of[near[i].Organisation]++
				collecting++
			}
		}
		places := 0 // that collecting members can fill without a third of one
		for _, n := range of {
			places += min(n, kademlia.MaxOfOne)
		}
		order := kademlia.Prefer(near)
		byID := map[peer.ID]member{}
		for _, m := range near {
			byID[m.ID] = m
		}
		if sorted := slices.Sorted(slices.Values(order)); len(slices.Compact(sorted)) != len(near) {
			t.Fatalf("seed %d: %d members became %v", seed, len(near), order)
		}
		got := map[string]int{}
		for i, p := range order {
			m := byID[p]
			if i < collecting != m.Collects {
				t.Errorf("seed %d: place %d of %d collecting is %+v", seed, i, collecting, m)
			}
			if got[m.Organisation]++; i < places && got[m.Organisation] > kademlia.MaxOfOne {
				t.Errorf("seed %d: %s has %d of the first %d", seed, m.Organisation, got[m.Organisation], i+1)
			}
		}
	}
}

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
			standing[id] = member{id, fmt.Sprint(organisation), rnd.IntN(5) > 0}
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

package overlay

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"

	"github.com/komondor/komondor/overlay/kademlia"
)

func TestParseCapacity(t *testing.T) {
	for c := Full; c <= None; c++ {
		if got, err := ParseCapacity(c.String()); got != c || err != nil {
			t.Errorf("%s is read as %s, %v", c, got, err)
		}
	}
	for _, text := range []string{"", "2", "1/3", "0.5", "1/2 "} {
		if c, err := ParseCapacity(text); err == nil {
			t.Errorf("%q is read as %s", text, c)
		}
	}
}

// A share is what it says, and lies within every larger one.
func TestSharesNest(t *testing.T) {
	const keys = 20000
	node := placeOf("node")
	served := [None + 1]int{}
	for k := range keys {
		for c, before := Full, true; c <= None; c++ {
			serves := c.serves(placeOfKey(testKey(k)), node)
			if serves && !before {
				t.Fatalf("key %d belongs to the share of %s and not to a larger one", k, c)
			}
			if before = serves; serves {
				served[c]++
			}
		}
	}
	for c := Full; c < None; c++ {
		want := float64(keys) / float64(int(1)<<c)
		if off := math.Abs(float64(served[c]) - want); off > 5*math.Sqrt(want) {
			t.Errorf("capacity %s serves %d of %d keys, want %.0f", c, served[c], keys, want)
		}
	}
	if served[None] != 0 {
		t.Errorf("capacity 0 serves %d keys", served[None])
	}
}

// mixed is a population as it may be: half of all nodes are ordinary, a quarter
// has half of their capacity, the others have less or none.
var mixed = []Capacity{Full, Full, Full, Full, Half, Half, Quarter, None}

// Load against capacity, with placement as all nodes would agree on it: what a
// node collects is in proportion to its capacity.
func TestLoadFollowsCapacity(t *testing.T) {
	t.Log("| nodes | capacity | nodes of it | keys a node, mean | share of a full one's | coefficient of variation |")
	t.Log("| ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, size := range []int{100, 1000} {
		const r = 5
		const keys = 8000
		type node struct {
			id       peer.ID
			place    place
			capacity Capacity
			load     int
			distance uint64 // to the key in question: its first bits
		}
		nodes := make([]*node, size)
		byID := map[peer.ID]*node{}
		for i := range nodes {
			// Not by chance: the figures are the same each time.
			id := peer.ID(fmt.Sprintf("node %d of %d", i, size))
			nodes[i] = &node{id: id, place: placeOf(id), capacity: mixed[i%len(mixed)]}
			byID[id] = nodes[i]
		}
		for k := range keys {
			key := placeOfKey(testKey(k))
			for _, n := range nodes {
				d := n.place.Distance(key)
				n.distance = binary.BigEndian.Uint64(d[:])
			}
			slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.distance, b.distance) })
			var near []member
			for _, n := range nodes[:kademlia.Window] {
				near = append(near, member{ID: n.id, Collects: n.capacity.serves(key, n.place)})
			}
			for _, p := range kademlia.Prefer(near)[:r] {
				byID[p].load++
			}
		}
		slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(a.capacity, b.capacity) })
		full := 0.
		for c := Full; c <= None; c++ {
			var loads []float64
			for _, n := range nodes {
				if n.capacity == c {
					loads = append(loads, float64(n.load))
				}
			}
			if len(loads) == 0 {
				continue
			}
			mean, cv := spread(loads)
			if c == Full {
				full = mean
			}
			t.Logf("| %d | %s | %d | %.0f | %.3f | %.2f |", size, c, len(loads), mean, mean/full, cv)
			want := 0.
			if c != None {
				want = 1 / float64(int(1)<<c)
			}
			// The nodes lie differently thick around one another, so their loads vary;
			// the mean of many varies less.
			if tolerance := 4 * 0.6 / math.Sqrt(float64(len(loads))) * want; math.Abs(mean/full-want) > tolerance {
				t.Errorf("capacity %s has %.3f of a full node's load, want %.3f ± %.3f", c, mean/full, want, tolerance)
			}
		}
	}
}

// spread returns the mean and the coefficient of variation.
func spread(of []float64) (mean, cv float64) {
	for _, x := range of {
		mean += x / float64(len(of))
	}
	for _, x := range of {
		cv += (x - mean) * (x - mean) / float64(len(of))
	}
	if mean == 0 {
		return 0, 0
	}
	return mean, math.Sqrt(cv) / mean
}

// Whole nodes of mixed capacity: sources find out whom they should ask, and those
// take what they are given.
func TestAgreementOfMixedCapacities(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, tn *testNet) {
		const size, r, keys = 32, 3, 15
		for i := range size {
			tn.start(Config{Host: tn.plug(), Capacity: mixed[i%len(mixed)]}, tn.nodes[:min(1, i)]...)
		}
		tn.settle()
		redirects := func() (n uint64) {
			for _, m := range tn.nodes {
				n += m.Stats().Report.Redirects
			}
			return n
		}
		first, astray := uint64(0), map[int]bool{} // keys with a collector that has not met one who is wanted more
		for round := range 2 {
			for k := range keys {
				key := testKey(k)
				var near []member
				for _, n := range tn.nearest(key, size) {
					near = append(near, member{ID: n.ID(), Collects: n.capacity.serves(placeOfKey(key), n.self)})
				}
				want := kademlia.Prefer(near)[:r]
				payload := fmt.Sprintf("%d in round %d", k, round)
				from := tn.nodes[(7*k+1)%size]
				if acks, err := from.Deliver(t.Context(), key, r, []byte(payload)); acks != r || err != nil {
					t.Errorf("%d acks, %v", acks, err)
				}
				for _, n := range tn.nodes {
					if got := n.has(payload); got != 0 && n.capacity == None {
						t.Errorf("a node of capacity 0 collects")
					} else if got != 0 != slices.Contains(want, n.ID()) {
						astray[k] = true
						t.Logf("key %d: a node of capacity %s has got %d payloads, one of the collectors: %v", k, n.capacity, got, slices.Contains(want, n.ID()))
					}
				}
				if got, err := from.Collectors(t.Context(), key, r); err != nil || !astray[k] && !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
					t.Errorf("key %d: the source counts on %v, want %v, %v", k, got, want, err)
				}
				for i, p := range want {
					for _, m := range tn.nodes {
						// It may not have met one that is wanted more; then both are first.
						if m.ID() == p && m.Rank(key) > i {
							t.Errorf("key %d: collector %d sees rank %d", k, i, m.Rank(key))
						}
					}
				}
			}
			if round == 0 {
				first = redirects()
			} else if again := redirects() - first; again > uint64(r*len(astray)) {
				t.Errorf("%d redirects though the routes are known", again)
			}
		}
		t.Logf("%d redirects for the first of %d keys", first, keys)
		if len(astray) > 1 {
			t.Errorf("%d keys of %d went astray", len(astray), keys)
		}
	})
}

// Who has not met a member takes it for an ordinary one. The first report of a key
// that it does not collect is sent on, and no other.
func TestWhoIsNotMetSendsOn(t *testing.T) {
	inBubble(t, 12, func(t *testing.T, tn *testNet) {
		small := tn.start(Config{Host: tn.plug(), Capacity: Eighth}, tn.nodes[0])
		tn.settle()
		k := 0
		for ; tn.nearest(testKey(k), 1)[0] != small || Eighth.serves(placeOfKey(testKey(k)), small.self); k++ {
		}
		key := testKey(k)
		from := tn.outsider(key, 4)
		from.dht.RoutingTable().RemovePeer(small.ID())
		small.dht.RoutingTable().RemovePeer(from.ID())
		time.Sleep(time.Second)
		if err := tn.mn.DisconnectPeers(from.ID(), small.ID()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := from.host.Peerstore().RemoveProtocols(small.ID(), capacityProtocols...); err != nil {
			t.Fatal(err)
		}
		from.shares.mu.Lock()
		delete(from.shares.of, small.ID())
		from.shares.mu.Unlock()
		// One of the two may have called the other again, and would not say anew what it serves.
		if err := tn.mn.DisconnectPeers(from.ID(), small.ID()); err != nil {
			t.Fatal(err)
		}
		from.routes.put(key, 3, ids(tn.nearest(key, 3))) // as a lookup finds them, if it asks others
		for i := range 3 {
			payload := fmt.Sprint(i)
			if acks, err := from.Deliver(t.Context(), key, 3, []byte(payload)); acks != 3 || err != nil {
				t.Fatalf("%d acks, %v", acks, err)
			}
			tn.wantAt(payload, tn.nearest(key, 4)[1:])
			if n := from.Stats().Report.Redirects; n != 1 {
				t.Errorf("after %d reports %d were sent on, want the first", i+1, n)
			}
		}
	})
}

func TestSharesAreBounded(t *testing.T) {
	var s shares
	for range maxCapacities + 10 {
		s.note(test.RandPeerIDFatal(t), Half)
	}
	if len(s.of) != maxCapacities {
		t.Errorf("%d are remembered", len(s.of))
	}
	if s.note("p", Full) || !s.note("p", Half) || s.note("p", Half) {
		t.Error("a change is not told, or none is")
	}
}

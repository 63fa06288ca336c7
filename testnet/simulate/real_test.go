package simulate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/broadcast/tree"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/overlay/kademlia"
)

var large = flag.Bool("large", false, "validate with networks of 100, 200 and 400 libp2p nodes, which takes minutes")

// Real libp2p nodes against the simulation: on the tables that kad-dht has made,
// which validates what follows from a table, and on the model's tables of nodes at
// the same places, which validates these, too. Both within 5 %.
func TestAgainstLibp2p(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector crashes in long synctest bubbles (go.dev/issue/78156)")
	}
	sizes, lookups, rest := []int{50}, 1500, 70*time.Second // a refresh of all tables
	if *large {
		sizes, lookups, rest = []int{100, 200, 400}, 4000, 150*time.Second
	}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n, " nodes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { compare(t, realNet(t, n, rest), lookups) })
		})
	}
}

type realNode struct {
	*overlay.Overlay
	cast  *broadcast.Broadcast
	place kademlia.Place
}

// realNet starts nodes that join through the first, in the order of their places
// when it returns. They have rested.
func realNet(t *testing.T, n int, rest time.Duration) []*realNode {
	mn := mocknet.New()
	t.Cleanup(func() { mn.Close() })
	var nodes []*realNode
	var first []peer.AddrInfo
	for range n {
		if _, err := mn.GenPeer(); err != nil {
			t.Fatal(err)
		}
	}
	if err := mn.LinkAll(); err != nil {
		t.Fatal(err)
	}
	for _, h := range mn.Hosts() {
		o, err := overlay.New(t.Context(), overlay.Config{Host: h, Bootstrap: first})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = []peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}}
		}
		cast := broadcast.New(o, broadcast.Config{Receive: func(context.Context, peer.ID, []byte) broadcast.Verdict { return broadcast.Fresh }})
		o.Handle(func(context.Context, peer.ID, [32]byte, []byte) error { return nil }, cast.Receive, nil)
		t.Cleanup(func() { cast.Close(); o.Close() })
		nodes = append(nodes, &realNode{o, cast, kademlia.Of([]byte(h.ID()))})
	}
	time.Sleep(rest) // virtual
	slices.SortFunc(nodes, func(a, b *realNode) int { return a.place.Compare(b.place) })
	return nodes
}

func compare(t *testing.T, nodes []*realNode, lookups int) {
	// Of one broadcast the messages differ by a tenth, so these are enough for one
	// per cent; simulated ones cost little.
	const r, casts, simulated = 5, 120, 1000
	n := len(nodes)
	byID := map[peer.ID]int32{}
	places := make([]kademlia.Place, n)
	for i, node := range nodes {
		byID[node.ID()], places[i] = int32(i), node.place
	}
	modelled := at(places, 0, 1)
	same := at(places, 0, 1)
	var contacts [2]int
	for i, node := range nodes {
		var table []int32
		for _, bucket := range node.Buckets() {
			table = append(table, int32(len(bucket)))
			for _, p := range bucket {
				table = append(table, byID[p])
			}
			contacts[0] += len(bucket)
		}
		same.tables[i], same.rest[i] = table, span{int32(i), int32(i) + 1}
		modelled.buckets(int32(i), nil, func(_ int, c []int32) { contacts[1] += len(c) })
	}
	total := func(of func(*realNode) uint64) (sum float64) {
		for _, node := range nodes {
			sum += float64(of(node))
		}
		return sum
	}

	requests := func(o *realNode) uint64 { return o.Overlay.Stats().LookupMessages }
	var measured, onSame, onModel struct{ requests, hops, messages float64 }
	var wrong int
	chance, lookers := rand.New(rand.NewPCG(uint64(n), 2)), [2]*looker{newLooker(same), newLooker(modelled)}
	measured.requests = -total(requests)
	for i := range lookups {
		self := chance.IntN(n)
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], uint64(i))
		key = sha256.Sum256(key[:])
		target := kademlia.Of(key[:])
		got, err := nodes[self].Collectors(t.Context(), key, r)
		if err != nil {
			t.Fatal(err)
		}
		want, hops := lookers[0].look(int32(self), target, r)
		onSame.requests += float64(want)
		onSame.hops += float64(hops)
		if !slices.EqualFunc(got, lookers[0].query.Collectors(), func(p peer.ID, i int32) bool { return byID[p] == i }) {
			wrong++
		}
		want, hops = lookers[1].look(int32(self), target, r)
		onModel.requests += float64(want)
		onModel.hops += float64(hops)
	}
	measured.requests += total(requests)

	sent := func(o *realNode) uint64 { return o.cast.Stats().Sent }
	arrived := func(o *realNode) uint64 { return o.cast.Stats().New }
	measured.messages = -total(sent)
	for i := range casts {
		if err := nodes[chance.IntN(n)].cast.Publish(t.Context(), fmt.Appendf(nil, "payload %d", i)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	measured.messages = (measured.messages + total(sent)) / float64(n)
	for range simulated {
		onSame.messages += same.Broadcast(0, tree.Replicas, chance).Messages
		onModel.messages += modelled.Broadcast(0, tree.Replicas, chance).Messages
	}
	if got := total(arrived); got != float64(casts*(n-1)) {
		t.Errorf("%d nodes: %v of %d payloads arrived", n, got, casts*(n-1))
	}
	if wrong > lookups/100 {
		t.Errorf("%d nodes: %d of %d lookups found others than the simulation on the same tables", n, wrong, lookups)
	}

	row := func(what string, real, same, model float64) {
		t.Logf("| %d | %s | %.3f | %.3f | %.3f |", n, what, real, same, model)
		for _, other := range []float64{same, model} {
			if math.Abs(other/real-1) > 0.05 {
				t.Errorf("%d nodes, %s: %.3f simulated, %.3f measured", n, what, other, real)
			}
		}
	}
	t.Logf("| nodes | | libp2p | same tables | model |")
	row("contacts a node", float64(contacts[0])/float64(n), float64(contacts[0])/float64(n), float64(contacts[1])/float64(n))
	row("requests a lookup", measured.requests/float64(lookups), onSame.requests/float64(lookups), onModel.requests/float64(lookups))
	// What cannot be seen from outside is compared between the two simulations.
	row("hops", onSame.hops/float64(lookups), onSame.hops/float64(lookups), onModel.hops/float64(lookups))
	row("messages a node and broadcast", measured.messages/casts, onSame.messages/simulated, onModel.messages/simulated)
}

package overlay

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

// BenchmarkDeliver brings 200-byte payloads to one collector over TCP on
// loopback, one after the other and 64 at a time.
func BenchmarkDeliver(b *testing.B) {
	tn := realNet(b, 2, "/ip4/127.0.0.1/tcp/0")
	var key [32]byte
	for tn.nearest(key, 1)[0] != tn.nodes[1] {
		key[0]++
	}
	from, payload := tn.nodes[0], make([]byte, 200)
	tn.nodes[1].rate(Rate{rate.Inf, 1})
	deliver := func() {
		if acks, err := from.Deliver(b.Context(), key, 1, payload); acks != 1 || err != nil {
			b.Errorf("%d acks, %v", acks, err)
		}
	}
	b.Run("pingpong", func(b *testing.B) {
		for b.Loop() {
			deliver()
		}
	})
	b.Run("pipelined64", func(b *testing.B) {
		before := from.Stats().Report
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				for range b.N / 64 {
					deliver()
				}
			})
		}
		all.Wait()
		after := from.Stats().Report
		if n := after.Batches - before.Batches; n > 0 {
			b.ReportMetric(float64(after.Sent-before.Sent)/float64(n), "payloads/write")
		}
	})
}

// BenchmarkLookup looks up a fresh key among 12 nodes over TCP on loopback.
func BenchmarkLookup(b *testing.B) {
	tn := realNet(b, 12, "/ip4/127.0.0.1/tcp/0")
	n := tn.nodes[0]
	var key [32]byte
	i := uint64(0)
	before := n.Stats()
	for b.Loop() {
		i++
		binary.BigEndian.PutUint64(key[:], i)
		if _, err := n.Collectors(b.Context(), key, 3); err != nil {
			b.Fatal(err)
		}
	}
	after := n.Stats()
	b.ReportMetric(float64(after.LookupMessages-before.LookupMessages)/float64(after.Lookups-before.Lookups), "messages/lookup")
}

// BenchmarkRoute answers from the cache.
func BenchmarkRoute(b *testing.B) {
	o := &Overlay{}
	o.routes.init()
	for _, p := range []peer.ID{"a", "b", "c"} {
		o.shares.note(p, Full)
	}
	o.routes.put([32]byte{1}, 3, []peer.ID{"a", "b", "c"})
	for b.Loop() {
		if _, err := o.Collectors(b.Context(), [32]byte{1}, 3); err != nil {
			b.Fatal(err)
		}
	}
}

package overlay

import (
	"bufio"
	"io"
	"slices"
	"testing"

	"github.com/komondor/komondor/overlay/kademlia"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/test"
	"github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protodelim"
)

func TestCollectorsAreTheNearest(t *testing.T) {
	for _, size := range []int{1, 2, 4, 12, 30} {
		if raceDetector && size > 12 {
			continue
		}
		inNet(t, size, func(t *testing.T, tn *testNet) {
			for _, r := range []int{1, 3, 5} {
				before := tn.messages()
				for _, n := range tn.nodes {
					for k := range 20 {
						key := testKey(1000*r + k)
						got, err := n.Collectors(t.Context(), key, r)
						if err != nil {
							t.Fatal(err)
						}
						if want := ids(tn.nearest(key, r)); !slices.Equal(got, want) {
							t.Errorf("%d nodes, r=%d: got %v, want %v", size, r, got, want)
						}
						again, err := n.Collectors(t.Context(), key, r)
						if err != nil || !slices.Equal(again, got) {
							t.Errorf("from the cache: %v, %v", again, err)
						}
					}
				}
				after := tn.messages()
				each := float64(after.LookupMessages-before.LookupMessages) / float64(20*size)
				t.Logf("%d nodes, r=%d: %.2f messages a lookup", size, r, each)
				if each > 3 {
					t.Errorf("%.2f messages a lookup, want at most 3", each)
				}
				if lookups := after.Lookups - before.Lookups; lookups > uint64(21*size) { // a late change of the table may drop a few routes
					t.Errorf("%d lookups of %d keys: the cache does little", lookups, 20*size)
				}
			}
		})
	}
}

// messages sums the lookup counters of all nodes.
func (tn *testNet) messages() (sum Stats) {
	for _, n := range tn.nodes {
		s := n.Stats()
		sum.Lookups += s.Lookups
		sum.LookupMessages += s.LookupMessages
	}
	return sum
}

// A member that hangs is waited for once, and not at all by the next lookup.
func TestLookupPassesTheHung(t *testing.T) {
	inNet(t, 12, func(t *testing.T, tn *testNet) {
		key := testKey(1)
		hung, from := tn.nearest(key, 1)[0], tn.outsider(key, 4)
		hung.host.SetStreamHandler(kadProtocol, func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() })
		want := ids(tn.nearest(key, 4)[1:])
		for _, limit := range []time.Duration{rpcTimeout + time.Second, time.Second} {
			start := time.Now()
			got, err := from.Collectors(t.Context(), key, 3)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
			if late(start, limit) {
				t.Errorf("took %s, want at most %s", time.Since(start), limit)
			}
			from.routes.drop(func(route) bool { return true })
		}
	})
}

// A member names twenty that do not exist, all nearer than anybody.
func TestLookupSurvivesALiar(t *testing.T) {
	inNet(t, 12, func(t *testing.T, tn *testNet) {
		key := testKey(2)
		target := placeOfKey(key)
		order := tn.nearest(key, 12)
		liar, from := order[0], order[8]
		var lies []peer.AddrInfo
		for len(lies) < kademlia.K {
			if id := test.RandPeerIDFatal(t); placeOf(id).Distance(target).Compare(liar.self.Distance(target)) < 0 {
				lies = append(lies, peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/1")}})
			}
		}
		liar.host.SetStreamHandler(kadProtocol, func(s network.Stream) {
			defer s.Close()
			var request pb.Message
			if protodelim.UnmarshalFrom(bufio.NewReader(s), &request) == nil {
				protodelim.MarshalTo(s, &pb.Message{Type: request.Type, CloserPeers: pb.RawPeerInfosToPBPeers(lies)})
			}
		})
		got, err := from.Collectors(t.Context(), key, 3)
		if want := ids(order[:3]); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		if n := from.Stats().LookupMessages; n > kademlia.MaxRequests {
			t.Errorf("%d messages", n)
		}
	})
}

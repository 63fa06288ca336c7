package overlay

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/komondor/komondor/overlay/kademlia"
)

const (
	// hedgeDelay is how slow a peer's answer is when another one is asked, too.
	hedgeDelay = 300 * time.Millisecond
	// maxAddrs is how many addresses of a peer are believed.
	maxAddrs = 8
)

type answer struct {
	from peer.ID
	near []*peer.AddrInfo
	err  error
}

// lookup finds the r collectors of the key among the living by asking ever nearer
// members (paper 002, section III.B: iterative routing). kad-dht's own
// GetClosestPeers asks every peer it returns, 20 to 40 requests where this
// takes one to four.
func (o *Overlay) lookup(ctx context.Context, key [32]byte, r int) ([]peer.ID, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends requests that no longer matter
	target := placeOfKey(key)
	q := o.newQuery(target, r)
	for _, p := range o.dht.RoutingTable().NearestPeers(target[:], kademlia.K) {
		if !o.dead.has(p) && o.admitted(p) {
			q.Add(p)
		}
	}
	o.count.lookups.Add(1)
	answers := make(chan answer, kademlia.MaxRequests)
	slow := time.NewTimer(hedgeDelay)
	defer slow.Stop()
	hedge := false
	for {
		step, ask := q.Next(hedge)
		switch step {
		case kademlia.Over:
			return q.Collectors(), nil
		case kademlia.Ask:
			o.count.lookupMessages.Add(1)
			if !o.spawn(func() { answers <- o.ask(ctx, ask, key) }) {
				return nil, errClosed
			}
			hedge = false
			slow.Reset(hedgeDelay)
			continue
		}
		select {
		case a := <-answers:
			if a.err != nil {
				q.Failed(a.from)
				continue
			}
			q.Answered(a.from)
			for _, p := range o.learn(a.near, peerstore.TempAddrTTL) {
				q.Add(p)
			}
		case <-slow.C:
			hedge = true
			slow.Reset(hedgeDelay)
		case <-ctx.Done():
			return nil, fmt.Errorf("look up key %x: %w", key[:4], ctx.Err())
		}
	}
}

// ask sends one FIND_NODE. Who does not answer is evicted.
func (o *Overlay) ask(ctx context.Context, p peer.ID, key [32]byte) answer {
	near, err := o.kad.GetClosestPeers(ctx, p, peer.ID(key[:]))
	if err != nil && ctx.Err() == nil {
		o.evict(p)
	}
	return answer{p, near, err}
}

// learn keeps what a peer said about others, as far as it is of use, and
// returns whom it named. An answer is bounded: a peer could name thousands.
func (o *Overlay) learn(infos []*peer.AddrInfo, ttl time.Duration) (named []peer.ID) {
	for _, info := range infos[:min(len(infos), kademlia.K+1)] {
		addrs := usable(info.Addrs, o.private)
		if _, err := peer.IDFromBytes([]byte(info.ID)); err != nil || len(addrs) == 0 || info.ID == o.host.ID() || o.dead.has(info.ID) || !o.promising(info.ID) {
			continue
		}
		o.host.Peerstore().AddAddrs(info.ID, addrs[:min(len(addrs), maxAddrs)], ttl)
		named = append(named, info.ID)
	}
	return named
}

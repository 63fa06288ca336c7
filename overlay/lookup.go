package overlay

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

const (
	// alpha is how many requests of one lookup may be under way: one, until it
	// is slow to answer.
	alpha = 3
	// hedgeDelay is how slow that is.
	hedgeDelay = 300 * time.Millisecond
	// maxRequests ends a lookup that liars keep going.
	maxRequests = 24
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
	q := newQuery(target, o.host.ID(), r, o.member)
	for _, p := range o.dht.RoutingTable().NearestPeers(target[:], bucketSize) {
		if !o.dead.has(p) && o.admitted(p) {
			q.add(p)
		}
	}
	o.count.lookups.Add(1)
	answers := make(chan answer, maxRequests)
	slow := time.NewTimer(hedgeDelay)
	defer slow.Stop()
	hedge, inFlight, requests := false, 0, 0
	for {
		ask, over := q.next(hedge)
		if over || requests == maxRequests && inFlight == 0 {
			break
		}
		if ask != "" && requests < maxRequests && (inFlight == 0 || hedge && inFlight < alpha) {
			q.set(ask, asked)
			inFlight++
			requests++
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
			inFlight--
			if a.err != nil {
				q.set(a.from, failed)
				continue
			}
			q.set(a.from, answered)
			for _, p := range o.learn(a.near, peerstore.TempAddrTTL) {
				q.add(p)
			}
		case <-slow.C:
			hedge = true
			slow.Reset(hedgeDelay)
		case <-ctx.Done():
			return nil, fmt.Errorf("look up key %x: %w", key[:4], ctx.Err())
		}
	}
	return q.collectors(), nil
}

// ask sends one FIND_NODE. Who does not answer is evicted.
func (o *Overlay) ask(ctx context.Context, p peer.ID, key [32]byte) answer {
	call, cancel := dialContext(ctx, rpcTimeout)
	defer cancel()
	near, err := o.kad.GetClosestPeers(call, p, peer.ID(key[:]))
	if err != nil && ctx.Err() == nil {
		o.evict(p)
	}
	return answer{p, near, err}
}

// learn keeps what a peer said about others, as far as it is of use, and
// returns whom it named. An answer is bounded: a peer could name thousands.
func (o *Overlay) learn(infos []*peer.AddrInfo, ttl time.Duration) (named []peer.ID) {
	for _, info := range infos[:min(len(infos), bucketSize+1)] {
		addrs := usable(info.Addrs, o.private)
		if _, err := peer.IDFromBytes([]byte(info.ID)); err != nil || len(addrs) == 0 || info.ID == o.host.ID() || o.dead.has(info.ID) || !o.promising(info.ID) {
			continue
		}
		o.host.Peerstore().AddAddrs(info.ID, addrs[:min(len(addrs), maxAddrs)], ttl)
		named = append(named, info.ID)
	}
	return named
}

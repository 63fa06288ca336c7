package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

const (
	maxRoutes = 4096
	routeTTL  = 10 * time.Minute
	// hastyTTL is for routes that a change of the table concerned while they were
	// looked up.
	hastyTTL      = 5 * time.Second
	lookupTimeout = 15 * time.Second
)

var errClosed = errors.New("the overlay is closed")

// routes remembers the collectors of keys, so that only the first of many
// payloads for one key pays for a lookup.
type routes struct {
	mu      sync.Mutex
	byKey   map[[32]byte]route
	flights map[[32]byte]*flight
}

type route struct {
	target place
	r      int       // how many were asked for; there may be fewer members
	peers  []peer.ID // wanted most first
	until  time.Time
}

// flight is a lookup under way, which all who want its key wait for.
type flight struct {
	r      int
	missed []func(route) bool // what was dropped while it was under way
	done   chan struct{}
	peers  []peer.ID // valid with err once done is closed
	err    error
}

func (rs *routes) init() {
	rs.byKey = map[[32]byte]route{}
	rs.flights = map[[32]byte]*flight{}
}

// land ends a flight, and caches its route if it found one.
func (rs *routes) land(key [32]byte, f *flight) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	defer close(f.done)
	if rs.flights[key] == f {
		delete(rs.flights, key)
	}
	if f.err != nil {
		return
	}
	found, ttl := route{target: placeOfKey(key), r: f.r, peers: f.peers}, routeTTL
	if slices.ContainsFunc(f.missed, func(match func(route) bool) bool { return match(found) }) {
		ttl = hastyTTL
	}
	rs.cache(key, f.r, f.peers, ttl)
}

// put caches a route that was found out otherwise.
func (rs *routes) put(key [32]byte, r int, peers []peer.ID) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.cache(key, r, peers, routeTTL)
}

// cache makes room by forgetting any other route: a lookup costs two requests.
func (rs *routes) cache(key [32]byte, r int, peers []peer.ID, ttl time.Duration) {
	if _, known := rs.byKey[key]; !known && len(rs.byKey) >= maxRoutes {
		for other := range rs.byKey {
			delete(rs.byKey, other)
			break
		}
	}
	rs.byKey[key] = route{placeOfKey(key), r, peers, time.Now().Add(ttl)}
}

func (rs *routes) drop(match func(route) bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, f := range rs.flights {
		f.missed = append(f.missed, match)
	}
	for key, rt := range rs.byKey {
		if match(rt) {
			delete(rs.byKey, key)
		}
	}
}

// dropPeer forgets the routes that lead to a lost peer.
func (rs *routes) dropPeer(p peer.ID) {
	rs.drop(func(rt route) bool { return slices.Contains(rt.peers, p) })
}

// leadTo reports whether a cached route leads to the peer.
func (rs *routes) leadTo(p peer.ID) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, rt := range rs.byKey {
		if slices.Contains(rt.peers, p) {
			return true
		}
	}
	return false
}

// dropNear forgets the routes in which a new peer has a place.
func (o *Overlay) dropNear(p peer.ID) {
	o.routes.drop(func(rt route) bool {
		if slices.Contains(rt.peers, p) {
			return false
		}
		return slices.Contains(o.choose(rt.target, rt.r, append(slices.Clone(rt.peers), p)), p)
	})
}

// choose returns the r collectors that are wanted most among some members and
// this node.
func (o *Overlay) choose(target place, r int, among []peer.ID) []peer.ID {
	q := newQuery(target, o.host.ID(), r, o.member)
	for _, p := range among {
		q.add(p)
	}
	return q.collectors()
}

// Near returns the r collectors of the key as far as this node's own table knows
// them, without asking anybody. Near is false where this node is not among the 20
// nearest: then others know better.
func (o *Overlay) Near(key [32]byte, r int) (collectors []peer.ID, near bool) {
	order := o.wanted(placeOfKey(key), window)
	return order[:min(r, len(order))], slices.Index(order, o.host.ID()) < window
}

// Displaces reports whether one of those that came takes the place of a collector of
// the key: told are all its collectors of before.
func (o *Overlay) Displaces(key [32]byte, r int, told, came []peer.ID) bool {
	among := slices.Concat(told, came)
	return slices.ContainsFunc(o.choose(placeOfKey(key), r, among), func(p peer.ID) bool {
		return p != o.host.ID() && !slices.Contains(told, p)
	})
}

// Collectors returns the r collectors of the key, this node among them if it is
// one: the nearest members, but at most two of an organisation and none that
// should not collect where there are enough others near; see prefer. There are
// fewer only where there are fewer members. Who stands at the end may have died
// unnoticed; Deliver finds out.
func (o *Overlay) Collectors(ctx context.Context, key [32]byte, r int) ([]peer.ID, error) {
	if r < 1 || r > MaxReplicas {
		return nil, fmt.Errorf("%d collectors wanted: want 1 to %d", r, MaxReplicas)
	}
	f, peers := o.route(key, r)
	if peers != nil {
		return peers, nil
	}
	select {
	case <-f.done:
		return slices.Clone(f.peers[:min(r, len(f.peers))]), f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("look up key %x: %w", key[:4], ctx.Err())
	}
}

// route answers from the cache, or joins or starts the lookup.
func (o *Overlay) route(key [32]byte, r int) (*flight, []peer.ID) {
	rs := &o.routes
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rt, ok := rs.byKey[key]; ok && rt.r >= r && time.Now().Before(rt.until) {
		return nil, slices.Clone(rt.peers[:min(r, len(rt.peers))])
	}
	if f := rs.flights[key]; f != nil && f.r >= r {
		return f, nil
	}
	f := &flight{r: r, done: make(chan struct{})}
	if !o.spawn(func() { o.fly(key, f) }) {
		f.err = errClosed
		close(f.done)
		return f, nil
	}
	rs.flights[key] = f
	return f, nil
}

func (o *Overlay) fly(key [32]byte, f *flight) {
	ctx, cancel := context.WithTimeout(o.ctx, lookupTimeout)
	defer cancel()
	f.peers, f.err = o.lookup(ctx, key, f.r)
	for _, p := range f.peers { // their addresses must outlive the route
		o.host.Peerstore().AddAddrs(p, o.host.Peerstore().Addrs(p), peerstore.RecentlyConnectedAddrTTL)
	}
	o.routes.land(key, f)
}

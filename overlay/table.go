package overlay

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

const (
	// changeDelay gathers changes of the table into one signal.
	changeDelay = 500 * time.Millisecond
	maxRedials  = 32
)

// Rank is how many known members are wanted more than this node as collectors
// of the key: it is one of the r collectors, as far as it knows, when its rank is
// below r.
func (o *Overlay) Rank(key [32]byte) int {
	return slices.Index(o.wanted(placeOfKey(key), o.dht.RoutingTable().Size()), o.host.ID())
}

// Buckets returns the contacts by the length of the prefix that their place
// shares with this node's: bucket i holds a part of the subtree that differs
// first in bit i. The last bucket is not empty.
func (o *Overlay) Buckets() [][]peer.ID {
	var buckets [][]peer.ID
	for _, p := range o.dht.RoutingTable().ListPeers() {
		i := o.self.PrefixLen(placeOf(p))
		for len(buckets) <= i {
			buckets = append(buckets, nil)
		}
		buckets[i] = append(buckets[i], p)
	}
	return buckets
}

// Changed returns the channel that gets a value when the table has changed, at
// most one in half a second: time to ask whether keys have new collectors. It
// is for one reader, who misses nothing by being late.
func (o *Overlay) Changed() <-chan struct{} { return o.changes.out }

// Changes returns the members that have come and those that are gone since the last
// call; some may be both. It is for one reader, too. One that does not come for so
// long that there are thousands does not hear of all of them.
func (o *Overlay) Changes() (came, gone []peer.ID) {
	c := &o.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	came, gone = slices.Collect(maps.Keys(c.came)), slices.Collect(maps.Keys(c.gone))
	clear(c.came)
	clear(c.gone)
	return came, gone
}

// change is what has happened to a peer.
type change struct {
	peer peer.ID
	what happening
}

type happening uint8

const (
	came   happening = iota // into the table
	left                    // the table
	silent                  // did not answer: may have been in routes only
)

// maxChanges is how many members Changes remembers of either kind.
const maxChanges = 4096

// changes passes on what the table says while it holds its lock.
type changes struct {
	mu         sync.Mutex
	pending    []change
	came, gone map[peer.ID]struct{}
	wake       chan struct{}
	out        chan struct{}
}

func (c *changes) init() {
	c.wake = make(chan struct{}, 1)
	c.out = make(chan struct{}, 1)
	c.came, c.gone = map[peer.ID]struct{}{}, map[peer.ID]struct{}{}
}

func (c *changes) note(ch change) {
	c.mu.Lock()
	c.pending = append(c.pending, ch) // bounded by what the table can do before watch runs
	kind := c.gone
	if ch.what == came {
		kind = c.came
	}
	if len(kind) < maxChanges {
		kind[ch.peer] = struct{}{}
	}
	c.mu.Unlock()
	signal(c.wake)
}

func (c *changes) take() []change {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.pending
	c.pending = nil
	return taken
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

// watch follows connections and the table. The subscription is always drained:
// one that is not blocks the event bus and with it all discovery.
func (o *Overlay) watch() error {
	sub, err := o.host.EventBus().Subscribe([]any{new(event.EvtPeerConnectednessChanged), new(event.EvtPeerIdentificationCompleted)}, eventbus.BufSize(256))
	if err != nil {
		return fmt.Errorf("watch connections: %w", err)
	}
	o.spawn(func() {
		defer sub.Close()
		debounce := time.NewTimer(changeDelay)
		debounce.Stop()
		defer debounce.Stop()
		waiting := false
		for {
			select {
			case e, open := <-sub.Out():
				if !open {
					return // the host was closed
				}
				switch e := e.(type) {
				case event.EvtPeerConnectednessChanged:
					o.connection(e)
				case event.EvtPeerIdentificationCompleted:
					o.introduced(e.Peer)
				}
			case <-o.changes.wake:
				for _, c := range o.changes.take() {
					switch c.what {
					case came:
						o.lost.found(c.peer)
						o.dropNear(c.peer)
						// It may have answered kad-dht just before it was evicted.
						o.attend(c.peer)
					case left:
						o.lose(c.peer)
						fallthrough
					default:
						o.routes.dropPeer(c.peer)
					}
				}
				if !waiting {
					waiting = true
					debounce.Reset(changeDelay)
				}
			case <-debounce.C:
				waiting = false
				signal(o.changes.out)
			case <-o.ctx.Done():
				return
			}
		}
	})
	return nil
}

// connection must not block: see watch.
func (o *Overlay) connection(e event.EvtPeerConnectednessChanged) {
	if e.Connectedness == network.Connected {
		o.dead.remove(e.Peer)
		o.lost.found(e.Peer)
		return
	}
	o.parted(e.Peer)
	o.attend(e.Peer)
}

// attend sees to it that no end of a connection is missed: whoever is in use has one,
// or is dialled.
func (o *Overlay) attend(p peer.ID) {
	if o.host.Network().Connectedness(p) != network.Connected && (o.dht.RoutingTable().Find(p) != "" || o.routes.leadTo(p)) {
		o.spawn(func() { o.redial(p) })
	}
}

// redial asks a lost contact once whether it is still there, and evicts it if
// not: Kademlia alone would keep a dead one for long, since membership does not
// depend on connections.
func (o *Overlay) redial(p peer.ID) {
	select {
	case o.redials <- struct{}{}:
		defer func() { <-o.redials }()
	case <-o.ctx.Done():
		return
	}
	ctx, cancel := dialContext(o.ctx, rpcTimeout)
	defer cancel()
	if err := o.host.Connect(ctx, o.host.Peerstore().PeerInfo(p)); err != nil && o.ctx.Err() == nil {
		o.evict(p)
	}
}

// doubt evicts a peer that has kept silent on a stream unless it answers a look-up: one
// stream that hangs makes nobody dead, and all would have to do without it.
func (o *Overlay) doubt(p peer.ID) {
	o.spawn(func() { o.ask(o.ctx, p, o.self) })
}

// evict forgets a peer that did not answer.
func (o *Overlay) evict(p peer.ID) {
	o.count.evicted.Add(1)
	o.forget(p)
}

// forget takes a peer out of everything. It is not believed to be alive, whatever
// others say, until it connects or some time has passed.
func (o *Overlay) forget(p peer.ID) {
	o.dead.add(p)
	o.dht.RoutingTable().RemovePeer(p)
	o.routes.dropPeer(p)
	o.changes.note(change{p, silent}) // it may have been in routes only, and not in the table
}

// graveyard holds the peers that failed lately.
type graveyard struct {
	mu    sync.Mutex
	until map[peer.ID]time.Time
}

const (
	deadTime = 30 * time.Second
	maxDead  = 1024
)

func (g *graveyard) add(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.until) >= maxDead {
		for other, until := range g.until {
			if now.After(until) || len(g.until) >= maxDead {
				delete(g.until, other)
			}
		}
	}
	if g.until == nil {
		g.until = map[peer.ID]time.Time{}
	}
	g.until[p] = now.Add(deadTime)
}

func (g *graveyard) remove(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.until, p)
}

func (g *graveyard) has(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.until[p])
}

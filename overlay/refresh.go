package overlay

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
)

const (
	// When the table has changed, this node looks for its neighbours, soon and then more
	// and more seldom. All buckets are refreshed when nothing has changed for long, for
	// that costs some 100 questions and a quarter of a megabyte at N = 100.
	firstRefresh = time.Minute
	lastRefresh  = 4 * time.Hour
	// lookEvery is how often the table is looked at, which costs nothing, and
	// glanceEvery how many looks there are to a glance, which costs one request.
	lookEvery   = time.Minute
	glanceEvery = 5
	maxMet      = 3 // at one glance
)

// refresh keeps the table complete where connections alone would not: after
// partitions, and where many have come and gone at once.
func (o *Overlay) refresh() {
	wait, last := firstRefresh, time.Now()
	known := o.contacts()
	for look := 1; ; look++ {
		select {
		case <-time.After(lookEvery*3/4 + rand.N(lookEvery/2)): // spread, so that nodes started together do not move in step
		case <-o.ctx.Done():
			return
		}
		found := look%glanceEvery == 0 && o.glance()
		if now := o.contacts(); found || !slices.Equal(known, now) {
			known, wait = now, firstRefresh
		}
		if time.Since(last) < wait {
			continue
		}
		if wait < lastRefresh {
			o.dht.RefreshRoutingTable()
		} else {
			o.dht.ForceRefresh()
		}
		wait, last = min(4*wait, lastRefresh), time.Now()
	}
}

// contacts are those in the table, in order.
func (o *Overlay) contacts() []peer.ID {
	all := o.dht.RoutingTable().ListPeers()
	slices.Sort(all)
	return all
}

// glance asks one contact by chance who is near to this node, rather one without a
// connection, which may be gone unnoticed. It meets some of those for whom the table
// has room, and reports whether one of them is alive: who only names others makes
// nobody refresh.
func (o *Overlay) glance() (found bool) {
	all := o.contacts()
	if len(all) == 0 {
		return false
	}
	to := all[rand.IntN(len(all))]
	apart := slices.DeleteFunc(all, func(p peer.ID) bool { return o.host.Network().Connectedness(p) == network.Connected })
	if len(apart) > 0 {
		to = apart[rand.IntN(len(apart))]
	}
	ctx, cancel := dialContext(o.ctx, rpcTimeout)
	near, err := o.kad.GetClosestPeers(ctx, to, o.host.ID())
	cancel()
	if err != nil && o.ctx.Err() == nil {
		o.evict(to)
	}
	lacking := slices.DeleteFunc(o.learn(near, peerstore.TempAddrTTL), func(p peer.ID) bool { return !o.dht.RoutingTable().UsefulNewPeer(p) })
	for _, p := range lacking[:min(len(lacking), maxMet)] {
		ctx, cancel := dialContext(o.ctx, rpcTimeout)
		found = o.host.Connect(ctx, peer.AddrInfo{ID: p}) == nil || found
		cancel()
	}
	return found
}

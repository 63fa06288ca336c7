package overlay

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/overlay/kademlia"
)

const (
	maxLost  = 256
	lostTime = 24 * time.Hour
	// firstSought is how many lost members are tried at a time as a rule: who is gone
	// for good costs a day of that, at two dials in ten seconds less than 200 KB an hour.
	firstSought = 2
	maxSought   = 32
)

// lost remembers members that have left the table, with the addresses they had. The
// halves of a partition forget each other within seconds, and have full tables
// without: but for this they would stay apart when it ends.
type lost struct {
	mu   sync.Mutex
	by   map[peer.ID]missing
	back chan struct{} // holds one when a lost member has connected
}

type missing struct {
	info  peer.AddrInfo
	since time.Time
}

func (l *lost) init() {
	l.by = map[peer.ID]missing{}
	l.back = make(chan struct{}, 1)
}

// add makes room by forgetting any other.
func (l *lost) add(info peer.AddrInfo, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.by[info.ID]; !known && len(l.by) >= maxLost {
		for other := range l.by {
			delete(l.by, other)
			break
		}
	}
	l.by[info.ID] = missing{info, now}
}

// found forgets a member that is there again.
func (l *lost) found(p peer.ID) {
	l.mu.Lock()
	_, was := l.by[p]
	delete(l.by, p)
	l.mu.Unlock()
	if was {
		signal(l.back)
	}
}

// some picks up to n by chance, and forgets those that were lost too long ago.
func (l *lost) some(n int, now time.Time) (picked []peer.AddrInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, m := range l.by {
		if now.Sub(m.since) > lostTime {
			delete(l.by, p)
			continue
		}
		picked = append(picked, m.info)
	}
	rand.Shuffle(len(picked), func(i, j int) { picked[i], picked[j] = picked[j], picked[i] })
	return picked[:min(n, len(picked))]
}

// lose is told who has left the table. Who was expelled is not missed, nor who has only
// made room for another, as kad-dht has those do that it met first: its bucket is full.
func (o *Overlay) lose(p peer.ID) {
	if o.dht.RoutingTable().NPeersForCpl(uint(o.self.PrefixLen(placeOf(p)))) >= kademlia.K {
		return
	}
	addrs := usable(o.host.Peerstore().Addrs(p), o.private)
	if len(addrs) == 0 || !o.admitted(p) {
		return
	}
	o.lost.add(peer.AddrInfo{ID: p, Addrs: slices.Clone(addrs[:min(len(addrs), maxAddrs)])}, time.Now())
}

// seek tries some lost members, and twice as many as long as any of them is back: who
// restarts comes alone, and behind the end of a partition are all. It returns how many
// are back.
func (o *Overlay) seek() (back int) {
	for n := firstSought; ; n = min(2*n, maxSought) {
		var all sync.WaitGroup
		var met atomic.Int64
		for _, info := range o.lost.some(n, time.Now()) {
			all.Go(func() {
				if o.admitted(info.ID) && o.greet(info) == "" {
					o.lost.found(info.ID) // also where it was connected all the time
					met.Add(1)
				}
			})
		}
		all.Wait()
		if met.Load() == 0 || o.ctx.Err() != nil {
			return back
		}
		back += int(met.Load())
	}
}

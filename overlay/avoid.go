package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// avoidTime is how long a collector that was busy, or slow, gets no reports.
	avoidTime = 30 * time.Second
	// patience is how long one report waits for one collector. It is shorter than
	// rpcTimeout, after which a stream on which nothing is acknowledged is given up:
	// some acknowledge slowly, and all that is under way would wait for them.
	patience   = 1500 * time.Millisecond
	maxAvoided = 1024
)

// avoided are the collectors that are passed over for a while. Who is busy said
// so and would say it again; who is slow may be the last one there is.
type avoided struct {
	mu sync.Mutex
	of map[peer.ID]avoidance
}

type avoidance struct {
	until time.Time
	busy  bool
}

// add says whether the peer was not avoided before.
func (a *avoided) add(p peer.ID, busy bool) (began bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	began = !now.Before(a.of[p].until)
	if len(a.of) >= maxAvoided {
		for other, it := range a.of {
			if now.After(it.until) || len(a.of) >= maxAvoided {
				delete(a.of, other)
			}
		}
	}
	if a.of == nil {
		a.of = map[peer.ID]avoidance{}
	}
	a.of[p] = avoidance{now.Add(avoidTime), busy}
	return began
}

// left is how long the peer is still to be avoided.
func (a *avoided) left(p peer.ID) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Until(a.of[p].until)
}

// has says whether a peer is to be passed over, and whether because it is busy.
func (a *avoided) has(p peer.ID) (avoid, busy bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	it, ok := a.of[p]
	if !ok || !time.Now().Before(it.until) {
		return false, false
	}
	return true, it.busy
}

// pass has a peer passed over for a while. When that is over it counts as one that
// has come: it gets what it was not told.
func (o *Overlay) pass(p peer.ID, busy bool) {
	if !o.avoid.add(p, busy) {
		return
	}
	o.spawn(func() {
		for left := avoidTime; left > 0; left = o.avoid.left(p) {
			select {
			case <-time.After(left):
			case <-o.ctx.Done():
				return
			}
		}
		o.changes.note(change{p, came})
	})
}

// reluctant says whether a peer is to be passed over, and whether it would take a
// report where there is nobody else.
func (o *Overlay) reluctant(p peer.ID) (reluctant, lastResort bool) {
	if o.capacityOf(p) == None {
		return true, false
	}
	avoid, busy := o.avoid.has(p)
	return avoid, avoid && !busy
}

// willing picks the r that are to get a report among the wanted, most wanted
// first, and says how many it found reluctant: others, who have not met them so,
// take these for collectors.
func (o *Overlay) willing(wanted []peer.ID, r int) (taken []peer.ID, passed int) {
	var last []peer.ID
	for _, p := range wanted {
		reluctant, lastResort := o.reluctant(p)
		switch {
		case reluctant:
			passed++
			if lastResort {
				last = append(last, p)
			}
		case len(taken) < r:
			taken = append(taken, p)
		}
	}
	return append(taken, last[:min(r-len(taken), len(last))]...), passed
}

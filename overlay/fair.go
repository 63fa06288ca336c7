package overlay

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

// Rate is how much a peer may send of one kind: Burst at once, and Limit a
// second from then on. What comes faster waits in the peer's own stream, whose
// window bounds it; nothing is dropped, and nobody else waits.
type Rate struct {
	Limit rate.Limit // rate.Inf: as much as it likes
	Burst int        // at least 1
}

var (
	reportRate = Rate{2000, 4000}
	frameRate  = Rate{500, 1000}
)

// or returns the default for a rate that was not given.
func (r Rate) or(otherwise Rate) Rate {
	if r == (Rate{}) {
		return otherwise
	}
	return r
}

// guests are the peers that have streams of one protocol open here, or had them
// a moment ago: a peer that opens a new stream gets no new allowance with it.
type guests struct {
	most int // streams of one peer
	rate Rate

	mu sync.Mutex
	by map[peer.ID]*guest
}

type guest struct {
	streams int // guarded by guests.mu
	bucket  *rate.Limiter
}

func newGuests(most int, r Rate) guests {
	return guests{most: most, rate: r, by: map[peer.ID]*guest{}}
}

// enter lets a stream in, or returns nil when its peer has too many.
func (g *guests) enter(p peer.ID) *guest {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.by[p]
	if at == nil {
		g.sweep()
		at = &guest{bucket: rate.NewLimiter(g.rate.Limit, g.rate.Burst)}
		g.by[p] = at
	}
	if at.streams == g.most {
		return nil
	}
	at.streams++
	return at
}

func (g *guests) leave(p peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.by[p].streams--
}

// sweep forgets who has left and whose bucket is full again, and so like a new
// one. At the latest a new guest does so; buckets fill in seconds, so no more are
// kept than there were guests in these.
func (g *guests) sweep() {
	for p, at := range g.by {
		if at.streams == 0 && at.bucket.Tokens() >= float64(g.rate.Burst) {
			delete(g.by, p)
		}
	}
}

package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// silenceTime is for how long a silence is remembered: a second one after that
	// is a first one.
	silenceTime = 30 * time.Second
	maxSilent   = 1024
)

// silences are the peers that have not answered the last time. Where messages get
// lost, a node that evicted everybody for one of them would soon know nobody. Each
// protocol is by itself: who answers look-ups only must not stay for that.
type silences struct {
	mu    sync.Mutex
	until map[silence]time.Time
}

type silence struct {
	peer  peer.ID
	proto protocol.ID
}

// again notes a silence, and reports whether it is the second in a row. Where too
// many are silent, it is taken for the second.
func (s *silences) again(p silence, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.until[p]) {
		delete(s.until, p)
		return true
	}
	if len(s.until) >= maxSilent {
		for other, until := range s.until {
			if !now.Before(until) {
				delete(s.until, other)
			}
		}
		if len(s.until) >= maxSilent {
			return true
		}
	}
	if s.until == nil {
		s.until = map[silence]time.Time{}
	}
	s.until[p] = now.Add(silenceTime)
	return false
}

func (s *silences) over(p silence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, p)
}

// answered and unanswered say what came of a call. Who is silent is evicted: at once if
// no connection is left, and otherwise when it does not answer the next time either.
func (o *Overlay) answered(p peer.ID, proto protocol.ID) { o.silent.over(silence{p, proto}) }

func (o *Overlay) unanswered(p peer.ID, proto protocol.ID) {
	if o.host.Network().Connectedness(p) != network.Connected || o.silent.again(silence{p, proto}, time.Now()) {
		o.evict(p)
	}
}

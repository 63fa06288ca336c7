package virtual

import (
	"math/rand/v2"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// loss makes messages vanish: what a product writes into a stream at once, be it a
// request, a reply or several of them together, is gone as if it had been sent,
// and the stream goes on. That is harsher than what loss of packets does to TCP,
// which sends again. What hosts do by themselves, as identify, loses nothing.
type loss struct {
	mu      sync.Mutex
	dice    *rand.Rand
	percent int
	sent    int
	lost    int
}

// set says how many messages of a hundred are lost from now on.
func (l *loss) set(percent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.percent = percent
}

// strikes throws the dice for one message.
func (l *loss) strikes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if l.dice.IntN(100) >= l.percent {
		return false
	}
	l.lost++
	return true
}

// on returns the host with the loss on all that it sends.
func (l *loss) on(h host.Host) host.Host { return wrappedHost{h, l.stream} }

func (l *loss) stream(s network.Stream) network.Stream { return lossyStream{s, l} }

type lossyStream struct {
	network.Stream
	loss *loss
}

func (s lossyStream) Write(p []byte) (int, error) {
	if s.loss.strikes() {
		return len(p), nil
	}
	return s.Stream.Write(p)
}

package virtual

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// meter counts what the products write into streams, by protocol, and what it
// becomes on a wire: the network in memory has no multiplexer and no encryption.
// libp2p's identify, which goes by no product's hand, speaks when a connection is
// made and is not among it.
type meter struct {
	mu sync.Mutex
	by map[protocol.ID]*spent
}

// spent is what one protocol has cost all nodes together.
type spent struct{ streams, writes, bytes int }

const (
	// What goes through Noise as one message is longer by a length and a tag, and a
	// frame of yamux by its header.
	frameCost = 2 + 16 + 12
	// A stream is opened and closed from both ends, and each end's window is told.
	framesOfStream = 6
	// Both ends say "/multistream/1.0.0" and the protocol, each with a length and a
	// newline.
	negotiation = 2 * (len("/multistream/1.0.0") + 2 + 2)
)

// wire is how many bytes that is on the wire, TCP's and IP's headers aside.
func (s spent) wire(p protocol.ID) int {
	return s.bytes + s.writes*frameCost + s.streams*(framesOfStream*frameCost+negotiation+2*len(p))
}

func (m *meter) on(h host.Host) host.Host { return wrappedHost{h, m.stream} }

// stream meters a stream, which counts once, for the side that opens it.
func (m *meter) stream(s network.Stream) network.Stream {
	if s.Stat().Direction == network.DirOutbound {
		m.count(s.Protocol(), 1, 0, 0)
	}
	return meteredStream{s, m}
}

// count is for one stream more (or none) and some writes into one.
func (m *meter) count(p protocol.ID, streams, writes, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.by[p]
	if s == nil {
		s = new(spent)
		if m.by == nil {
			m.by = map[protocol.ID]*spent{}
		}
		m.by[p] = s
	}
	s.streams, s.writes, s.bytes = s.streams+streams, s.writes+writes, s.bytes+bytes
}

// reset returns what has been counted and begins anew.
func (m *meter) reset() map[protocol.ID]spent {
	m.mu.Lock()
	defer m.mu.Unlock()
	counted := map[protocol.ID]spent{}
	for p, s := range m.by {
		counted[p] = *s
	}
	m.by = nil
	return counted
}

// table shows what the protocols cost each of some nodes.
func table(counted map[protocol.ID]spent, nodes int) string {
	var b strings.Builder
	b.WriteString("| protocol | streams | messages | KiB on the wire |\n| --- | ---: | ---: | ---: |\n")
	for _, p := range slices.Sorted(maps.Keys(counted)) {
		s, n := counted[p], float64(nodes)
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.1f |\n", p, float64(s.streams)/n, float64(s.writes)/n, float64(s.wire(p))/n/1024)
	}
	return b.String()
}

type meteredStream struct {
	network.Stream
	meter *meter
}

func (s meteredStream) Write(p []byte) (int, error) {
	s.meter.count(s.Protocol(), 0, 1, len(p))
	return s.Stream.Write(p)
}

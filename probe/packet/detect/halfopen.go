package detect

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/komondor/komondor/probe/packet"
)

// forgotten is after how long a half-open connection is over at its server as well,
// which has repeated its answer five times by then (Linux, tcp_synack_retries).
const forgotten = 2 * time.Minute

// HalfOpen remembers the connections that leave this host and are not completed: what a
// SYN flood is made of, whichever source its packets bear. The newest 4 MiB of them are
// kept, some 40,000, which is more than servers keep open. It only looks at packets that
// are marked as outgoing, as those of live captures are, and at refusals. It may be asked
// while it is shown packets.
type HalfOpen struct {
	mu    sync.Mutex
	calls *table[flowKey, call]
}

// call is a connection that was begun.
type call struct {
	begun     int64 // nanoseconds since 1970, by the packet
	isn       uint32
	clientLow bool
}

// Call is a half-open connection: the client's first number is ISN.
type Call struct {
	Client, Server netip.AddrPort
	ISN            uint32
	Begun          time.Time
}

// NewHalfOpen takes all memory that it will need.
func NewHalfOpen() *HalfOpen {
	return &HalfOpen{calls: sized[flowKey, call](4<<20, rand.Uint64())}
}

// Packet looks at the next packet.
func (h *HalfOpen) Packet(p *packet.Packet) {
	if p.Protocol != packet.TCP || p.Fragment || p.Tunnel || !p.Outgoing && p.Flags&packet.RST == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	begins := p.Outgoing && p.Flags&(packet.SYN|packet.ACK|packet.RST|packet.FIN) == packet.SYN
	if !begins && h.calls.size == 0 {
		return
	}
	k, low := keyOf(hostOf(p.Source), hostOf(p.Target), p.SourcePort, p.TargetPort, packet.TCP)
	place := h.calls.find(k)
	switch {
	case begins && place == 0:
		*h.calls.value(h.calls.add(k, passing)) = call{p.Time, p.Sequence, low}
	case begins:
		if c := h.calls.value(place); c.isn != p.Sequence || c.clientLow != low { // not said once more
			h.calls.renew(place, passing)
			*c = call{p.Time, p.Sequence, low}
		}
	case place != 0 && h.calls.value(place).ends(p, low):
		h.calls.remove(place)
	}
}

// ends tells whether a packet shows that the call is half-open no more: its client has
// answered the server, or given up; or the server has refused it.
func (c *call) ends(p *packet.Packet, low bool) bool {
	if low == c.clientLow {
		return p.Outgoing && p.Flags&packet.SYN == 0
	}
	return p.Flags&packet.RST != 0 && p.Ack == c.isn+1
}

// To returns the connections to a server that are half-open now, the oldest first; where
// its port is 0, to any port.
func (h *HalfOpen) To(server netip.AddrPort, now time.Time) (open []Call) {
	target := hostOf(server.Addr())
	h.mu.Lock()
	defer h.mu.Unlock()
	for place := h.calls.oldest(passing); place != 0; place = h.calls.oldest(passing) {
		if now.UnixNano()-h.calls.value(place).begun <= int64(forgotten) {
			break
		}
		h.calls.remove(place)
	}
	for place := h.calls.oldest(passing); place != 0; place = h.calls.slots[place].newer {
		c := h.calls.value(place)
		client, called, clientPort, port := h.calls.key(place).ends(c.clientLow)
		if called == target && (server.Port() == 0 || server.Port() == port) {
			open = append(open, Call{netip.AddrPortFrom(client.addr(), clientPort), netip.AddrPortFrom(called.addr(), port), c.isn, time.Unix(0, c.begun)})
		}
	}
	return open
}

package overlay

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Admission says who is a member. Hello, Welcome and Meet are called during a
// handshake, Admitted for every stream and Standing for every collector that is
// chosen; all of them concurrently, and none may wait for the network. What is
// shown is at most 8 KiB.
type Admission interface {
	// Hello is what this node shows of itself when it connects.
	Hello() []byte
	// Welcome judges what somebody has shown who connects to this node and has
	// proved to hold the key of the ID. Admitted: the reply is what this node
	// shows of itself. Not admitted: the reply is handed over and the connection
	// ends, which is how an invitation is redeemed. An error: there is no reply.
	Welcome(from peer.ID, said []byte) (reply []byte, admitted bool, err error)
	// Meet judges the reply of a member that this node has connected to.
	Meet(from peer.ID, said []byte) error
	// Admitted says whether the peer is a known member now.
	Admitted(peer.ID) bool
	// Standing says for which organisation a known member speaks, and whether
	// it is to collect reports at all: its Capacity says how many. It is asked about
	// this node, too.
	Standing(peer.ID) (organisation string, collects bool)
}

// admitted says whether the peer may take part.
func (o *Overlay) admitted(p peer.ID) bool { return o.admission == nil || o.admission.Admitted(p) }

// promising says whether a peer that somebody has named is worth a connection:
// where there is a handshake, that decides about those who are not known yet.
func (o *Overlay) promising(p peer.ID) bool { return o.ownHost || o.admitted(p) }

// member is what placement at a target needs to know about a peer. One that this
// node has not met counts as a member that collects and belongs to nobody else,
// until it is known better.
func (o *Overlay) member(p peer.ID, target place) (m member, known bool) {
	m = member{ID: p, Collects: true}
	switch {
	case o.admission == nil:
	case p != o.host.ID() && !o.admission.Admitted(p):
		return m, false
	default:
		m.Organisation, m.Collects = o.admission.Standing(p)
	}
	if c := o.capacityOf(p); c != Full { // else its place need not be worked out
		m.Collects = m.Collects && c.serves(target, placeOf(p))
	}
	return m, true
}

// Expel ends the connections with all who are no longer admitted, forgets them,
// and returns how many they were. Their frames are refused from the moment that
// Admitted says so; Expel is to be called then, and now and again because
// certificates expire.
func (o *Overlay) Expel() int {
	if o.admission == nil {
		return 0
	}
	seen := map[peer.ID]bool{}
	expelled := 0
	for _, p := range append(o.dht.RoutingTable().ListPeers(), o.host.Network().Peers()...) {
		if seen[p] || o.admission.Admitted(p) {
			continue
		}
		seen[p] = true
		expelled++
		o.forget(p) // first: a lost contact would be dialled again
		_ = o.host.Network().ClosePeer(p)
	}
	return expelled
}

// memberHost is a host that has streams with members only. The handshake keeps
// others out before; this holds where a host was given that has none, and when a
// member has been expelled a moment ago.
type memberHost struct {
	host.Host
	admission Admission
}

// SetStreamHandler is also what kad-dht calls.
func (h memberHost) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(stream network.Stream) {
		if !h.admission.Admitted(stream.Conn().RemotePeer()) {
			stream.Reset()
			return
		}
		handle(stream)
	})
}

// NewStream asks after it has connected, because only then a member is known.
func (h memberHost) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	stream, err := h.Host.NewStream(ctx, p, protocols...)
	if err == nil && !h.admission.Admitted(p) {
		stream.Reset()
		return nil, fmt.Errorf("%s is no member of this federation, or no longer", p)
	}
	return stream, err
}

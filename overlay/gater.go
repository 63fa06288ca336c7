package overlay

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// gater keeps a node from dialling into its own site because a stranger said so,
// and connections with those who are not admitted, should the handshake have let
// one through that was expelled meanwhile.
type gater struct {
	private   bool
	admission Admission
	refused   *atomic.Uint64
}

func (g gater) InterceptPeerDial(peer.ID) bool { return true }

func (g gater) InterceptAddrDial(_ peer.ID, a multiaddr.Multiaddr) bool {
	return g.private || public(a)
}

// InterceptAccept gives a TCP connection until the deadline to say which
// protocol it wants, where libp2p would hold a place for it three times as long;
// Noise then sets a deadline of its own, and lifts it.
func (g gater) InterceptAccept(conn network.ConnMultiaddrs) bool {
	if c, ok := conn.(interface{ SetDeadline(time.Time) error }); ok {
		return c.SetDeadline(time.Now().Add(handshakeTimeout)) == nil
	}
	return true
}

func (g gater) InterceptSecured(direction network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	if g.admission == nil || g.admission.Admitted(p) {
		return true
	}
	if direction == network.DirInbound {
		g.refused.Add(1)
	}
	return false
}

func (g gater) InterceptUpgraded(conn network.Conn) (bool, control.DisconnectReason) {
	return g.InterceptSecured(conn.Stat().Direction, conn.RemotePeer(), conn), 0
}

package overlay

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// sharedNet is what providers use behind carrier-grade NAT (RFC 6598).
var sharedNet = netip.MustParsePrefix("100.64.0.0/10")

// public reports whether the address can be reached from the Internet.
// Documentation ranges count as public, so that labs can use them. A name is
// judged when it has been resolved.
func public(a multiaddr.Multiaddr) bool {
	ip, err := manet.ToIP(a)
	if err != nil {
		return true
	}
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	return ok && addr.IsGlobalUnicast() && !addr.IsPrivate() && !sharedNet.Contains(addr)
}

// usable returns the addresses worth announcing, keeping and dialling.
func usable(addrs []multiaddr.Multiaddr, private bool) []multiaddr.Multiaddr {
	if private {
		return addrs
	}
	return multiaddr.FilterAddrs(addrs, public)
}

// gater keeps a node from dialling into its own site because a stranger said so.
type gater struct{ private bool }

func (g gater) InterceptAddrDial(_ peer.ID, a multiaddr.Multiaddr) bool {
	return g.private || public(a)
}
func (gater) InterceptPeerDial(peer.ID) bool              { return true }
func (gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }
func (gater) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool {
	return true
}
func (gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }

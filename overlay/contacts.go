package overlay

import (
	"net"
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	kb "github.com/libp2p/go-libp2p-kbucket"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Contacts returns up to n members of the table with the addresses they have, the
// nearest first: what a node remembers in order to find back after a restart,
// when those that it first joined by may be gone.
func (o *Overlay) Contacts(n int) []peer.AddrInfo {
	var contacts []peer.AddrInfo
	for _, id := range o.dht.RoutingTable().NearestPeers(kb.ConvertPeerID(o.host.ID()), n) {
		if info := o.host.Peerstore().PeerInfo(id); len(info.Addrs) > 0 {
			contacts = append(contacts, info)
		}
	}
	return contacts
}

// Endpoints are the TCP addresses on which the members of the table say that
// they listen: what the firewall exempts so that the overlay itself is never
// blocked. A member can name few, and none that no node would dial.
func (o *Overlay) Endpoints() []netip.AddrPort {
	var endpoints []netip.AddrPort
	for _, id := range o.dht.RoutingTable().ListPeers() {
		if !o.admitted(id) {
			continue
		}
		all := usable(o.host.Peerstore().Addrs(id), o.private)
		for _, a := range all[:min(len(all), maxAddrs)] {
			if at, err := manet.ToNetAddr(a); err == nil {
				if tcp, ok := at.(*net.TCPAddr); ok {
					at := tcp.AddrPort()
					endpoints = append(endpoints, netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()))
				}
			}
		}
	}
	slices.SortFunc(endpoints, netip.AddrPort.Compare)
	return slices.Compact(endpoints)
}

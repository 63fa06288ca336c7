package overlay

import (
	"github.com/libp2p/go-libp2p/core/peer"

	kb "github.com/libp2p/go-libp2p-kbucket"
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

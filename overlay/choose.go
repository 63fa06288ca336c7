package overlay

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/overlay/kademlia"
)

type (
	place  = kademlia.Place
	member = kademlia.Member[peer.ID]
)

func placeOf(p peer.ID) place       { return kademlia.Of([]byte(p)) }
func placeOfKey(key [32]byte) place { return kademlia.Of(key[:]) }

// newQuery starts a lookup by this node, which knows nobody else yet.
func (o *Overlay) newQuery(target place, r int) *kademlia.Query[peer.ID] {
	q := kademlia.NewQuery(placeOf, func(p peer.ID) (member, bool) { return o.member(p, target) })
	q.Start(target, o.host.ID(), r)
	return q
}

// choose returns the r collectors that are wanted most among some members and
// this node.
func (o *Overlay) choose(target place, r int, among []peer.ID) []peer.ID {
	q := o.newQuery(target, r)
	for _, p := range among {
		q.Add(p)
	}
	return q.Collectors()
}

// wanted returns the n members of the table nearest to the target, and this
// node, in the order in which they are wanted there as collectors.
func (o *Overlay) wanted(target place, n int) []peer.ID {
	own, _ := o.member(o.host.ID(), target)
	var near []member
	for _, p := range o.dht.RoutingTable().NearestPeers(target[:], n) {
		if m, known := o.member(p, target); known { // not one that is about to be expelled
			near = append(near, m)
		}
	}
	at, _ := slices.BinarySearchFunc(near, o.self.Distance(target), func(m member, d place) int {
		return placeOf(m.ID).Distance(target).Compare(d)
	})
	return kademlia.Prefer(slices.Insert(near, at, own))
}

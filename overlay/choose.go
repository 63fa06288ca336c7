package overlay

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// window is how many members around a key are considered as its collectors.
	// An answer to a lookup names so many, so that everybody near the key knows
	// the same; with a wider one, two members would choose by what each of them
	// happens to know of the far side of the network.
	window = bucketSize
	// maxOfOne is how many of the collectors belong to one organisation, where
	// there are enough others in the window.
	maxOfOne = 2
)

// member is a peer as placement sees it.
type member struct {
	id           peer.ID
	organisation string // empty: one of its own
	collects     bool
}

// prefer puts members, given by their distance from a key, in the order in which
// they are wanted as its collectors; the r collectors are the first r of it.
//
// First come those that collect, the nearest first but two of an organisation at
// most, then those that this rule passed over; then those that do not collect,
// in the same way, and last whoever is beyond the window. A member that should
// not collect is slow, or new and perhaps here for this very key; a third of one
// organisation is merely one more who may fail with the others: so whether it
// collects comes before whose it is.
func prefer(near []member) []peer.ID {
	inside, beyond := near[:min(window, len(near))], near[min(window, len(near)):]
	order := make([]peer.ID, 0, len(near))
	of := map[string]int{}
	for _, collects := range []bool{true, false} {
		var crowd []peer.ID
		for _, m := range inside {
			switch {
			case m.collects != collects:
			case m.organisation != "" && of[m.organisation] == maxOfOne:
				crowd = append(crowd, m.id)
			default:
				of[m.organisation]++
				order = append(order, m.id)
			}
		}
		order = append(order, crowd...)
	}
	for _, m := range beyond {
		order = append(order, m.id)
	}
	return order
}

// wanted returns the n members of the table nearest to the target, and this
// node, in the order in which they are wanted there as collectors.
func (o *Overlay) wanted(target place, n int) []peer.ID {
	own, _ := o.member(o.host.ID())
	var near []member
	for _, p := range o.dht.RoutingTable().NearestPeers(target[:], n) {
		if m, known := o.member(p); known { // not one that is about to be expelled
			near = append(near, m)
		}
	}
	at, _ := slices.BinarySearchFunc(near, o.self.distance(target), func(m member, d place) int {
		at := placeOf(m.id).distance(target)
		return slices.Compare(at[:], d[:])
	})
	return prefer(slices.Insert(near, at, own))
}

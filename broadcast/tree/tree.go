// Package tree decides who tells whom in the pseudo reliable broadcast over a
// Kademlia tree (Czirkos, Bognár, Hosszú: reference 21 of paper 002). It has no
// clock, no network and no goroutine, so that the product and a simulation of a
// million nodes decide alike.
//
// A node that has a payload with depth d answers for its buckets from d on: it
// tells some contacts of each, and they answer for the part of the tree that
// their bucket is.
package tree

import "math/rand/v2"

// Depth bounds the buckets of a node; a frame of this depth asks for no forwarding.
const Depth = 255

// Replicas is to how many contacts of each bucket a payload goes. One would do
// where nothing is lost, and a delegate that takes a payload and dies takes a
// subtree with it; with two, both must.
const Replicas = 2

// Share is what a node has yet to serve of one payload's tree. Copies of a payload
// come with different depths, and a smaller one asks for more. The zero value has
// served nothing.
type Share struct{ served uint8 } // Depth less the bucket from which on it is served

// Claim returns the buckets [from, to) that a copy of the payload with the depth
// asks for beyond those that are served, and counts them as served: from is not
// below to when there are none. First tells whether nothing had been served.
func (s *Share) Claim(depth int) (from, to int, first bool) {
	from, to, first = max(depth, 0), Depth-int(s.served), s.served == 0
	if from < to {
		s.served = uint8(Depth - from)
	}
	return from, to, first
}

// Below is the depth that a contact in the bucket answers from: it shares bucket
// bits with this node and differs in the one after.
func Below(bucket int) int { return min(bucket+1, Depth) }

// Delegates puts the contacts of a bucket in the order in which they are tried, by
// chance, and says to how many of them the payload goes. Who does not acknowledge
// is replaced by the next in order. The slice is shuffled in place.
func Delegates[C any](r *rand.Rand, contacts []C, replicas int) (n int) {
	swap := func(i, j int) { contacts[i], contacts[j] = contacts[j], contacts[i] }
	if r == nil {
		rand.Shuffle(len(contacts), swap)
	} else {
		r.Shuffle(len(contacts), swap)
	}
	return min(replicas, len(contacts))
}

package paper

import (
	"math/rand/v2"
	"slices"
)

// Chord is a ring of nodes with complete finger tables (Stoica and others 2001),
// at rest: nobody joins, leaves or fails. Places are 64-bit instead of 160-bit,
// which makes no difference to routing as long as no two nodes share one.
type Chord struct {
	places  []uint64 // of the nodes, ascending
	fingers [][]int32
}

// NewChord returns a ring of n nodes, at least 1, in random places.
func NewChord(n int, chance *rand.Rand) *Chord {
	places := randomPlaces(n, chance)
	c := &Chord{places: places, fingers: make([][]int32, n)}
	for i, place := range places {
		// Finger i is the successor of the place 2^i ahead. The near ones are
		// the same node over and over, which one entry says as well.
		var distinct []int32
		for bit := range 64 {
			finger := int32(c.Successor(place + 1<<bit))
			if len(distinct) == 0 || distinct[len(distinct)-1] != finger {
				distinct = append(distinct, finger)
			}
		}
		c.fingers[i] = distinct
	}
	return c
}

// randomPlaces are n different ones, ascending.
func randomPlaces(n int, chance *rand.Rand) []uint64 {
	places := make([]uint64, 0, n)
	for len(places) < n {
		for len(places) < n {
			places = append(places, chance.Uint64())
		}
		slices.Sort(places)
		places = slices.Compact(places)
	}
	return places
}

// Successor is the node that a key belongs to: the first at its place or after.
func (c *Chord) Successor(key uint64) int {
	i, _ := slices.BinarySearch(c.places, key)
	return i % len(c.places)
}

// Route forwards a message recursively from a node to the one that the key
// belongs to. It returns that node and how many messages were sent.
func (c *Chord) Route(from int, key uint64) (owner, messages int) {
	at := from
	if c.between(key, c.predecessor(at), at) {
		return at, 0
	}
	for {
		messages++
		next := int(c.fingers[at][0])
		if c.between(key, at, next) {
			return next, messages
		}
		for _, finger := range slices.Backward(c.fingers[at]) {
			if f := int(finger); f != at && c.places[f]-c.places[at] < key-c.places[at] {
				next = f // the closest that precedes the key
				break
			}
		}
		at = next
	}
}

func (c *Chord) predecessor(i int) int { return (i + len(c.places) - 1) % len(c.places) }

// between reports whether a place lies after node a and not after node b, going
// round the ring; with one node, everything does.
func (c *Chord) between(key uint64, a, b int) bool {
	return a == b || key-c.places[a]-1 < c.places[b]-c.places[a]
}

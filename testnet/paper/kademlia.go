package paper

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/komondor/komondor/overlay/kademlia"
)

// Kademlia is an overlay at rest (Maymounkov and Mazières 2002): each bucket of
// each node holds k members of its subtree, or all where there are fewer. Which
// ones is drawn when somebody asks, and always the same, so tables take no room.
type Kademlia struct {
	places []uint64 // of the nodes, ascending
	k      int
	seed   uint64
}

// NewKademlia returns an overlay of n nodes, at least 1, with buckets of k.
func NewKademlia(n, k int, chance *rand.Rand) *Kademlia {
	return &Kademlia{places: randomPlaces(n, chance), k: k, seed: chance.Uint64()}
}

// bucket appends the contacts of a node whose places share exactly shared leading
// bits with its own.
func (o *Kademlia) bucket(contacts []int32, node int, shared int) []int32 {
	low := (o.places[node] ^ 1<<(63-shared)) &^ (1<<(63-shared) - 1)
	first := sort.Search(len(o.places), func(i int) bool { return o.places[i] >= low })
	size := sort.Search(len(o.places)-first, func(i int) bool { return o.places[first+i]-low >= 1<<(63-shared) })
	if size <= o.k {
		for i := range size {
			contacts = append(contacts, int32(first+i))
		}
		return contacts
	}
	chance := rand.New(rand.NewPCG(o.seed, uint64(node)<<6|uint64(shared)))
	for begin := len(contacts); len(contacts)-begin < o.k; {
		if c := int32(first + chance.IntN(size)); !slices.Contains(contacts[begin:], c) {
			contacts = append(contacts, c)
		}
	}
	return contacts
}

// nearest is what a node answers who is asked for a key: the k nearest to it that
// it knows, itself included, nearest first.
func (o *Kademlia) nearest(node int, key uint64) []int32 {
	// Where key and node part is the bucket of all that is nearer to the key than
	// the node is. What else is near shares more with the node, and the rest is far.
	part := min(bits.LeadingZeros64(o.places[node]^key), 63)
	known := o.bucket([]int32{int32(node)}, node, part)
	for shared := part + 1; shared < 64; shared++ {
		known = o.bucket(known, node, shared)
	}
	for shared := part - 1; shared >= 0 && len(known) < o.k; shared-- {
		known = o.bucket(known, node, shared)
	}
	slices.SortFunc(known, func(a, b int32) int { return cmp.Compare(o.places[a]^key, o.places[b]^key) })
	return known[:min(o.k, len(known))]
}

// Lookup asks node after node for those nearer to a key, always the nearest that
// is known, until the nearest has answered itself. It returns that one and how
// many were asked. The node that looks up asks itself for nothing.
func (o *Kademlia) Lookup(from int, key uint64) (nearest int32, requests int) {
	answered := map[int32]bool{int32(from): true}
	nearest = o.nearest(from, key)[0]
	for !answered[nearest] {
		answered[nearest] = true
		requests++
		nearest = o.nearest(int(nearest), key)[0]
	}
	return nearest, requests
}

// Collectors is the product's lookup of a key's r collectors in the same tables.
// It decides by the product's own lines whom to ask and when it is over.
func (o *Kademlia) Collectors(from int, key uint64, r int) (collectors []int32, requests int) {
	q := kademlia.NewQuery(func(n int32) kademlia.Place { return placeOf(o.places[n]) },
		func(n int32) (kademlia.Member[int32], bool) {
			return kademlia.Member[int32]{ID: n, Collects: true}, true
		})
	q.Start(placeOf(key), int32(from), r)
	for _, n := range o.nearest(from, key) {
		q.Add(n)
	}
	for {
		step, asked := q.Next(false)
		if step == kademlia.Over {
			return q.Collectors(), q.Requests()
		}
		for _, n := range o.nearest(int(asked), key) {
			q.Add(n)
		}
		q.Answered(asked)
	}
}

// placeOf is a place of 64 bits in the product's key space.
func placeOf(place uint64) (at kademlia.Place) {
	binary.BigEndian.PutUint64(at[:], place)
	return at
}

package paper

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
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
// is known, until the sure nearest have answered themselves. It returns the
// nearest nodes and how many were asked. The node that looks up asks itself for
// nothing.
func (o *Kademlia) Lookup(from int, key uint64, sure int) (nearest []int32, requests int) {
	answered := map[int32]bool{int32(from): true}
	nearest = o.nearest(from, key)
	for {
		i := slices.IndexFunc(nearest[:min(sure, len(nearest))], func(n int32) bool { return !answered[n] })
		if i < 0 {
			return nearest, requests
		}
		asked := nearest[i]
		answered[asked] = true
		requests++
		nearest = append(nearest, o.nearest(int(asked), key)...)
		slices.SortFunc(nearest, func(a, b int32) int { return cmp.Compare(o.places[a]^key, o.places[b]^key) })
		nearest = slices.Compact(nearest)
		nearest = nearest[:min(max(o.k, sure), len(nearest))]
	}
}

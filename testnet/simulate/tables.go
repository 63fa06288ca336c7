// Package simulate runs virtual nodes by the thousand and by the million in one
// process. Whom a lookup asks and who collects is decided by overlay/kademlia,
// who tells whom in a broadcast by broadcast/tree and when a report is due by
// correlate.Reporter: the lines that the product runs. The tables are a model of
// kad-dht's, and messages take no time; docs/simulation.md says how it is
// validated. All results depend on the seed only, not on the number of cores.
package simulate

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/komondor/komondor/overlay/kademlia"
)

// Net is a network at rest. Nodes are numbers, in the order of their places.
type Net struct {
	places []kademlia.Place
	// tables hold, for each node and bucket by bucket, the number of contacts and
	// then the contacts. They end where the rest of the tree around the node has
	// no more than K others: those it knows all.
	tables [][]int32
	rest   []span
	dead   []bool // gone, and still in the tables
	living int
}

// span is the nodes from lo up to but without hi.
type span struct{ lo, hi int32 }

func (s span) appendTo(to []int32) []int32 {
	for c := s.lo; c < s.hi; c++ {
		to = append(to, c)
	}
	return to
}

// New makes n nodes at random places, each with a table as kad-dht has it when
// nothing has changed for some refreshes: up to K contacts a bucket, of those that
// there are, any. The dead, a share of them, are in the tables all the same.
func New(n int, dead float64, seed uint64) *Net {
	places := make([]kademlia.Place, n)
	inParallel(n, func(from, to int) {
		for i := from; i < to; i++ {
			places[i] = place(seed, streamPlaces, uint64(i))
		}
	})
	slices.SortFunc(places, kademlia.Place.Compare)
	return at(places, dead, seed)
}

// at makes a network of nodes at places in ascending order.
func at(places []kademlia.Place, dead float64, seed uint64) *Net {
	n := len(places)
	net := &Net{places: places, tables: make([][]int32, n), rest: make([]span, n), dead: make([]bool, n)}
	chance := rand.New(rand.NewPCG(seed, streamDead))
	for i := range net.dead {
		net.dead[i] = chance.Float64() < dead
		if !net.dead[i] {
			net.living++
		}
	}
	if net.living == 0 {
		net.dead[0], net.living = false, 1
	}
	inParallel(n, func(from, to int) {
		var chance rand.PCG
		r := rand.New(&chance)
		for i := from; i < to; i++ {
			chance.Seed(seed^streamTables, uint64(i))
			net.fill(r, int32(i))
		}
	})
	return net
}

// Streams of random numbers that have nothing to do with one another.
const (
	streamPlaces = iota + 1
	streamDead
	streamTables
	streamKeys
	streamLookups
	streamCasts
)

func place(seed, stream, i uint64) kademlia.Place {
	var name [24]byte
	binary.BigEndian.PutUint64(name[:], seed)
	binary.BigEndian.PutUint64(name[8:], stream)
	binary.BigEndian.PutUint64(name[16:], i)
	return kademlia.Of(name[:])
}

// bit is the bit of a place that tells the two halves of a subtree apart.
func bit(p kademlia.Place, depth int) bool { return p[depth/8]&(0x80>>(depth%8)) != 0 }

// split is the two halves of a subtree.
func (net *Net) split(s span, depth int) (low, high span) {
	middle := s.lo + int32(sort.Search(int(s.hi-s.lo), func(i int) bool { return bit(net.places[int(s.lo)+i], depth) }))
	return span{s.lo, middle}, span{middle, s.hi}
}

// halve splits a subtree into the half in which p lies and the other.
func (net *Net) halve(s span, depth int, p kademlia.Place) (with, without span) {
	low, high := net.split(s, depth)
	if bit(p, depth) {
		return high, low
	}
	return low, high
}

func (net *Net) fill(r *rand.Rand, self int32) {
	var table []int32
	around := span{0, int32(len(net.places))}
	for depth := 0; int(around.hi-around.lo) > kademlia.K+1; depth++ {
		var other span
		around, other = net.halve(around, depth, net.places[self])
		table = append(table, min(kademlia.K, other.hi-other.lo))
		table = net.meet(table, r, other, depth+1)
	}
	net.tables[self] = slices.Clip(table)
	net.rest[self] = around
}

// meet appends up to K contacts of a subtree. A table keeps whom it meets first, and
// in a subtree of more nodes than K a node meets strangers, who look for keys near to
// it and may be anywhere there, and, when it refreshes the bucket, the K nearest to one
// key. The strangers come twice, when they look for themselves and when they refresh
// their buckets, and when the node's own look-up is among that is chance: there are as
// many before as in the later of two. So a bucket has many neighbours in it, and those
// who are looked for together are known together, or not at all, more often than in a
// sample.
func (net *Net) meet(table []int32, r *rand.Rand, s span, depth int) []int32 {
	size := int(s.hi - s.lo)
	if size <= kademlia.K {
		return s.appendTo(table)
	}
	first := len(table)
	strangers := max(r.IntN(kademlia.K+1), r.IntN(kademlia.K+1))
	for j := size - strangers; j < size; j++ { // Floyd's sample
		c := s.lo + int32(r.IntN(j+1))
		if slices.Contains(table[first:], c) {
			c = s.lo + int32(j)
		}
		table = append(table, c)
	}
	var room [kademlia.K]int32
	met := net.near(room[:0], r.Uint64(), s, depth, kademlia.K)
	r.Shuffle(len(met), func(i, j int) { met[i], met[j] = met[j], met[i] })
	for _, c := range met {
		if len(table) < first+kademlia.K && !slices.Contains(table[first:], c) {
			table = append(table, c)
		}
	}
	return table
}

// near appends the n nodes of a subtree that are nearest to a key of it, whose
// further bits are given.
func (net *Net) near(to []int32, key uint64, s span, depth, n int) []int32 {
	for ; int(s.hi-s.lo) > n; depth, key = depth+1, key>>1 {
		with, without := net.split(s, depth)
		if key&1 != 0 {
			with, without = without, with
		}
		if s = with; int(with.hi-with.lo) < n {
			to, n, s = with.appendTo(to), n-int(with.hi-with.lo), without
		}
	}
	return s.appendTo(to)
}

// buckets calls f with each bucket that has contacts, in order. What f gets is
// valid until it returns, and its to reorder.
func (net *Net) buckets(self int32, room []int32, f func(bucket int, contacts []int32)) {
	table, depth := net.tables[self], 0
	for ; len(table) > 0; depth++ {
		n := int(table[0])
		if n > 0 {
			f(depth, append(room[:0], table[1:1+n]...))
		}
		table = table[1+n:]
	}
	for around := net.rest[self]; around.hi-around.lo > 1; depth++ {
		var other span
		around, other = net.halve(around, depth, net.places[self])
		room = other.appendTo(room[:0])
		if len(room) > 0 {
			f(depth, room)
		}
	}
}

// nearest appends the n contacts of a node that are nearest to the target.
func (net *Net) nearest(to []int32, self int32, target kademlia.Place, n int) []int32 {
	shared := net.places[self].PrefixLen(target)
	// Nearest are the contacts of the target's own bucket, then all deeper ones,
	// then the shallower ones, the deepest first.
	table, depth := net.tables[self], 0
	var shallow [256]int // where the buckets begin
	for ; len(table) > 0 && depth < shared; depth++ {
		shallow[depth] = len(net.tables[self]) - len(table)
		table = table[1+table[0]:]
	}
	begin := len(to)
	if len(table) > 0 {
		to = append(to, table[1:1+table[0]]...)
		table = table[1+table[0]:]
	}
	if len(to)-begin < n {
		for ; len(table) > 0; table = table[1+table[0]:] {
			to = append(to, table[1:1+table[0]]...)
		}
		for c := net.rest[self].lo; c < net.rest[self].hi; c++ {
			if c != self {
				to = append(to, c)
			}
		}
	}
	for d := depth - 1; d >= 0 && len(to)-begin < n; d-- {
		at := net.tables[self][shallow[d]:]
		to = append(to, at[1:1+at[0]]...)
	}
	if len(to)-begin > n {
		net.byDistance(to[begin:], target)
		to = to[:begin+n]
	}
	return to
}

func (net *Net) byDistance(nodes []int32, target kademlia.Place) {
	slices.SortFunc(nodes, func(a, b int32) int {
		return net.places[a].Distance(target).Compare(net.places[b].Distance(target))
	})
}

// Collectors appends the r living nodes nearest to the target, found by looking at
// all of them: the truth that lookups are measured by.
func (net *Net) Collectors(to []int32, target kademlia.Place, r int) []int32 {
	r = min(r, net.living)
	for want := r; ; want *= 2 {
		begin := len(to)
		around := span{0, int32(len(net.places))}
		for depth := 0; depth < 256; depth++ {
			with, _ := net.halve(around, depth, target)
			if int(with.hi-with.lo) < want {
				break
			}
			around = with
		}
		for c := around.lo; c < around.hi; c++ {
			if !net.dead[c] {
				to = append(to, c)
			}
		}
		if len(to)-begin >= r {
			net.byDistance(to[begin:], target)
			return to[:begin+r]
		}
		to = to[:begin]
	}
}

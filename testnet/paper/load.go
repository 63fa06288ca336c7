package paper

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// Attacker is all that was seen of one source address.
type Attacker struct {
	Addr netip.Addr
	// Place is where its key lies: the first 32 bits of the hash. Paper 002 had
	// node ids and keys of 32 bits.
	Place   uint32
	Events  int
	Reports int // of all probes, to each collector
	Lookups int
	Probes  int // that saw it
}

// Attackers adds up what the probes tell of each source, IPv4 only: the paper's
// address space has no other. V6 counts the events that are left out for that.
func Attackers(rules correlate.Rules, logs []Log) (attackers []Attacker, v6 int) {
	by := make(map[netip.Addr]*Attacker)
	for _, log := range logs {
		for key, t := range Watch(rules, log) {
			if key.Selector != event.BySource || t.Events == 0 {
				continue
			}
			source, err := key.Source()
			if err != nil || !source.Addr().Is4() {
				v6 += t.Events
				continue
			}
			a := by[source.Addr()]
			if a == nil {
				hash := key.Hash(federation, nil)
				a = &Attacker{Addr: source.Addr(), Place: binary.BigEndian.Uint32(hash[:])}
				by[source.Addr()] = a
			}
			a.Events, a.Reports, a.Lookups, a.Probes = a.Events+t.Events, a.Reports+t.Reports, a.Lookups+t.Lookups, a.Probes+1
		}
	}
	for _, a := range by {
		attackers = append(attackers, *a)
	}
	slices.SortFunc(attackers, func(a, b Attacker) int { return a.Addr.Compare(b.Addr) })
	return attackers, v6
}

// events and reports are what an attacker puts on whoever its key belongs to.
func events(a Attacker) float64  { return float64(a.Events) }
func reports(a Attacker) float64 { return float64(a.Reports) }

// address is the attacker's place where nothing is hashed.
func address(a Attacker) uint32 {
	b := a.Addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

func hashed(a Attacker) uint32 { return a.Place }

// Spread says how unevenly a load lies on those who carry it.
type Spread struct {
	Carriers    int     // that carry any
	Idle        int     // that carry none
	Least, Most float64 // of those that carry any
	Mean        float64 // of all
	CV          float64 // the standard deviation of all, by the mean
}

// NewSpread measures loads, none negative.
func NewSpread(loads []float64) Spread {
	s := Spread{}
	for _, load := range loads {
		if load == 0 {
			s.Idle++
			continue
		}
		if s.Carriers++; s.Carriers == 1 || load < s.Least {
			s.Least = load
		}
		s.Most = max(s.Most, load)
		s.Mean += load / float64(len(loads))
	}
	for _, load := range loads {
		s.CV += (load - s.Mean) * (load - s.Mean) / float64(len(loads))
	}
	if s.Mean > 0 {
		s.CV = math.Sqrt(s.CV) / s.Mean
	}
	return s
}

// Magnitude is the paper's measure: the decimal orders between the most and the
// least loaded of those that carry any. Carriers without load do not count for
// it, or it would be infinite.
func (s Spread) Magnitude() float64 {
	if s.Carriers == 0 {
		return 0
	}
	return math.Log10(s.Most / s.Least)
}

// MaxMean is how much more than the average the most loaded carries.
func (s Spread) MaxMean() float64 {
	if s.Mean == 0 {
		return 0
	}
	return s.Most / s.Mean
}

// each is the load of each attacker by itself.
func each(attackers []Attacker, load func(Attacker) float64) []float64 {
	loads := make([]float64, len(attackers))
	for i, a := range attackers {
		loads[i] = load(a)
	}
	return loads
}

// cells cuts a 32-bit space into 2^bits equal ranges and adds up the load in each.
func cells(attackers []Attacker, place func(Attacker) uint32, load func(Attacker) float64, bits int) []float64 {
	loads := make([]float64, 1<<bits)
	for _, a := range attackers {
		loads[place(a)>>(32-bits)] += load(a)
	}
	return loads
}

// ranges gives each of n nodes an equal range of a 32-bit space.
func ranges(attackers []Attacker, place func(Attacker) uint32, load func(Attacker) float64, n int) []float64 {
	loads := make([]float64, n)
	for _, a := range attackers {
		loads[uint64(place(a))*uint64(n)>>32] += load(a)
	}
	return loads
}

// nodes puts each load on those r of the nodes that are nearest to it by XOR, as
// in Kademlia. The ids are ascending.
func nodes(attackers []Attacker, place func(Attacker) uint32, load func(Attacker) float64, ids []uint32, r int) []float64 {
	loads := make([]float64, len(ids))
	var near []int
	for _, a := range attackers {
		near = nearest(near[:0], ids, place(a), r)
		for _, i := range near {
			loads[i] += load(a)
		}
	}
	return loads
}

// nearest appends which r of the ascending ids are nearest to a key by XOR, or all
// if there are fewer.
func nearest(near []int, ids []uint32, key uint32, r int) []int {
	low, high := 0, len(ids)
	for bit := uint32(1) << 31; bit > 0; bit >>= 1 {
		// ids[low:high] agree with the key in the bits before: one half is nearer.
		split := low + sort.Search(high-low, func(i int) bool { return ids[low+i]&bit != 0 })
		l, h := low, split
		if key&bit != 0 {
			l, h = split, high
		}
		if h-l < r {
			break
		}
		low, high = l, h
	}
	begin := len(near)
	for i := low; i < high; i++ {
		near = append(near, i)
	}
	slices.SortFunc(near[begin:], func(a, b int) int { return cmp.Compare(ids[a]^key, ids[b]^key) })
	return near[:begin+min(r, high-low)]
}

// overlays is over how many sets of random node ids the figures for nodes are taken.
const overlays = 31

// typical is the median over such sets of each figure of the spread.
func typical(n int, chance *rand.Rand, loads func(ids []uint32) []float64) Spread {
	all := make([]Spread, overlays)
	for i := range all {
		all[i] = NewSpread(loads(randomIDs(n, chance)))
	}
	middle := func(figure func(Spread) float64) float64 {
		figures := make([]float64, overlays)
		for i, s := range all {
			figures[i] = figure(s)
		}
		slices.Sort(figures)
		return figures[overlays/2]
	}
	s := Spread{
		Mean: middle(func(s Spread) float64 { return s.Mean }),
		CV:   middle(func(s Spread) float64 { return s.CV }),
		Most: middle(func(s Spread) float64 { return s.Most }),
		Idle: int(middle(func(s Spread) float64 { return float64(s.Idle) })),
	}
	// So that Magnitude is the median magnitude.
	s.Carriers = n - s.Idle
	s.Least = s.Most / math.Pow(10, middle(Spread.Magnitude))
	return s
}

// randomIDs are n node ids, ascending.
func randomIDs(n int, chance *rand.Rand) []uint32 {
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = chance.Uint32()
	}
	slices.Sort(ids)
	return ids
}

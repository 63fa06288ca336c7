package simulate

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/komondor/komondor/overlay/kademlia"
)

// Lookups is what lookups by random nodes for random keys cost, those included that
// follow when a collector turns out to be dead.
type Lookups struct {
	Count    int     `json:"lookups"`
	Mean     float64 `json:"requests_mean"`
	P50      int     `json:"requests_p50"`
	P99      int     `json:"requests_p99"`
	Max      int     `json:"requests_max"`
	Hops     float64 `json:"hops_mean"`     // how far the collector farthest in the chain of answers was
	Messages float64 `json:"messages_mean"` // a first event: the requests, and the reports, those to the dead included
	Others   float64 `json:"others_mean"`   // collectors other than the source itself: messages a further report
	Right    float64 `json:"right"`         // share that found exactly the r nearest living
}

// looker is one goroutine's room for lookups.
type looker struct {
	net   *Net
	query *kademlia.Query[int32]
	hops  []hop
	near  []int32
	gone  []int32 // found dead: the product does not believe in them for a while
}

type hop struct {
	node int32
	far  int // how many answers lead to it; 0 for own contacts
}

func newLooker(net *Net) *looker {
	return &looker{net: net, query: kademlia.NewQuery(
		func(n int32) kademlia.Place { return net.places[n] },
		func(n int32) (kademlia.Member[int32], bool) {
			return kademlia.Member[int32]{ID: n, Collects: true}, true
		})}
}

// way is what a first event of a key costs.
type way struct {
	collectors              []int32
	requests, hops, reports int
}

// deliver finds the collectors and reports to them, as the product does: whoever
// turns out to be dead is forgotten, and the lookup repeated.
func (l *looker) deliver(self int32, target kademlia.Place, r int) (w way) {
	l.gone = l.gone[:0]
	told := make([]int32, 0, r)
	for {
		requests, hops := l.look(self, target, r)
		w.collectors, w.requests, w.hops = l.query.Collectors(), w.requests+requests, max(w.hops, hops)
		late := len(l.gone)
		for _, c := range w.collectors {
			if c == self || slices.Contains(told, c) {
				continue
			}
			w.reports++
			if l.net.dead[c] {
				l.gone = append(l.gone, c)
			} else {
				told = append(told, c)
			}
		}
		if len(l.gone) == late { // all collectors live
			return w
		}
	}
}

// look runs one lookup with peers that answer at once or are dead. Hops is the most
// answers that a collector was behind, plus one for reaching it.
func (l *looker) look(self int32, target kademlia.Place, r int) (requests, hops int) {
	l.query.Start(target, self, r)
	l.hops = append(l.hops[:0], hop{self, -1})
	l.near = l.net.nearest(l.near[:0], self, target, kademlia.K)
	l.learn(0)
	for {
		step, p := l.query.Next(false)
		switch {
		case step == kademlia.Over:
			for _, c := range l.query.Collectors() {
				hops = max(hops, l.far(c)+1)
			}
			return l.query.Requests(), hops
		case l.net.dead[p]:
			l.gone = append(l.gone, p)
			l.query.Failed(p)
		default:
			l.query.Answered(p)
			l.near = l.net.nearest(l.near[:0], p, target, kademlia.K+1)
			if i := slices.Index(l.near, self); i >= 0 { // a peer does not name who asks
				l.near = slices.Delete(l.near, i, i+1)
			} else if len(l.near) > kademlia.K {
				l.net.byDistance(l.near, target)
				l.near = l.near[:kademlia.K]
			}
			l.learn(l.far(p) + 1)
		}
	}
}

func (l *looker) learn(far int) {
	for _, n := range l.near {
		if !slices.ContainsFunc(l.hops, func(h hop) bool { return h.node == n }) && !slices.Contains(l.gone, n) {
			l.hops = append(l.hops, hop{n, far})
			l.query.Add(n)
		}
	}
}

func (l *looker) far(n int32) int {
	return l.hops[slices.IndexFunc(l.hops, func(h hop) bool { return h.node == n })].far
}

// Look makes so many lookups of r collectors each.
func (net *Net) Look(count, r int, seed uint64) Lookups {
	requests, hops, messages, others := make([]int, count), make([]int, count), make([]int, count), make([]int, count)
	right := make([]bool, count)
	pool := sync.Pool{New: func() any { return newLooker(net) }}
	inParallel(count, func(from, to int) {
		l := pool.Get().(*looker)
		defer pool.Put(l)
		var chance rand.PCG
		var truth []int32
		for i := from; i < to; i++ {
			chance.Seed(seed^streamLookups<<32, uint64(i))
			self := int32(rand.New(&chance).IntN(len(net.places)))
			for net.dead[self] {
				self = (self + 1) % int32(len(net.places))
			}
			target := place(seed, streamKeys, uint64(i))
			w := l.deliver(self, target, r)
			truth = net.Collectors(truth[:0], target, r)
			right[i] = slices.Equal(w.collectors, truth)
			requests[i], hops[i], messages[i], others[i] = w.requests, w.hops, w.requests+w.reports, len(w.collectors)
			if slices.Contains(w.collectors, self) {
				others[i]--
			}
		}
	})
	n := float64(count)
	out := Lookups{Count: count, Mean: float64(sum(requests)) / n, Hops: float64(sum(hops)) / n, Messages: float64(sum(messages)) / n, Others: float64(sum(others)) / n}
	wrong := 0
	for _, ok := range right {
		if !ok {
			wrong++
		}
	}
	out.Right = 1 - float64(wrong)/n
	slices.Sort(requests)
	out.P50, out.P99, out.Max = requests[count/2], requests[count*99/100], requests[count-1]
	return out
}

func sum(list []int) (s int) {
	for _, n := range list {
		s += n
	}
	return s
}

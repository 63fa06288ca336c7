package kademlia

import "slices"

const (
	// Alpha is how many requests of one lookup may be under way: one, until it
	// is slow to answer.
	Alpha = 3
	// MaxRequests ends a lookup that liars keep going.
	MaxRequests = 24
)

// Query is the state of one lookup: who is known, nearest first, and who has
// answered.
//
// It is over when the nearest two of the living have answered (or the nearest,
// if one collector is wanted). A member next to the key knows its neighbourhood
// completely, since buckets that deep hold fewer than K members; the second
// answer is there because the first may be stale, or a lie by omission. Whoever
// would be a collector and is not known as a member yet must have answered, too:
// only then it is known whose it is.
//
// A query may be used again and keeps its room; it is for one goroutine.
type Query[ID comparable] struct {
	place  func(ID) Place
	member func(ID) (m Member[ID], known bool)

	target   Place
	r        int
	known    []candidate[ID] // by distance, each peer once, self included
	inFlight int
	requests int

	near  []Member[ID] // room for collectors
	order []ID
}

type candidate[ID comparable] struct {
	id    ID
	dist  Place
	state state
}

type state uint8

const (
	unasked state = iota
	asked
	answered // self has answered from the start: with its own table
	failed
)

// NewQuery returns a query that works out places and members with the functions
// given. Start it.
func NewQuery[ID comparable](place func(ID) Place, member func(ID) (m Member[ID], known bool)) *Query[ID] {
	return &Query[ID]{place: place, member: member}
}

// Start begins a lookup of the r collectors at the target, by a node that knows
// itself only. Add those that it knows.
func (q *Query[ID]) Start(target Place, self ID, r int) {
	q.target, q.r = target, r
	q.known, q.inFlight, q.requests = q.known[:0], 0, 0
	q.Add(self)
	q.set(self, answered)
}

// Add tells the query of a peer that it may know already.
func (q *Query[ID]) Add(p ID) {
	d := q.place(p).Distance(q.target)
	at, found := slices.BinarySearchFunc(q.known, d, func(c candidate[ID], d Place) int { return c.dist.Compare(d) })
	if !found {
		q.known = slices.Insert(q.known, at, candidate[ID]{id: p, dist: d})
	}
}

// Answered notes that an asked peer has answered. Add whom it has named.
func (q *Query[ID]) Answered(p ID) { q.inFlight--; q.set(p, answered) }

// Failed notes that an asked peer is dead.
func (q *Query[ID]) Failed(p ID) { q.inFlight--; q.set(p, failed) }

func (q *Query[ID]) set(p ID, s state) {
	for i := range q.known {
		if q.known[i].id == p {
			q.known[i].state = s
			return
		}
	}
}

// Step is what a lookup does next.
type Step uint8

const (
	Wait Step = iota // for an answer, or until the one that is due is slow
	Ask              // the peer named, which counts as asked from now on
	Over             // it has found its Collectors
)

// Next says what to do now. Without hedge it asks one after the other, and only
// those whose answers decide; with hedge, because one of these is slow, also the
// next in line.
func (q *Query[ID]) Next(hedge bool) (Step, ID) {
	var nobody ID
	next, over := q.next(hedge)
	switch {
	case over, q.requests == MaxRequests && q.inFlight == 0:
		return Over, nobody
	case next != nil && q.requests < MaxRequests && (q.inFlight == 0 || hedge && q.inFlight < Alpha):
		next.state = asked
		q.inFlight++
		q.requests++
		return Ask, next.id
	}
	return Wait, nobody
}

func (q *Query[ID]) next(hedge bool) (next *candidate[ID], over bool) {
	collectors := q.collectors()
	living, quorum := 0, min(q.r, 2)
	over = true
	for i := range q.known {
		c := &q.known[i]
		if c.state == failed {
			continue
		}
		living++
		decides := living <= quorum
		if !decides && c.state != answered && slices.Contains(collectors, c.id) {
			_, known := q.member(c.id)
			decides = !known
		}
		if decides && c.state != answered {
			over = false
		}
		if c.state == unasked && next == nil && (decides || hedge) {
			next = c
		}
	}
	return next, over
}

// Collectors returns those r of the living that are wanted most. There are fewer
// only where fewer are known.
func (q *Query[ID]) Collectors() []ID { return slices.Clone(q.collectors()) }

func (q *Query[ID]) collectors() []ID {
	q.near = q.near[:0]
	for _, c := range q.known {
		if len(q.near) == Window {
			break
		}
		if c.state != failed {
			m, _ := q.member(c.id)
			q.near = append(q.near, m)
		}
	}
	q.order = appendPreferred(q.order[:0], q.near)
	return q.order[:min(q.r, len(q.order))]
}

// Requests is how many peers have been asked.
func (q *Query[ID]) Requests() int { return q.requests }

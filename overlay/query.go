package overlay

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// query is the state of one lookup: who is known, nearest first, and who has
// answered. It has no clock and does no I/O.
//
// It is over when the nearest `quorum` of the living have answered. A member
// next to the key knows its neighbourhood completely, since buckets that deep
// hold fewer than k members; the second answer is there because the first may
// be stale, or a lie by omission. Whoever would be a collector and is not known
// as a member yet must have answered, too: only then it is known whose it is.
type query struct {
	target place
	r      int
	quorum int
	member func(peer.ID) (m member, known bool)
	known  []candidate // by distance, each peer once, self included
}

type candidate struct {
	id    peer.ID
	dist  place
	state state
}

type state uint8

const (
	unasked state = iota
	asked
	answered // self has answered from the start: with its own table
	failed
)

func newQuery(target place, self peer.ID, r int, member func(peer.ID) (member, bool)) *query {
	q := &query{target: target, r: r, quorum: min(r, 2), member: member}
	q.add(self)
	q.set(self, answered)
	return q
}

func (q *query) add(p peer.ID) {
	d := placeOf(p).distance(q.target)
	at, found := slices.BinarySearchFunc(q.known, d, func(c candidate, d place) int {
		return slices.Compare(c.dist[:], d[:])
	})
	if !found {
		q.known = slices.Insert(q.known, at, candidate{id: p, dist: d})
	}
}

func (q *query) set(p peer.ID, s state) {
	for i := range q.known {
		if q.known[i].id == p {
			q.known[i].state = s
		}
	}
}

// next names whom to ask now, and whether the lookup is over. Without hedge it
// asks only those whose answers decide; with hedge, because one of these is
// slow, also the next in line. No name and not over means: wait.
func (q *query) next(hedge bool) (ask peer.ID, over bool) {
	collectors := q.collectors()
	living := 0
	over = true
	for _, c := range q.known {
		if c.state == failed {
			continue
		}
		living++
		decides := living <= q.quorum
		if !decides && slices.Contains(collectors, c.id) {
			_, known := q.member(c.id)
			decides = !known
		}
		if decides && c.state != answered {
			over = false
		}
		if c.state == unasked && ask == "" && (decides || hedge) {
			ask = c.id
		}
	}
	if over {
		return "", true
	}
	return ask, false
}

// collectors returns those r of the living that are wanted most.
func (q *query) collectors() []peer.ID {
	near := make([]member, 0, window)
	for _, c := range q.known {
		if c.state != failed && len(near) < window {
			m, _ := q.member(c.id)
			near = append(near, m)
		}
	}
	order := prefer(near)
	return order[:min(q.r, len(order))]
}

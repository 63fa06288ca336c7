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
// be stale, or a lie by omission.
type query struct {
	target place
	self   peer.ID
	quorum int
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

func newQuery(target place, self peer.ID, r int) *query {
	q := &query{target: target, self: self, quorum: min(r, 2)}
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
	living, done := 0, 0
	for _, c := range q.known {
		if c.state == failed {
			continue
		}
		if living++; living <= q.quorum && c.state == answered {
			done++
		}
		if c.state == unasked && ask == "" && (living <= q.quorum || hedge) {
			ask = c.id
		}
	}
	if done == min(living, q.quorum) {
		return "", true
	}
	return ask, false
}

// nearest returns the r nearest of the living.
func (q *query) nearest(r int) []peer.ID {
	out := make([]peer.ID, 0, r)
	for _, c := range q.known {
		if c.state != failed && len(out) < r {
			out = append(out, c.id)
		}
	}
	return out
}

package correlate

import (
	"container/heap"
	"slices"
	"strings"

	"github.com/komondor/komondor/event"
)

// room divides the room for reports between the organisations: when there is
// too much, who holds most gives up its oldest words, first those on keys that
// nobody else speaks of. As the one that holds most holds more than the room
// divided by the number of organisations, an organisation within that share
// loses nothing, whatever the others make up. All steps are constant but for
// the heap's, which are logarithmic in the number of organisations.
type room struct {
	bytes   int
	holders map[string]*holder
	ranking ranking
	clock   uint64 // counts reports that came in
	last    *words // where the last one belongs
	evicted uint64
}

// bookkeeping is what a report that is alone on its key costs beside its own bytes, as
// BenchmarkMillionKeys measures it. Where each member is an organisation of its own
// and says one thing only, its names cost half as much again.
const bookkeeping = 320

func (s *statement) size(key event.Key) int { return len(key.Value) + len(s.sealed) + bookkeeping }

// words are an organisation's reports on one key.
type words struct {
	on         *gathered
	next       *words // those of another organisation on the key
	by         *holder
	statements []*statement
	bytes      int
	in         *queue
	ahead      *words // in the queue
	behind     *words
}

// holder is an organisation with all its words.
type holder struct {
	organisation  string
	bytes         int
	alone, shared queue  // on keys of its own and on others'
	heard         uint64 // the clock when its last report came in
	rank          int    // its place in the ranking
}

// add takes in a statement of an organisation on a key.
func (r *room) add(on *gathered, organisation string, s *statement) {
	if r.holders == nil {
		r.holders = make(map[string]*holder)
	}
	h := r.holders[organisation]
	if h == nil {
		h = &holder{organisation: strings.Clone(organisation)}
		r.holders[h.organisation] = h
		heap.Push(&r.ranking, h)
	}
	w := on.of(h)
	if w == nil {
		w = &words{on: on, next: on.words, by: h}
		on.words = w
		if w.next != nil && w.next.next == nil { // whoever spoke of it alone no longer does
			w.next.place(&w.next.by.shared)
		}
	}
	if w.next == nil && on.words == w {
		w.place(&h.alone)
	} else {
		w.place(&h.shared)
	}
	w.statements = append(w.statements, s)
	r.clock++
	r.last, h.heard = w, r.clock
	r.count(w, s.size(on.key))
}

// of returns the holder's words on the key, or nil.
func (g *gathered) of(h *holder) *words {
	for w := g.words; w != nil; w = w.next {
		if w.by == h {
			return w
		}
	}
	return nil
}

// remove forgets a statement, and words and holder where it was their last.
func (r *room) remove(w *words, s *statement) {
	on := w.on
	r.count(w, -s.size(on.key))
	at := slices.Index(w.statements, s)
	w.statements = slices.Delete(w.statements, at, at+1)
	if len(w.statements) > 0 {
		return
	}
	w.in.remove(w)
	for at := &on.words; ; at = &(*at).next {
		if *at == w {
			*at = w.next
			break
		}
	}
	if on.words != nil && on.words.next == nil {
		on.words.place(&on.words.by.alone)
	}
	if w.by.alone.front == nil && w.by.shared.front == nil {
		heap.Remove(&r.ranking, w.by.rank)
		delete(r.holders, w.by.organisation)
	}
	if r.last == w {
		r.last = nil
	}
}

// count notes that the words take n bytes more.
func (r *room) count(w *words, n int) {
	r.bytes += n
	w.bytes += n
	w.by.bytes += n
	heap.Fix(&r.ranking, w.by.rank)
}

// place moves the words to the end of one of their holder's queues.
func (w *words) place(in *queue) {
	if w.in != nil {
		w.in.remove(w)
	}
	in.push(w)
}

// queue is a list of words, the quietest in front. It is linked through the words
// themselves: there may be a million of them.
type queue struct{ front, back *words }

func (q *queue) push(w *words) {
	w.in, w.ahead = q, q.back
	if q.back == nil {
		q.front = w
	} else {
		q.back.behind = w
	}
	q.back = w
}

func (q *queue) remove(w *words) {
	if w.ahead == nil {
		q.front = w.behind
	} else {
		w.ahead.behind = w.behind
	}
	if w.behind == nil {
		q.back = w.ahead
	} else {
		w.behind.ahead = w.ahead
	}
	w.in, w.ahead, w.behind = nil, nil, nil
}

// evict chooses words of the organisation that holds most, but not those that
// came in last: a new key could otherwise never gather weight. Where it has no
// others, the next one's turn it is. It returns nil where there are none.
func (r *room) evict() *words {
	for _, h := range r.ranking.top() {
		for _, in := range []*queue{&h.alone, &h.shared} {
			for w := in.front; w != nil; w = w.behind {
				if w != r.last {
					r.evicted++
					return w
				}
			}
		}
	}
	return nil
}

// ranking is a heap of the organisations: on top the one that holds most, among
// equals the one that has been quiet longest.
type ranking []*holder

// top are the two that hold most, if there are two.
func (r ranking) top() []*holder {
	if len(r) < 3 || r.Less(1, 2) {
		return r[:min(len(r), 2)]
	}
	return []*holder{r[0], r[2]}
}

func (r ranking) Len() int { return len(r) }

func (r ranking) Less(i, j int) bool {
	if r[i].bytes != r[j].bytes {
		return r[i].bytes > r[j].bytes
	}
	return r[i].heard < r[j].heard
}

func (r ranking) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].rank, r[j].rank = i, j
}

func (r *ranking) Push(x any) {
	h := x.(*holder)
	h.rank = len(*r)
	*r = append(*r, h)
}

func (r *ranking) Pop() any {
	last := len(*r) - 1
	h := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	return h
}

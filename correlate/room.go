package correlate

import (
	"container/heap"
	"container/list"

	"github.com/komondor/komondor/event"
)

// room divides the room for reports between the organisations: when there is
// too much, who holds most gives up its oldest words, first those on keys that
// nobody else speaks of. As the one that holds most holds more than the room
// divided by the number of organisations, an organisation within that share
// loses nothing, whatever the others make up. All steps are constant but for
// the heap's, which are logarithmic in the number of organisations.
type room struct {
	reports int
	words   map[event.Key]map[string]*words // by organisation
	holders map[string]*holder
	ranking ranking
	clock   uint64 // counts reports that came in
	last    *words // where the last one belongs
	evicted uint64
}

// words are an organisation's reports on one key.
type words struct {
	key     event.Key
	by      *holder
	reports int
	in      *list.List // of by
	at      *list.Element
}

// holder is an organisation with all its words, the quietest in front.
type holder struct {
	organisation  string
	reports       int
	alone, shared list.List // of *words, on keys of its own and on others'
	heard         uint64    // the clock when its last report came in
	rank          int       // its place in the ranking
}

// add notes one more report of an organisation on a key.
func (r *room) add(key event.Key, organisation string) {
	if r.holders == nil {
		r.holders, r.words = make(map[string]*holder), make(map[event.Key]map[string]*words)
	}
	h := r.holders[organisation]
	if h == nil {
		h = &holder{organisation: organisation}
		r.holders[organisation] = h
		heap.Push(&r.ranking, h)
	}
	on := r.words[key]
	if on == nil {
		on = make(map[string]*words)
		r.words[key] = on
	}
	w := on[organisation]
	if w == nil {
		w = &words{key: key, by: h}
		on[organisation] = w
		if len(on) == 2 { // whoever spoke of it alone no longer does
			for _, other := range on {
				other.place(&other.by.shared)
			}
		}
	}
	if len(on) == 1 {
		w.place(&h.alone)
	} else {
		w.place(&h.shared)
	}
	r.clock++
	r.last, h.heard = w, r.clock
	r.count(w, +1)
}

// remove notes that n reports of an organisation on a key are gone.
func (r *room) remove(key event.Key, organisation string, n int) {
	on := r.words[key]
	w := on[organisation]
	if r.count(w, -n); w.reports > 0 {
		return
	}
	w.in.Remove(w.at)
	delete(on, organisation)
	switch len(on) {
	case 0:
		delete(r.words, key)
	case 1:
		for _, other := range on {
			other.place(&other.by.alone)
		}
	}
	if w.by.reports == 0 {
		heap.Remove(&r.ranking, w.by.rank)
		delete(r.holders, organisation)
	}
}

func (r *room) count(w *words, n int) {
	r.reports += n
	w.reports += n
	w.by.reports += n
	heap.Fix(&r.ranking, w.by.rank)
}

// place moves the words to the end of one of their holder's lists.
func (w *words) place(in *list.List) {
	if w.in == in {
		in.MoveToBack(w.at)
		return
	}
	if w.in != nil {
		w.in.Remove(w.at)
	}
	w.in, w.at = in, in.PushBack(w)
}

// evict gives up words of the organisation that holds most, but not those that
// came in last: a new key could otherwise never gather weight. It returns false
// where there are no others of it.
func (r *room) evict() (key event.Key, organisation string, ok bool) {
	if len(r.ranking) == 0 {
		return event.Key{}, "", false
	}
	h := r.ranking[0]
	for _, in := range []*list.List{&h.alone, &h.shared} {
		for e := in.Front(); e != nil; e = e.Next() {
			w := e.Value.(*words)
			if w == r.last {
				continue
			}
			r.remove(w.key, h.organisation, w.reports)
			r.evicted++
			return w.key, h.organisation, true
		}
	}
	return event.Key{}, "", false
}

// ranking is a heap of the organisations: on top the one that holds most, among
// equals the one that has been quiet longest.
type ranking []*holder

func (r ranking) Len() int { return len(r) }

func (r ranking) Less(i, j int) bool {
	if r[i].reports != r[j].reports {
		return r[i].reports > r[j].reports
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

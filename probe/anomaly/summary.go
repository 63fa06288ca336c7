package anomaly

import "container/heap"

// summary keeps the sources that are seen most, in bounded room: the Space-Saving
// algorithm (Metwally, Agrawal and El Abbadi, 2005). A source that finds no room takes
// the place of the one with the least weight, and inherits it. So whoever makes up
// sources drives out the rare ones first, and the counts of an hour are never too high.
type summary struct {
	limit   int
	known   map[subject]*entry
	entries heavy // least weight first
}

// entry is a source of a service.
type entry struct {
	subject subject
	weight  uint64
	place   int // in the heap
	past    profile
	now     count
}

func newSummary(limit int) summary {
	return summary{limit: limit, known: make(map[subject]*entry)}
}

// add weighs n observations and returns whose they are.
func (s *summary) add(of subject, n uint32) *entry {
	x := s.known[of]
	switch {
	case x != nil:
		x.weight += uint64(n)
		heap.Fix(&s.entries, x.place)
	case len(s.entries) < s.limit:
		x = &entry{subject: of, weight: uint64(n)}
		s.known[of] = x
		heap.Push(&s.entries, x)
	default:
		x = s.entries[0]
		delete(s.known, x.subject)
		*x = entry{subject: of, weight: x.weight + uint64(n)}
		s.known[of] = x
		heap.Fix(&s.entries, 0)
	}
	return x
}

// age halves all weights, so that those seen long ago make room. The order stays.
func (s *summary) age() {
	for _, x := range s.entries {
		x.weight /= 2
	}
}

// heavy is a heap of entries.
type heavy []*entry

func (h heavy) Len() int           { return len(h) }
func (h heavy) Less(i, j int) bool { return h[i].weight < h[j].weight }
func (h heavy) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *heavy) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *heavy) Pop() any { panic("a summary only grows") }

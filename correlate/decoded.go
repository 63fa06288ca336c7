package correlate

import "github.com/komondor/komondor/event"

// talliesDecoded is how many tallies of reports are kept decoded, at the least, for
// keys that are judged again and again: up to twice as many, of some 100 bytes.
const talliesDecoded = 1 << 16

// decoded remembers the tallies of reports that were looked at lately; those of the
// others are decoded again. When the younger half is full, the older one goes.
type decoded struct {
	young, old []*decoding
	generation uint64 // of the young
	held       int    // tallies in young
}

// decoding is what a statement's report holds. The statement leads to it while it is remembered.
type decoding struct {
	of         *statement // nil once it is dropped
	tallies    []event.Tally
	generation uint64 // in which it was looked at last
}

func (d *decoded) put(s *statement, tallies []event.Tally) {
	d.keep(&decoding{of: s, tallies: tallies})
}

// keep has a decoding be among the young.
func (d *decoded) keep(m *decoding) {
	if d.held+len(m.tallies) > talliesDecoded {
		d.age()
	}
	m.of.decoded, m.generation = m, d.generation
	d.young = append(d.young, m)
	d.held += len(m.tallies) + 1
}

// age forgets the old that nobody has looked at since, and makes the young old.
func (d *decoded) age() {
	for _, m := range d.old {
		if m.of != nil && m.generation != d.generation {
			m.of.decoded = nil
		}
	}
	clear(d.old)
	d.young, d.old = d.old[:0], d.young
	d.generation++
	d.held = 0
}

func (d *decoded) tallies(s *statement) []event.Tally {
	switch m := s.decoded; {
	case m == nil:
		r, _ := event.DecodeReport(s.sealed[:s.body]) // Put's caller has decoded it before
		d.put(s, r.Tallies)
	case m.generation != d.generation:
		d.keep(m)
	}
	return s.decoded.tallies
}

func (d *decoded) drop(s *statement) {
	if s.decoded != nil {
		*s.decoded = decoding{} // it is among the young or the old still
		s.decoded = nil
	}
}

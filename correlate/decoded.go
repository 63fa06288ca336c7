package correlate

import "github.com/komondor/komondor/event"

// talliesDecoded is how many tallies of reports are kept decoded, at the least, for
// keys that are judged again and again: up to twice as many, of some 100 bytes.
const talliesDecoded = 1 << 16

// decoded remembers the tallies of reports that were looked at lately; those of the
// others are decoded again. When the younger half is full, the older one goes.
type decoded struct {
	young, old map[*statement][]event.Tally
	held       int // tallies in young
}

func (d *decoded) put(s *statement, tallies []event.Tally) {
	if d.young == nil || d.held+len(tallies) > talliesDecoded {
		d.young, d.old, d.held = make(map[*statement][]event.Tally), d.young, 0
	}
	d.young[s] = tallies
	d.held += len(tallies) + 1
}

func (d *decoded) tallies(s *statement) []event.Tally {
	if t, ok := d.young[s]; ok {
		return t
	}
	t, ok := d.old[s]
	if !ok {
		r, _ := event.DecodeReport(s.sealed[:s.body]) // Put's caller has decoded it before
		t = r.Tallies
	}
	d.put(s, t)
	return t
}

func (d *decoded) drop(s *statement) {
	delete(d.young, s)
	delete(d.old, s)
}

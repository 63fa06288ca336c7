package correlate

import (
	"net/netip"

	"github.com/komondor/komondor/event"
)

// exhibit is a tally that can count for a rule: whose it is, whom it accuses and
// what it is worth.
type exhibit struct {
	tally    *event.Tally
	by       *Testimony
	source   netip.Prefix // zero for the sources that found no room in the tallies
	severity int
	points   int          // for a ValueSum rule
	values   event.Sketch // for a ValueCount rule
}

// maxCount is how many observations of one tally are added up, so that no sum overflows.
const maxCount = 1 << 20

func points(count uint64, severity int) int { return int(min(count, maxCount)) * severity }

// exhibits are the tallies that can count for a rule under a condition: those
// that fit into its timespan. There are none where all that was said together is
// worth less than atLeast. Credit is no evidence: it forgives at home (Attempts);
// in a report it could only take away from what others have seen.
func (rs Rules) exhibits(r Rule, c Condition, key event.Key, said []Testimony, atLeast int) []exhibit {
	var accused netip.Prefix
	if key.Selector == event.BySource {
		accused, _ = key.Source() // a key that names no source accuses nobody
	}
	var exhibits []exhibit
	worth := 0
	for i := range said {
		for j := range said[i].Tallies {
			t := &said[i].Tallies[j]
			if t.Count() == 0 || t.First > t.Last || t.First < t.Last-c.seconds() || !r.Counts(t.Kind) {
				continue
			}
			severity := rs.severity(t.Kind)
			if severity < 0 {
				continue
			}
			if exhibits == nil {
				exhibits = make([]exhibit, 0, tallies(said[i:]))
			}
			e := exhibit{tally: t, by: &said[i], source: accused, severity: severity}
			if t.Source.IsValid() && key.Selector != event.BySource {
				e.source = t.Source
			}
			if r.Type == ValueCount {
				e.values = t.Values
				worth += max(1, len(t.Values))
			} else {
				e.points = points(t.Count(), severity)
				worth += e.points
			}
			exhibits = append(exhibits, e)
		}
	}
	if worth < atLeast {
		return nil
	}
	if r.Type == ValueCount && key.Selector == event.BySubnet {
		for i := range exhibits {
			exhibits[i].values = sources(*exhibits[i].tally)
		}
	}
	return exhibits
}

func tallies(said []Testimony) int {
	n := 0
	for _, t := range said {
		n += len(t.Tallies)
	}
	return n
}

// sources are the distinct sources of a tally under a subnet: the named one, or
// those that found no room.
func sources(t event.Tally) event.Sketch {
	if t.Source.IsValid() {
		return event.Sketch{sourceHash(t.Source)}
	}
	return t.Values
}

// provenBy is the part of an exhibit that is proof against source: nothing of what
// anybody could have sent in its name, nor of what names no source.
func (e exhibit) provenBy(source netip.Prefix) exhibit {
	if e.points > 0 {
		e.points = points(uint64(e.tally.Proven), e.severity)
	}
	if e.source != source || !source.IsValid() || e.tally.Proven == 0 {
		e.points, e.values = 0, nil
	}
	if e.tally.Spoofable > 0 {
		e.values = nil // which of them are proven cannot be told
	}
	return e
}

func (e exhibit) counts() bool { return e.points > 0 || len(e.values) > 0 }

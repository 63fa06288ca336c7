package correlate

import (
	"net/netip"
	"slices"

	"github.com/komondor/komondor/event"
)

// exhibit is a tally that can count for a rule: whose it is, whom it accuses and
// what it is worth.
type exhibit struct {
	tally    *event.Tally
	by       *Testimony
	voice    int          // the number of its organisation, see voices
	source   netip.Prefix // zero for the sources that found no room in the tallies
	severity int
	points   int          // for the rules that add up
	unusual  bool         // no more than an anomaly: see worth
	values   event.Sketch // for the rules that count distinct values, or stages
}

// desk is where exhibits are laid out while a verdict is found. Who finds many keeps it, and needs
// no memory for the next one; it is as large as the most that one key has brought, some 100 bytes
// a tally. What was laid out is gone when the next verdict is looked for.
type desk struct{ exhibits []exhibit }

// clear returns the desk's list, empty, with room for n.
func (d *desk) clear(n int) []exhibit { return slices.Grow(d.exhibits[:0], n) }

// maxCount is how many observations of one tally are added up, so that no sum overflows.
const maxCount = 1 << 20

func points(count uint64, severity int) int { return int(min(count, maxCount)) * severity }

// exhibits are the tallies that can count for a rule under a condition: those
// that fit into its timespan. There are none where all that was said together is
// worth less than atLeast. Credit is no evidence: it forgives at home (Attempts);
// in a report it could only take away from what others have seen. Anomalies add points
// to others', and no values.
func (rs Rules) exhibits(on *desk, r Rule, c Condition, key event.Key, said []Testimony, atLeast int) []exhibit {
	var accused netip.Prefix
	if key.Selector.Has(event.BySource) {
		accused, _ = key.Source() // a key that names no source accuses nobody
	}
	var exhibits []exhibit
	var voice []int
	var of bearing // of the kind of the tally before, mostly this one's too
	worth := 0
	for i := range said {
		for j := range said[i].Tallies {
			t := &said[i].Tallies[j]
			if t.Kind != of.kind {
				of = rs.bearing(r, t.Kind)
			}
			if !of.counts || t.Count() == 0 || t.First > t.Last || t.First < t.Last-c.seconds() {
				continue
			}
			if exhibits == nil {
				exhibits, voice = on.clear(tallies(said[i:])), voices(said)
			}
			e := exhibit{tally: t, by: &said[i], voice: voice[i], source: accused, severity: of.severity, unusual: of.unusual}
			if t.Source.IsValid() && !key.Selector.Has(event.BySource) {
				e.source = t.Source
			}
			if r.Type.distinct() {
				e.values = r.values(t)
				worth += max(1, len(e.values))
			} else {
				e.points = points(t.Count(), of.severity)
				worth += e.points
			}
			exhibits = append(exhibits, e)
		}
	}
	if on.exhibits = exhibits; worth < atLeast && r.Type != ValueAverage {
		return nil
	}
	return exhibits
}

// bearing is what tallies of a kind are to a rule.
type bearing struct {
	kind     event.Kind
	counts   bool
	severity int
	unusual  bool
}

func (rs Rules) bearing(r Rule, k event.Kind) bearing {
	b := bearing{kind: k, severity: rs.weight(r, k), unusual: anomalous(k)}
	b.counts = r.Counts(k) && b.severity >= 0 && !(r.Type.distinct() && b.unusual)
	return b
}

// weight is what one observation of the kind is worth to a rule; negative is credit.
func (rs Rules) weight(r Rule, k event.Kind) int {
	if severity := rs.severity(k); severity < 0 || r.Type != EventCount {
		return severity
	}
	return 1
}

// values are the distinct values of a tally that the rule counts: its stages, for a temporal rule.
func (r Rule) values(t *event.Tally) event.Sketch {
	switch {
	case r.Type.temporal():
		var stages event.Sketch
		for i, kind := range r.Kinds {
			if t.Kind.Matches(kind) {
				stages = append(stages, uint32(i))
			}
		}
		return stages
	case r.Field == FieldSource:
		return sources(*t)
	}
	return t.Values
}

func tallies(said []Testimony) int {
	n := 0
	for _, t := range said {
		n += len(t.Tallies)
	}
	return n
}

// sources are the distinct sources of a tally: the named one, or
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

// worth is what the exhibit adds to its organisation's points.
func (e exhibit) worth() worth {
	if e.unusual {
		return worth{anomalous: e.points}
	}
	return worth{plain: e.points}
}

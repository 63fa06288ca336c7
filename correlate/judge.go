package correlate

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// Testimony is what one member has said about one key.
type Testimony struct {
	Organisation string
	Member       string
	Version      uint64 // of the report
	Tallies      []event.Tally
	Sealed       event.Sealed // what proves it to others; empty for own evidence at home
	// Mute says that the organisation has no vote: its evidence counts at home only.
	Mute bool
	// Unverified says that the signature has yet to be verified before anybody else
	// is told of it: it came from its author's own hands, see Author.
	Unverified bool
}

// Judge applies every rule of the key's selector to the testimonies, in one
// scope. It depends on the evidence alone, not on the order of its arrival:
// the window is the newest one that crosses the threshold.
func (rs Rules) Judge(scope Scope, key event.Key, said []Testimony) []Verdict {
	var verdicts []Verdict
	var on desk
	for _, r := range rs.list {
		if r.GroupBy != key.Selector || r.Local && scope != Home {
			continue
		}
		if v, ok := rs.judge(&on, r, scope, key, said); ok {
			verdicts = append(verdicts, v)
		}
	}
	return verdicts
}

// JudgeRule is Judge for one rule: what the receiver of an alert works out anew.
func (rs Rules) JudgeRule(name string, scope Scope, key event.Key, said []Testimony) (Verdict, bool) {
	r, ok := rs.Named(name)
	if !ok || r.GroupBy != key.Selector || r.Local && scope != Home {
		return Verdict{}, false
	}
	return rs.judge(new(desk), r, scope, key, said)
}

func (rs Rules) judge(on *desk, r Rule, scope Scope, key event.Key, said []Testimony) (Verdict, bool) {
	if r.Crowds() {
		return rs.judgeCrowd(on, r, scope, key, said)
	}
	c := r.condition(scope)
	exhibits := rs.exhibits(on, r, c, key, said, c.AtLeast)
	if len(exhibits) == 0 {
		return Verdict{}, false
	}
	// While an attack goes on, its newest window crosses.
	newest := slices.MaxFunc(exhibits, func(a, b exhibit) int { return cmp.Compare(a.tally.Last, b.tally.Last) })
	if w := (window{to: newest.tally.Last, span: c.seconds()}); w.crosses(r, c, exhibits) {
		return w.verdict(r, scope, key, exhibits), true
	}
	// Else it slides from there back. A tally enters when its first observation
	// does, and leaves when its last one does.
	entering, leaving := make([]*exhibit, len(exhibits)), make([]*exhibit, len(exhibits))
	for i := range exhibits {
		entering[i], leaving[i] = &exhibits[i], &exhibits[i]
	}
	slices.SortFunc(entering, func(a, b *exhibit) int { return cmp.Compare(b.tally.First, a.tally.First) })
	slices.SortFunc(leaving, func(a, b *exhibit) int { return cmp.Compare(b.tally.Last, a.tally.Last) })
	s := newSum(r, c)
	for len(leaving) > 0 {
		w := window{to: leaving[0].tally.Last, span: c.seconds()}
		for len(entering) > 0 && entering[0].tally.First >= w.from() {
			s.enter(*entering[0], +1)
			entering = entering[1:]
		}
		if s.crossed() && w.inOrder(r, exhibits, anybody) {
			return w.verdict(r, scope, key, exhibits), true
		}
		for len(leaving) > 0 && leaving[0].tally.Last == w.to {
			s.enter(*leaving[0], -1)
			leaving = leaving[1:]
		}
	}
	return Verdict{}, false
}

// Measure is what the evidence in the newest window is worth to a rule, whether
// or not it crosses the threshold; the score is zero where there is none.
func (rs Rules) Measure(r Rule, scope Scope, key event.Key, said []Testimony) Verdict {
	c := r.condition(scope)
	exhibits := rs.exhibits(new(desk), r, c, key, said, 0)
	if len(exhibits) == 0 {
		return Verdict{Rule: r, Scope: scope, Key: key}
	}
	newest := slices.MaxFunc(exhibits, func(a, b exhibit) int { return cmp.Compare(a.tally.Last, b.tally.Last) })
	w := window{to: newest.tally.Last, span: c.seconds()}
	if r.Crowds() {
		return w.summary(r, scope, key, exhibits)
	}
	return w.verdict(r, scope, key, exhibits)
}

// Counted is what the evidence in the newest window counts for a rule's threshold:
// nobody's for more than its share, and nobody's without a vote over the federation.
func (rs Rules) Counted(r Rule, scope Scope, key event.Key, said []Testimony) int {
	if scope == Federation {
		said = slices.DeleteFunc(slices.Clone(said), func(t Testimony) bool { return t.Mute })
	}
	newest := rs.Measure(r, scope, key, said)
	c := r.condition(scope)
	w, s := window{to: newest.Last.Unix(), span: c.seconds()}, newSum(r, c)
	for _, e := range rs.exhibits(new(desk), r, c, key, said, 0) {
		if w.holds(e) {
			s.add(e.voice, e.worth(), e.values, +1)
		}
	}
	if s.byValue {
		return s.credited()
	}
	return s.total
}

// window is one position of a rule's timespan over the evidence, in Unix
// seconds. A tally counts when all of it lies inside: what is uncertain at the
// edge, at most one slot, is left out rather than held against somebody.
type window struct{ to, span int64 }

func (w window) from() int64 { return w.to - w.span }

func (w window) holds(e exhibit) bool { return e.tally.First >= w.from() && e.tally.Last <= w.to }

// crosses reports whether the evidence in the window crosses the threshold. Once it
// does, more of it changes nothing.
func (w window) crosses(r Rule, c Condition, exhibits []exhibit) bool {
	s := newSum(r, c)
	for i := range exhibits {
		if !w.holds(exhibits[i]) {
			continue
		}
		s.enter(exhibits[i], +1)
		if s.doubled() && s.crossed() && w.inOrder(r, exhibits, anybody) {
			return true
		}
	}
	return s.crossed() && w.inOrder(r, exhibits, anybody)
}

func anybody(exhibit) bool { return true }

// inOrder tells whether the evidence in the window that of says has the stages of a
// TemporalOrdered rule one after the other, as far as times are known.
func (w window) inOrder(r Rule, exhibits []exhibit, of func(exhibit) bool) bool {
	if r.Type != TemporalOrdered {
		return true
	}
	at := w.from()
	for stage := range r.Kinds {
		next := int64(math.MaxInt64)
		for _, e := range exhibits {
			if w.holds(e) && e.tally.Last >= at && slices.Contains(e.values, uint32(stage)) && of(e) {
				next = min(next, max(at, e.tally.First))
			}
		}
		if next == math.MaxInt64 {
			return false
		}
		at = next
	}
	return true
}

// summary is what the evidence in the window says, without offenders.
func (w window) summary(r Rule, scope Scope, key event.Key, exhibits []exhibit) Verdict {
	v := Verdict{Rule: r, Scope: scope, Key: key}
	if scope == Home {
		v.Organisation = exhibits[0].by.Organisation
	}
	c := r.condition(scope)
	var union, targets event.Sketch
	first, last := w.to, w.from()
	var newest latest
	var seen each[worth]
	for i := range exhibits {
		e := &exhibits[i]
		if !w.holds(*e) {
			continue
		}
		v.Count += e.tally.Count()
		if !r.Type.distinct() {
			own := seen.of(e.voice)
			*own = own.plus(e.worth(), +1)
		}
		for _, h := range e.values {
			union = union.Add(h)
		}
		if r.Field == FieldTarget {
			for _, h := range e.tally.Values {
				targets = targets.Add(h)
			}
		}
		if n := len(v.Members); n == 0 || v.Members[n-1] != e.by.Member {
			v.Members = append(v.Members, e.by.Member)
		}
		first, last = min(first, e.tally.First), max(last, e.tally.Last)
		newest.note(*e)
	}
	for _, own := range seen {
		v.Score += own.value.points()
	}
	switch {
	case r.Type.temporal():
		v.Score = len(union)
	case r.Type.distinct():
		v.Score = union.Estimate()
	case r.Type == ValueAverage:
		v.Score /= max(1, int(min(v.Count, maxCount)))
	}
	v.Level = w.level(r, c, exhibits)
	v.Targets = targets.Estimate()
	v.First, v.Last, v.Agreed = time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC(), newest.of(c.Quorum)
	slices.Sort(v.Members)
	v.Members = slices.Compact(v.Members)
	return v
}

func (w window) verdict(r Rule, scope Scope, key event.Key, exhibits []exhibit) Verdict {
	v := w.summary(r, scope, key, exhibits)
	for source, s := range w.suspects(r, r.condition(scope), exhibits) {
		if s.convicted || s.sum.crossed() {
			if w.inOrder(r, exhibits, func(e exhibit) bool { return e.provenBy(source).counts() }) {
				v.accuse(source, s.newest.of(r.condition(scope).Quorum))
			}
		}
	}
	slices.SortFunc(v.Offenders, netip.Prefix.Compare)
	return v
}

// accuse names an offender, and up to when the quorum has evidence against it.
func (v *Verdict) accuse(offender netip.Prefix, agreed time.Time) {
	if v.agreedOn == nil {
		v.agreedOn = make(map[netip.Prefix]time.Time)
	}
	if len(v.Offenders) == 0 || agreed.After(v.Agreed) {
		v.Agreed = agreed
	}
	v.Offenders, v.agreedOn[offender] = append(v.Offenders, offender), agreed
}

// suspects are the sources against which something is proven in the window.
func (w window) suspects(r Rule, c Condition, exhibits []exhibit) map[netip.Prefix]*suspect {
	if !r.Blocks {
		return nil
	}
	suspects := map[netip.Prefix]*suspect{}
	var last netip.Prefix // most keys name a source, and there is no other
	var on *suspect
	for i := range exhibits {
		e := &exhibits[i]
		proven := e.provenBy(e.source)
		if !w.holds(*e) || !proven.counts() {
			continue
		}
		if on == nil || e.source != last {
			if on, last = suspects[e.source], e.source; on == nil {
				on = &suspect{sum: newSum(r, c)}
				suspects[e.source] = on
			}
		}
		on.accuse(proven)
	}
	return suspects
}

// suspect is a source with what is proven against it.
type suspect struct {
	sum       *sum // no further than to the conviction
	newest    latest
	convicted bool
}

func (s *suspect) accuse(e exhibit) {
	s.newest.note(e)
	if s.convicted {
		return
	}
	s.sum.enter(e, +1)
	s.convicted = s.sum.doubled() && s.sum.crossed()
}

package correlate

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// Testimony is what one member has said about one key, verified to be its own.
type Testimony struct {
	Organisation string
	Member       string
	Tallies      []event.Tally
	Sealed       event.Sealed // what proves it to others; empty for own evidence at home
	// Mute says that the organisation has no vote: its evidence counts at home only.
	Mute bool
}

// Verdict is what a rule concludes about a key.
type Verdict struct {
	Rule  Rule
	Scope Scope
	Key   event.Key
	// Organisation is whose evidence it is, at home.
	Organisation string
	// Score is in the rule's unit: points, or distinct values. It is the whole
	// evidence's, not capped by organisation as for the threshold.
	Score   int
	Count   uint64 // observations
	Members []string
	// First and Last bound the evidence that counted. Blocks and freshness are
	// reckoned from Last, so a replay never extends a block.
	First, Last time.Time
	// Offenders are the sources that cross the threshold and the quorum each by
	// itself, on evidence with proof of source. Others are shown, not blocked.
	Offenders []netip.Prefix
}

// Episode numbers the rule's federation timespans since 1970.
func (v Verdict) Episode() int64 {
	return v.Last.Unix() / int64(v.Rule.Federation.Timespan/time.Second)
}

// Alert is the verdict as an alert with its evidence.
func (v Verdict) Alert(federation string, evidence []event.Sealed) event.Alert {
	return event.Alert{Federation: federation, Rule: v.Rule.Name, Key: v.Key, Episode: v.Episode(), Evidence: evidence, Organisation: v.Organisation}
}

// renewal is how much newer evidence must be to be told again: half of a first
// block, so that an attacker who goes on stays blocked.
const renewal = 5 * time.Minute

// louder is how many times as much evidence must be to be told again before that:
// each telling is a broadcast to everybody, and blocks nobody anew.
const louder = 10

// Supersedes reports whether v says enough more than an older verdict of the
// same alert to be told again: by its evidence, never by a claimed number.
func (v Verdict) Supersedes(old Verdict) bool { return v.gist().supersedes(old.gist()) }

// gist is what of a verdict decides whether another one supersedes it.
type gist struct {
	scope            Scope
	offenders, score int
	last             int64 // Unix seconds
}

func (v Verdict) gist() gist { return gist{v.Scope, len(v.Offenders), v.Score, v.Last.Unix()} }

func (g gist) supersedes(old gist) bool {
	switch {
	case g.scope != old.scope:
		return g.scope == Federation
	case g.offenders > old.offenders, g.last-old.last >= int64(renewal/time.Second):
		return true
	}
	// A verdict that names fewer must not take the place of one that names more.
	return g.offenders == old.offenders && g.score >= louder*old.score
}

// Judge applies every rule of the key's selector to the testimonies, in one
// scope. It depends on the evidence alone, not on the order of its arrival:
// the window is the newest one that crosses the threshold.
func (rs Rules) Judge(scope Scope, key event.Key, said []Testimony) []Verdict {
	var verdicts []Verdict
	for _, r := range rs.list {
		if r.GroupBy != key.Selector {
			continue
		}
		if v, ok := rs.judge(r, scope, key, said); ok {
			verdicts = append(verdicts, v)
		}
	}
	return verdicts
}

// JudgeRule is Judge for one rule: what the receiver of an alert works out anew.
func (rs Rules) JudgeRule(name string, scope Scope, key event.Key, said []Testimony) (Verdict, bool) {
	r, ok := rs.Named(name)
	if !ok || r.GroupBy != key.Selector {
		return Verdict{}, false
	}
	return rs.judge(r, scope, key, said)
}

func (rs Rules) judge(r Rule, scope Scope, key event.Key, said []Testimony) (Verdict, bool) {
	c := r.condition(scope)
	exhibits := rs.exhibits(r, c, key, said, c.AtLeast)
	if len(exhibits) == 0 {
		return Verdict{}, false
	}
	// The window slides from the newest evidence back. A tally enters when its
	// first observation does, and leaves when its last one does.
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
			s.add(entering[0].by.Organisation, entering[0].points, entering[0].values, +1)
			entering = entering[1:]
		}
		if s.crossed() {
			return w.verdict(r, scope, key, exhibits), true
		}
		for len(leaving) > 0 && leaving[0].tally.Last == w.to {
			s.add(leaving[0].by.Organisation, leaving[0].points, leaving[0].values, -1)
			leaving = leaving[1:]
		}
	}
	return Verdict{}, false
}

// Measure is what the evidence in the newest window is worth to a rule, whether
// or not it crosses the threshold; the score is zero where there is none.
func (rs Rules) Measure(r Rule, scope Scope, key event.Key, said []Testimony) Verdict {
	c := r.condition(scope)
	exhibits := rs.exhibits(r, c, key, said, 0)
	if len(exhibits) == 0 {
		return Verdict{Rule: r, Scope: scope, Key: key}
	}
	newest := slices.MaxFunc(exhibits, func(a, b exhibit) int { return cmp.Compare(a.tally.Last, b.tally.Last) })
	return window{to: newest.tally.Last, span: c.seconds()}.verdict(r, scope, key, exhibits)
}

// window is one position of a rule's timespan over the evidence, in Unix
// seconds. A tally counts when all of it lies inside: what is uncertain at the
// edge, at most one slot, is left out rather than held against somebody.
type window struct{ to, span int64 }

func (w window) from() int64 { return w.to - w.span }

func (w window) holds(e exhibit) bool { return e.tally.First >= w.from() && e.tally.Last <= w.to }

func (w window) verdict(r Rule, scope Scope, key event.Key, exhibits []exhibit) Verdict {
	v := Verdict{Rule: r, Scope: scope, Key: key}
	if scope == Home {
		v.Organisation = exhibits[0].by.Organisation
	}
	var union event.Sketch
	first, last := w.to, w.from()
	suspects := map[netip.Prefix]*sum{}
	for _, e := range exhibits {
		if !w.holds(e) {
			continue
		}
		v.Count += e.tally.Count()
		v.Score += int(e.tally.Count()) * e.severity
		union = union.Merge(e.values)
		v.Members = append(v.Members, e.by.Member)
		first, last = min(first, e.tally.First), max(last, e.tally.Last)
		proven := e.provenBy(e.source)
		if !r.Blocks || !proven.counts() {
			continue
		}
		if suspects[e.source] == nil {
			suspects[e.source] = newSum(r, r.condition(scope))
		}
		suspects[e.source].add(e.by.Organisation, proven.points, proven.values, +1)
	}
	if r.Type == ValueCount {
		v.Score = union.Estimate()
	}
	v.First, v.Last = time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC()
	slices.Sort(v.Members)
	v.Members = slices.Compact(v.Members)
	for source, s := range suspects {
		if s.crossed() {
			v.Offenders = append(v.Offenders, source)
		}
	}
	slices.SortFunc(v.Offenders, func(a, b netip.Prefix) int { return cmp.Compare(a.String(), b.String()) })
	return v
}

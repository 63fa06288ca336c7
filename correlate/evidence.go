package correlate

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/komondor/komondor/event"
)

// Smallest picks a small set of testimonies that still crosses the threshold and
// from which none can be left out: at most event.MaxEvidence, one after the other
// what adds most under the organisations' shares, so that an organisation of many
// members cannot crowd out the others. It names the verdict's offenders, as many
// as the set has room to prove. It returns nil where no such set is found.
func (rs Rules) Smallest(v Verdict, said []Testimony) []Testimony {
	var chosen []Testimony
	for _, goal := range goals(v) {
		chosen = rs.grow(v, goal, chosen, said)
	}
	best, ok := rs.judge(v.Rule, v.Scope, v.Key, chosen)
	if !ok || len(v.Offenders) > 0 && len(best.Offenders) == 0 {
		return nil
	}
	for i := len(chosen) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(chosen), i, i+1)
		if again, ok := rs.judge(v.Rule, v.Scope, v.Key, fewer); ok && len(again.Offenders) >= len(best.Offenders) {
			chosen = fewer
		}
	}
	return chosen
}

// goals are what the evidence has to prove: each offender, else the verdict alone.
func goals(v Verdict) []netip.Prefix {
	if len(v.Offenders) > 0 {
		return v.Offenders
	}
	return []netip.Prefix{{}}
}

// grow adds testimonies to the chosen until the evidence against goal, or all of
// it for the zero goal, crosses the threshold; it leaves the chosen as they are
// where that takes too many.
func (rs Rules) grow(v Verdict, goal netip.Prefix, chosen, said []Testimony) []Testimony {
	c := v.Rule.condition(v.Scope)
	window := window{to: v.Last.Unix(), span: c.seconds()}
	s := newSum(v.Rule, c)
	add := func(exhibits []exhibit, sign int) {
		for _, e := range exhibits {
			s.add(e.by.Organisation, e.points, e.values, sign)
		}
	}
	type candidate struct {
		testimony Testimony
		exhibits  []exhibit
		last      int64
	}
	var rest []candidate
	for i := range said {
		has := candidate{testimony: said[i]}
		for _, e := range rs.exhibits(v.Rule, c, v.Key, said[i:i+1], 0) {
			if goal.IsValid() {
				e = e.provenBy(goal)
			}
			if window.holds(e) && e.counts() {
				has.exhibits = append(has.exhibits, e)
				has.last = max(has.last, e.tally.Last)
			}
		}
		switch {
		case slices.ContainsFunc(chosen, func(t Testimony) bool { return t.Member == said[i].Member }):
			add(has.exhibits, +1)
		case len(has.exhibits) > 0:
			rest = append(rest, has)
		}
	}
	// The newest first, where gains are equal.
	slices.SortFunc(rest, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.testimony.Member, b.testimony.Member))
	})
	grown := slices.Clone(chosen)
	for !s.crossed() {
		best, gain := -1, [2]int{}
		for i, has := range rest {
			before := [2]int{s.total, len(s.union)}
			add(has.exhibits, +1)
			gained := [2]int{s.total - before[0], len(s.union) - before[1]}
			add(has.exhibits, -1)
			if slices.Compare(gained[:], gain[:]) > 0 {
				best, gain = i, gained
			}
		}
		if best < 0 || len(grown) == event.MaxEvidence {
			return chosen
		}
		add(rest[best].exhibits, +1)
		grown = append(grown, rest[best].testimony)
		rest = slices.Delete(rest, best, best+1)
	}
	return grown
}

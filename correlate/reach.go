package correlate

import (
	"slices"

	"github.com/komondor/komondor/event"
)

// concern is what decides which rules a tally counts for.
type concern struct {
	by   event.Selector
	kind event.Kind
}

// reach is what the evidence on a key is worth to each rule at the most: by its place in the list.
type reach struct {
	worth []int
	rules []int // of which worth is not zero, or may be
}

// within are the rules whose thresholds what is said about a key could cross, if all of it lay in
// one window and were proven: a look at the figures, without windows, organisations' shares or
// offenders. Most keys are of sources that one member has seen a little of, and no more is done
// about them.
func (c *Collector) within(on *gathered) (rules []*Rule) {
	if on == nil {
		return nil
	}
	if c.reach.worth == nil {
		c.reach.worth = make([]int, len(c.rules.list))
	}
	for _, s := range on.all() {
		if !s.faulty {
			c.reach.add(c.rules, on.key.Selector, c.decoded.tallies(s))
		}
	}
	slices.Sort(c.reach.rules)
	for _, n := range slices.Compact(c.reach.rules) {
		if r := &c.rules.list[n]; c.reach.worth[n] >= r.least() {
			rules = append(rules, r)
		}
		c.reach.worth[n] = 0
	}
	c.reach.rules = c.reach.rules[:0]
	return rules
}

// add adds what tallies can be worth at the most.
func (r *reach) add(rules Rules, by event.Selector, tallies []event.Tally) {
	var concerned []int
	for i := range tallies {
		t := &tallies[i]
		if i == 0 || t.Kind != tallies[i-1].Kind {
			concerned = rules.concerned(by, t.Kind)
			r.rules = append(r.rules, concerned...)
		}
		for _, n := range concerned {
			r.worth[n] += rules.most(&rules.list[n], t)
		}
	}
}

// concerned are the places in the list of the rules of a selector that count a kind.
func (rs Rules) concerned(by event.Selector, k event.Kind) (places []int) {
	places, known := rs.concern[concern{by, k}]
	if known {
		return places
	}
	for n := range rs.list { // what a selection picks out, or what nobody knows
		if rs.list[n].GroupBy == by && rs.list[n].Counts(k) {
			places = append(places, n)
		}
	}
	return places
}

// concerns notes which rules the known kinds concern.
func (rs *Rules) concerns() {
	rs.concern = make(map[concern][]int)
	for n := range rs.list {
		for _, k := range event.Kinds() {
			at := concern{rs.list[n].GroupBy, k}
			places := rs.concern[at]
			if rs.list[n].Counts(k) {
				places = append(places, n)
			}
			rs.concern[at] = places // of a kind that concerns none, too
		}
	}
}

// most is the most that a tally can be worth to a rule.
func (rs Rules) most(r *Rule, t *event.Tally) int {
	weight := rs.weight(*r, t.Kind)
	switch {
	case weight < 0 || t.Count() == 0:
		return 0
	case r.Type == ValueAverage:
		return 1
	case r.Type.distinct():
		return len(r.values(t))
	}
	return points(t.Count(), weight)
}

// least is what evidence must be worth at the least, for the rule to be met anywhere.
func (r *Rule) least() int {
	if r.Type == ValueAverage {
		return 1 // a mean can be high on one event
	}
	return min(r.Home.AtLeast, r.Federation.AtLeast)
}

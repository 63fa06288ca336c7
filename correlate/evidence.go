package correlate

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// maxGoals is how many offenders evidence is chosen for: what it takes to prove
// them is about what an alert carries, and it bounds what a verdict on a thousand
// costs. The evidence names the others too that it happens to prove.
const maxGoals = 16

// Smallest picks a small set of testimonies that still crosses the threshold in
// the verdict's window and from which none can be left out: at most event.MaxEvidence, one after the other
// what adds most under the organisations' shares, so that an organisation of many
// members cannot crowd out the others. It names the verdict's newest offenders and
// reaches up to its Agreed and its level, as far as the set has room. It returns nil
// where no such set is found.
func (rs Rules) Smallest(v Verdict, said []Testimony) []Testimony {
	if v.Rule.Crowds() {
		return rs.smallestCrowd(v, said)
	}
	goals := v.goals()
	s := rs.gather(v, goals, said)
	for _, g := range goals {
		s.prove(g)
	}
	if len(s.proved) == 0 {
		return nil
	}
	for i := len(s.chosen) - 1; i >= 0; i-- {
		member := s.chosen[i].Member
		if delete(s.members, member); s.needs(member) {
			s.members[member] = true
		} else {
			s.chosen = slices.Delete(s.chosen, i, i+1)
		}
	}
	return s.chosen
}

// goal is what evidence has to prove: that it crosses a threshold, against an offender
// or, with the zero source, altogether; and up to when the quorum agrees on it.
type goal struct {
	source    netip.Prefix
	agreed    time.Time
	condition Condition
}

// goals are the newest offenders, else the verdict alone, and then its level.
func (v Verdict) goals() (all []goal) {
	reached := v.reached()
	for _, o := range v.Offenders {
		all = append(all, goal{o, v.AgreedOn(o), reached[0]})
	}
	slices.SortStableFunc(all, func(a, b goal) int { return b.agreed.Compare(a.agreed) })
	if all = all[:min(len(all), maxGoals)]; len(all) == 0 {
		all = []goal{{agreed: v.Agreed, condition: reached[0]}}
	}
	for _, c := range reached[1:] {
		all = append(all, goal{condition: c})
	}
	return all
}

// selection is a set of testimonies that grows until it proves what it should.
type selection struct {
	rule    Rule
	towards map[netip.Prefix][]candidate // by the goals' sources
	chosen  []Testimony
	members map[string]bool // of the chosen
	proved  []goal          // as far as there was room
}

// candidate is a testimony with what in it counts towards a goal.
type candidate struct {
	testimony *Testimony
	voice     int
	exhibits  []exhibit
	last      int64
}

// gather returns an empty selection from what lies in the verdict's window.
func (rs Rules) gather(v Verdict, goals []goal, said []Testimony) *selection {
	s := &selection{rule: v.Rule, towards: make(map[netip.Prefix][]candidate), members: make(map[string]bool)}
	for _, g := range goals {
		s.towards[g.source] = nil
	}
	c := v.Rule.condition(v.Scope)
	window := window{to: v.Last.Unix(), span: c.seconds()}
	for _, e := range rs.exhibits(new(desk), v.Rule, c, v.Key, said, 0) {
		if !window.holds(e) {
			continue
		}
		s.admit(netip.Prefix{}, e)
		if e.source.IsValid() {
			s.admit(e.source, e.provenBy(e.source))
		}
	}
	return s
}

// admit notes an exhibit that counts towards a source's goal, if there is one.
func (s *selection) admit(source netip.Prefix, e exhibit) {
	on, wanted := s.towards[source]
	if !wanted || !e.counts() {
		return
	}
	if len(on) == 0 || on[len(on)-1].testimony != e.by {
		on = append(on, candidate{testimony: e.by, voice: e.voice, last: math.MinInt64})
	}
	c := &on[len(on)-1]
	c.exhibits = append(c.exhibits, e)
	if !e.unusual {
		c.last = max(c.last, e.tally.Last)
	}
	s.towards[source] = on
}

// prove adds testimonies to the chosen until their evidence towards the goal
// crosses the threshold, and none where that takes too many; then until it is as
// new as the goal, as far as there is room.
func (s *selection) prove(g goal) {
	quorum := g.condition.Quorum
	proof := s.proof(g)
	var rest, taken []candidate
	for _, c := range s.towards[g.source] {
		if !s.members[c.testimony.Member] {
			rest = append(rest, c)
		}
	}
	// The newest first, where gains are equal.
	slices.SortFunc(rest, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.testimony.Member, b.testimony.Member))
	})
	take := func(i int) bool {
		if i < 0 || len(s.chosen)+len(taken) == event.MaxEvidence {
			return false
		}
		proof.add(rest[i])
		taken = append(taken, rest[i])
		rest = slices.Delete(rest, i, i+1)
		return true
	}
	for !proof.sum.crossed() {
		if !take(proof.sum.most(rest)) {
			return
		}
	}
	for proof.newest.of(quorum).Before(g.agreed) {
		newer := func(c candidate) bool { return proof.newest.before(c.voice, c.last) }
		if !take(slices.IndexFunc(rest, newer)) {
			break
		}
	}
	for _, c := range taken {
		s.chosen = append(s.chosen, *c.testimony)
		s.members[c.testimony.Member] = true
	}
	g.agreed = proof.newest.of(quorum)
	s.proved = append(s.proved, g)
}

// needs reports whether something that was proved no longer is, now that the
// member is not among the chosen.
func (s *selection) needs(member string) bool {
	for _, g := range s.proved {
		if !slices.ContainsFunc(s.towards[g.source], func(c candidate) bool { return c.testimony.Member == member }) {
			continue
		}
		p := s.proof(g)
		if !p.sum.crossed() || p.newest.of(g.condition.Quorum).Before(g.agreed) {
			return true
		}
	}
	return false
}

// proof is what testimonies say towards a goal.
type proof struct {
	sum    *sum
	newest latest
}

// proof is what the chosen say towards the goal.
func (s *selection) proof(g goal) *proof {
	p := &proof{sum: newSum(s.rule, g.condition)}
	for _, c := range s.towards[g.source] {
		if s.members[c.testimony.Member] {
			p.add(c)
		}
	}
	return p
}

func (p *proof) add(c candidate) {
	for _, e := range c.exhibits {
		p.sum.enter(e, +1)
		p.newest.note(e)
	}
}

// most is the index of the candidate that adds most to the sum; -1 if none adds
// anything.
func (s *sum) most(candidates []candidate) int {
	best, gain := -1, [2]int{}
	for i, c := range candidates {
		before := [2]int{s.total, len(s.union)}
		for _, e := range c.exhibits {
			s.enter(e, +1)
		}
		gained := [2]int{s.total - before[0], len(s.union) - before[1]}
		for _, e := range c.exhibits {
			s.enter(e, -1)
		}
		if slices.Compare(gained[:], gain[:]) > 0 {
			best, gain = i, gained
		}
	}
	return best
}

package correlate

import (
	"cmp"
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
// reaches up to its Agreed, as far as the set has room. It returns nil where no
// such set is found.
func (rs Rules) Smallest(v Verdict, said []Testimony) []Testimony {
	goals := goals(v)
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

// goal is what evidence has to prove: an offender, or the verdict alone with the
// zero source; and up to when the quorum agrees on it.
type goal struct {
	source netip.Prefix
	agreed time.Time
}

// goals are the newest offenders, else the verdict alone.
func goals(v Verdict) []goal {
	if len(v.Offenders) == 0 {
		return []goal{{agreed: v.Agreed}}
	}
	var all []goal
	for _, o := range v.Offenders {
		all = append(all, goal{o, v.AgreedOn(o)})
	}
	slices.SortStableFunc(all, func(a, b goal) int { return b.agreed.Compare(a.agreed) })
	return all[:min(len(all), maxGoals)]
}

// selection is a set of testimonies that grows until it proves what it should.
type selection struct {
	rule      Rule
	condition Condition
	towards   map[netip.Prefix][]candidate // by the goals' sources
	chosen    []Testimony
	members   map[string]bool // of the chosen
	proved    []goal          // as far as there was room
}

// candidate is a testimony with what in it counts towards a goal.
type candidate struct {
	testimony *Testimony
	exhibits  []exhibit
	last      int64
}

// gather returns an empty selection from what lies in the verdict's window.
func (rs Rules) gather(v Verdict, goals []goal, said []Testimony) *selection {
	s := &selection{rule: v.Rule, condition: v.Rule.condition(v.Scope),
		towards: make(map[netip.Prefix][]candidate), members: make(map[string]bool)}
	for _, g := range goals {
		s.towards[g.source] = nil
	}
	_, all := s.towards[netip.Prefix{}]
	window := window{to: v.Last.Unix(), span: s.condition.seconds()}
	for _, e := range rs.exhibits(v.Rule, s.condition, v.Key, said, 0) {
		source := netip.Prefix{}
		if !all {
			source = e.source
			e = e.provenBy(source)
		}
		on, wanted := s.towards[source]
		if !wanted || !window.holds(e) || !e.counts() {
			continue
		}
		if len(on) == 0 || on[len(on)-1].testimony != e.by {
			on = append(on, candidate{testimony: e.by, last: e.tally.Last})
		}
		c := &on[len(on)-1]
		c.exhibits, c.last = append(c.exhibits, e), max(c.last, e.tally.Last)
		s.towards[source] = on
	}
	return s
}

// prove adds testimonies to the chosen until their evidence towards the goal
// crosses the threshold, and none where that takes too many; then until it is as
// new as the goal, as far as there is room.
func (s *selection) prove(g goal) {
	quorum := s.condition.Quorum
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
		newer := func(c candidate) bool { return c.last > proof.newest[c.testimony.Organisation] }
		if !take(slices.IndexFunc(rest, newer)) {
			break
		}
	}
	for _, c := range taken {
		s.chosen = append(s.chosen, *c.testimony)
		s.members[c.testimony.Member] = true
	}
	s.proved = append(s.proved, goal{g.source, proof.newest.of(quorum)})
}

// needs reports whether something that was proved no longer is, now that the
// member is not among the chosen.
func (s *selection) needs(member string) bool {
	for _, g := range s.proved {
		if !slices.ContainsFunc(s.towards[g.source], func(c candidate) bool { return c.testimony.Member == member }) {
			continue
		}
		p := s.proof(g)
		if !p.sum.crossed() || p.newest.of(s.condition.Quorum).Before(g.agreed) {
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
func (s *selection) proof(g goal) proof {
	p := proof{newSum(s.rule, s.condition), latest{}}
	for _, c := range s.towards[g.source] {
		if s.members[c.testimony.Member] {
			p.add(c)
		}
	}
	return p
}

func (p proof) add(c candidate) {
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

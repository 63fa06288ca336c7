package correlate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/komondor/komondor/event"
)

// smallestCrowd picks testimonies that name the verdict's prefixes. It begins with all that accuse
// somebody, since what is left out can only make a source look quieter than it is: so many as fit,
// each organisation's best first, then each one's second. Then it leaves out those that change nothing.
func (rs Rules) smallestCrowd(v Verdict, said []Testimony) []Testimony {
	chosen := rs.accusers(v, said)
	on := new(desk)
	carried, ok := rs.judge(on, v.Rule, v.Scope, v.Key, chosen)
	if !ok {
		return nil
	}
	for i := len(chosen) - 1; i >= 0; i-- {
		less := slices.Delete(slices.Clone(chosen), i, i+1)
		if got, ok := rs.judge(on, v.Rule, v.Scope, v.Key, less); ok && slices.Equal(got.Offenders, carried.Offenders) && maps.Equal(got.agreedOn, carried.agreedOn) {
			chosen = less
		}
	}
	return chosen
}

// accusers are the testimonies with proof against a source, at most event.MaxEvidence of them.
func (rs Rules) accusers(v Verdict, said []Testimony) []Testimony {
	type accuser struct {
		by          *Testimony
		worth, rank int // rank is its place in its organisation
	}
	var all []accuser
	for _, e := range againstNeighbours(v.Key, rs.exhibits(new(desk), v.Rule, v.Rule.condition(v.Scope), v.Key, said, 0)) {
		if n := len(all); n == 0 || all[n-1].by != e.by {
			all = append(all, accuser{by: e.by})
		}
		all[len(all)-1].worth += min(e.points, v.Rule.ofOneSource())
	}
	slices.SortStableFunc(all, func(a, b accuser) int {
		return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.by.Member, b.by.Member))
	})
	ranks := map[string]int{}
	for i := range all {
		all[i].rank = ranks[all[i].by.Organisation]
		ranks[all[i].by.Organisation]++
	}
	slices.SortStableFunc(all, func(a, b accuser) int { return cmp.Compare(a.rank, b.rank) })
	var chosen []Testimony
	for _, a := range all[:min(len(all), event.MaxEvidence)] {
		chosen = append(chosen, *a.by)
	}
	return chosen
}

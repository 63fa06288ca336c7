package scenario

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// maxCandidates is how many sightings are tried in one place of a scenario, and maxSteps how
// many sightings are put anywhere for one observation.
const (
	maxCandidates = 8
	maxTries      = 2048
)

// gathering is what has been seen of one scenario.
type gathering struct {
	*plan
	sightings map[string]*sighting
	// index finds sightings by what they say.
	index map[indexed][]*sighting

	// What follows is only used while partial scenarios are put together.
	equal   *substitution
	chosen  []*sighting // by slot number
	filled  []slot
	skipped map[slot]bool
	now     time.Time
	slack   time.Duration
	tries   int
	misfits int // sightings that were looked at and did not fit
	emitted [][]*sighting
	emit    func() (more bool)
	stopped bool
}

type indexed struct {
	slot     slot
	variable int
	value    string
}

func newGathering(s *Scenario, slack time.Duration) *gathering {
	return &gathering{
		plan: newPlan(s), sightings: map[string]*sighting{}, index: map[indexed][]*sighting{},
		equal: newSubstitution(s.variables), chosen: make([]*sighting, 2*len(s.Models)), skipped: map[slot]bool{}, slack: slack,
	}
}

// enter is the sighting that an observation belongs to, a new one if need be.
func (g *gathering) enter(s slot, binding int, b *Binding, o Observation) (x *sighting, isNew bool) {
	m := &g.s.Models[s.model]
	values := b.values(m, &o)
	key := sightingKey(s, values)
	x, ok := g.sightings[key]
	if !ok {
		x = &sighting{slot: s, key: key, values: values, counts: make([]int, len(s.bindings(m))), proved: make([]int, len(s.bindings(m)))}
		g.sightings[key] = x
		for _, a := range values {
			i := indexed{s, a.variable, a.value}
			g.index[i] = append(g.index[i], x)
		}
	}
	x.take(binding, b, o)
	return x, !ok
}

// bindings are the model's, of the slot.
func (s slot) bindings(m *Model) []Binding {
	if s.refines {
		return m.Refines
	}
	return m.Binds
}

// sweep forgets what was given up.
func (g *gathering) sweep() {
	for key, x := range g.sightings {
		if x.gone {
			delete(g.sightings, key)
		}
	}
	for i, list := range g.index {
		if list = slices.DeleteFunc(list, func(x *sighting) bool { return x.gone }); len(list) == 0 {
			delete(g.index, i)
		} else {
			g.index[i] = list
		}
	}
}

// assemble puts together all partial scenarios that the sighting is part of and that are as complete
// as can be. emit is called for each while the substitution holds, the most complete path first, until it
// returns false. It is false where not all were tried.
func (g *gathering) assemble(x *sighting, now time.Time, emit func() (more bool)) (whole bool) {
	g.now, g.emit, g.stopped, g.tries, g.misfits, g.emitted = now, emit, false, 0, 0, nil
	if g.put(x) {
		g.grow()
		g.remove(x, 0)
	}
	g.equal.undo(0)
	return !g.stopped
}

// grow puts in another sighting, in all ways, or none where nothing more fits.
func (g *gathering) grow() {
	for _, s := range g.open() {
		candidates := g.candidates(s)
		if len(candidates) == 0 {
			continue
		}
		before := g.misfits
		for _, x := range candidates {
			if g.tries++; g.tries > maxTries {
				g.stopped = true
			}
			if g.stopped {
				return
			}
			mark := g.equal.mark()
			if g.put(x) {
				g.grow()
				g.remove(x, mark)
			} else {
				g.equal.undo(mark)
			}
		}
		// Without this place more may fit elsewhere, but only if something did not fit with it.
		if len(candidates) > 1 || g.misfits > before {
			g.skipped[s] = true
			g.grow()
			delete(g.skipped, s)
		}
		return
	}
	g.complete()
}

// complete emits the partial scenario at hand, unless it is part of one that is more complete, or has an
// action that would have to follow another one, which was not seen.
func (g *gathering) complete() {
	set := g.set()
	if !all(set, g.follows) {
		g.misfits++ // without some of them there may be one
		return
	}
	for s := range g.skipped {
		if slices.ContainsFunc(g.candidates(s), g.follows) {
			return
		}
	}
	if slices.ContainsFunc(g.emitted, func(other []*sighting) bool { return within(set, other) }) {
		return // the more complete one came first
	}
	g.emitted = append(g.emitted, set)
	if !g.stopped && !g.emit() {
		g.stopped = true
	}
}

// set is what the partial scenario at hand is made of.
func (g *gathering) set() (set []*sighting) {
	for _, f := range g.filled {
		set = append(set, g.chosen[f.number()])
	}
	return set
}

// within tells whether a set is a part of the other one, or the same.
func within(set, other []*sighting) bool {
	return all(set, func(x *sighting) bool { return slices.Contains(other, x) })
}

func all(set []*sighting, hold func(*sighting) bool) bool {
	return !slices.ContainsFunc(set, func(x *sighting) bool { return !hold(x) })
}

// follows tells whether a sighting is an action by itself, or by what was seen before it.
func (g *gathering) follows(x *sighting) bool {
	return x.slot.refines || x.sure || g.possible(x.slot.model)
}

// open are the places beside those that are filled, in order.
func (g *gathering) open() (open []slot) {
	add := func(s slot) {
		if g.chosen[s.number()] == nil && !g.skipped[s] && !slices.Contains(open, s) {
			open = append(open, s)
		}
	}
	for _, f := range g.filled {
		add(slot{f.model, !f.refines})
		if f.refines {
			continue
		}
		for _, l := range g.links[f.model] {
			add(slot{model: l.other(f.model)})
		}
	}
	slices.SortFunc(open, func(a, b slot) int { return a.number() - b.number() })
	return open
}

// other is the other end.
func (l link) other(model int) int {
	if l.from == model {
		return l.to
	}
	return l.from
}

// candidates are the sightings that fit into a place: they say something that is known
// already, and nothing else than what is known.
func (g *gathering) candidates(s slot) (fit []*sighting) {
	mark := g.equal.mark()
	defer func() { g.equal.undo(mark) }()
	if !s.refines {
		for _, l := range g.links[s.model] {
			if g.chosen[slot{model: l.other(s.model)}.number()] != nil && !tieSure(g.s, g.equal, l) {
				g.misfits++
				return nil
			}
		}
	}
	var found []*sighting
	for _, v := range g.s.Models[s.model].variables {
		if value := g.equal.valueOf(v.number); value != "" {
			found = append(found, g.index[indexed{s, v.number, value}]...)
		}
	}
	g.equal.undo(mark)
	slices.SortFunc(found, (*sighting).before)
	for _, x := range slices.Compact(found) {
		if !x.ripe || x.gone || g.old(x) {
			continue
		}
		if len(fit) == maxCandidates {
			g.misfits++
			break
		}
		if g.put(x) {
			g.remove(x, mark)
			fit = append(fit, x)
		} else {
			g.equal.undo(mark)
			g.misfits++
		}
	}
	return fit
}

// possible tells whether all that an action needs, and that others give, was seen.
func (g *gathering) possible(model int) bool {
	return !slices.ContainsFunc(g.givers[model], func(givers []int) bool {
		return len(givers) > 0 && !slices.ContainsFunc(givers, func(giver int) bool { return g.seen(giver) != nil })
	})
}

// old tells whether the sighting counts no more.
func (g *gathering) old(x *sighting) bool { return x.last.Before(g.now.Add(-g.s.Within)) }

// put fills a place if what it says agrees with what is known. After false the caller must undo.
func (g *gathering) put(x *sighting) bool {
	for _, f := range g.filled {
		if g.chosen[f.number()].shares(x) {
			return false // one observation is not two actions of a scenario
		}
	}
	for _, a := range x.values {
		if !g.equal.bind(a.variable, a.value) {
			return false
		}
	}
	if !x.slot.refines {
		for _, l := range g.links[x.slot.model] {
			y := g.chosen[slot{model: l.other(x.slot.model)}.number()]
			if y == nil {
				continue
			}
			first, then := x, y
			if l.from != x.slot.model {
				first, then = y, x
			}
			if first.first.After(then.last.Add(g.slack)) || !tie(g.s, g.equal, l) {
				return false
			}
		}
	}
	g.chosen[x.slot.number()] = x
	g.filled = append(g.filled, x.slot)
	return true
}

// remove takes back the last put.
func (g *gathering) remove(x *sighting, mark int) {
	g.equal.undo(mark)
	g.chosen[x.slot.number()] = nil
	g.filled = g.filled[:len(g.filled)-1]
}

// seen is the sighting of an action in the partial scenario at hand.
func (g *gathering) seen(model int) *sighting { return g.chosen[slot{model: model}.number()] }

// observation is that an objective is reached by the partial scenario at hand.
func (c conclusion) observation(g *gathering, now time.Time) Observation {
	o := Observation{Time: now, Kind: g.s.Kind(), Count: 1, Values: c.values, Concluded: []string{g.s.Name}, Unproved: true}
	var steps []string
	for _, f := range g.filled {
		x := g.chosen[f.number()]
		o.Own = o.Own || x.own
		o.Unproved = o.Unproved && !g.proves(x)
		steps = append(steps, x.key)
		for _, name := range x.concluded {
			o.Concluded = remember(o.Concluded, name)
		}
	}
	slices.Sort(steps)
	sum := sha256.Sum256(fmt.Append(nil, g.s.Name, c.says, now.UnixNano(), steps))
	o.ID = hex.EncodeToString(sum[:16])
	return o
}

package scenario

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// Limits bound what an Engine keeps and tries. What is zero is the default.
type Limits struct {
	// Steps are kept at most, those of this participant and those of the others each up to half of
	// them: 4096.
	Steps int
	// Seen is how many observations are remembered, so that they count once, and how many
	// outcomes, so that they are told once: 16384.
	Seen int
	// Partials is how many partial scenarios are looked at for one observation and scenario: 16.
	Partials int
	// Slack is by how much the clocks of participants may differ: 2 minutes.
	Slack time.Duration
	// Renew is after how long an assessment or a cooperative alert is repeated, if its partial
	// scenario goes on: 10 minutes.
	Renew time.Duration
}

func (l Limits) orDefault() Limits {
	return Limits{
		Steps: cmp.Or(l.Steps, 4096), Seen: cmp.Or(l.Seen, 16384), Partials: cmp.Or(l.Partials, 16),
		Slack: cmp.Or(l.Slack, 2*time.Minute), Renew: cmp.Or(l.Renew, 10*time.Minute),
	}
}

// Stats count what an engine has done.
type Stats struct {
	Observations uint64 `json:"observations"`
	Duplicates   uint64 `json:"duplicates"` // that had come before
	Refused      uint64 `json:"refused"`    // that no probe makes, or of the future
	Bound        uint64 `json:"bound"`      // that are an action of a scenario
	Late         uint64 `json:"late"`       // bound, and older than the scenario takes
	Evicted      uint64 `json:"evicted"`    // steps that were given up for want of room
	Cut          uint64 `json:"cut"`        // observations for which not all partial scenarios were looked at
	Steps        int    `json:"steps"`      // that are kept
}

// Engine puts observations together. It is not safe for use by several goroutines at once.
type Engine struct {
	limits     Limits
	gatherings []*gathering
	bindings   map[string][]bound // by kind
	seen       *recent            // observations; own ones once more
	told       *recent            // assessments and objectives
	stats      Stats
	kept       [2]int // sightings of others, own ones
	swept      time.Time
}

// bound is a binding of a model.
type bound struct {
	g       *gathering
	slot    slot
	number  int
	binding *Binding
}

// New is an engine that knows the scenarios of the library.
func New(library Library, limits Limits) *Engine {
	e := &Engine{limits: limits.orDefault(), bindings: map[string][]bound{}}
	e.seen, e.told = newRecent(e.limits.Seen), newRecent(e.limits.Seen)
	for _, s := range library.scenarios {
		g := newGathering(s, e.limits.Slack)
		e.gatherings = append(e.gatherings, g)
		for i := range s.Models {
			for _, slot := range []slot{{i, false}, {i, true}} {
				bindings := slot.bindings(&s.Models[i])
				for n := range bindings {
					b := &bindings[n]
					e.bindings[b.Kind] = append(e.bindings[b.Kind], bound{g, slot, n, b})
				}
			}
		}
	}
	return e
}

// Stats are the engine's counts so far.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.Steps = e.kept[0] + e.kept[1]
	return s
}

// Observe takes in an observation and returns what follows from it: assessments, then cooperative
// alerts, then objectives that are reached. Observations may come in any order and more than once; their
// order is that of their times. One that is older than a scenario takes, or more than Slack ahead of
// now, is not taken in.
func (e *Engine) Observe(now time.Time, o Observation) (outcomes []Outcome) {
	e.stats.Observations++
	if !valid(&o) || o.Time.After(now.Add(e.limits.Slack)) {
		e.stats.Refused++
		return nil
	}
	if !e.isNew(now, o) {
		e.stats.Duplicates++
		return nil
	}
	e.expire(now)
	var touched []touch
	for _, b := range e.bound(o.Kind) {
		switch {
		case slices.Contains(o.Concluded, b.g.s.Name) || !b.binding.holds(&o):
			continue
		case o.Time.Before(now.Add(-b.g.s.Within)):
			e.stats.Late++
			continue
		}
		if x, ok := e.enter(b, o); ok && x.ripe {
			touched = append(touched, touch{b.g, x})
		}
	}
	var r reaction
	for _, t := range touched {
		if t.x.gone {
			continue // for want of room
		}
		e.react(now, t, o.Own && len(o.Concluded) == 0, &r)
	}
	for _, c := range r.concluded { // what is concluded may be a step of another scenario
		outcomes = append(outcomes, e.Observe(now, c)...)
	}
	return slices.Concat(r.assessments, r.cooperative, r.reached, outcomes)
}

// touch is a sighting that an observation has changed.
type touch struct {
	g *gathering
	x *sighting
}

// maxText bounds each text of an observation.
const maxText = 256

// valid tells whether the observation has what each has, and nothing beyond the bounds.
func valid(o *Observation) bool {
	for _, text := range [...]string{o.ID, o.Cell, string(o.Kind), o.Protocol, o.Vulnerability, o.Name, o.User, o.Executable} {
		if len(text) > maxText {
			return false
		}
	}
	for name, value := range o.Values {
		if len(name) > maxText || len(value) > maxText {
			return false
		}
	}
	return o.ID != "" && o.Kind != "" && !o.Time.IsZero() && o.Count >= 0 && o.Count <= 1e9 && len(o.Values) <= maxTerms && len(o.Concluded) <= maxBecause &&
		!slices.ContainsFunc(o.Concluded, func(name string) bool { return len(name) > maxText })
}

// isNew notes an observation. One's own counts even if somebody else has told it before.
func (e *Engine) isNew(now time.Time, o Observation) bool {
	id := "other " + o.ID
	if o.Own {
		id = "own " + o.ID
		e.seen.add("other "+o.ID, now)
	}
	if _, ok := e.seen.at[id]; ok {
		return false
	}
	e.seen.add(id, now)
	return true
}

// bound are the bindings for a kind: those that name it, and those that name its beginning.
func (e *Engine) bound(kind event.Kind) []bound {
	found := e.bindings[string(kind)]
	for prefix := string(kind); ; {
		i := strings.LastIndexByte(prefix, '.')
		if i < 0 {
			return found
		}
		prefix = prefix[:i]
		found = slices.Concat(found, e.bindings[prefix+".*"])
	}
}

// enter puts an observation to those that say the same, and makes room if it is the first.
func (e *Engine) enter(b bound, o Observation) (*sighting, bool) {
	wasOwn := false
	if x, ok := b.g.sightings[sightingKey(b.slot, b.binding.values(&b.g.s.Models[b.slot.model], &o))]; ok {
		wasOwn = x.own
	}
	x, isNew := b.g.enter(b.slot, b.number, b.binding, o)
	switch {
	case isNew:
		e.stats.Bound++
		e.kept[b2i(x.own)]++
		if e.kept[b2i(x.own)] > e.limits.Steps/2 {
			e.evict(x.own)
		}
	case x.own && !wasOwn:
		e.kept[0]--
		e.kept[1]++
		e.stats.Bound++
	default:
		e.stats.Bound++
	}
	return x, !x.gone
}

// reaction is what follows from an observation.
type reaction struct {
	assessments, cooperative, reached []Outcome
	concluded                         []Observation
}

// react looks at the partial scenarios that a sighting is part of.
func (e *Engine) react(now time.Time, t touch, own bool, r *reaction) {
	tell := own && (t.x.told.IsZero() || now.Sub(t.x.told) >= e.limits.Renew)
	var best *Cooperative
	var told []*sighting
	partials := 0
	all := t.g.assemble(t.x, now, func() bool {
		step := t.g.seen(t.x.slot.model)
		if step == nil {
			return true // what refines an action is none itself
		}
		p := t.g.prospect()
		for _, f := range t.g.filled {
			x := t.g.chosen[f.number()]
			x.complete = max(x.complete, len(p.partial.Steps))
		}
		for _, m := range p.measures {
			a := Assessment{p.partial, m.countermeasure, m.order, m.against, m.evidence(), m.hearsay, m.unproved}
			if e.told.renew(fmt.Sprintf("%s %s %s %t", t.g.s.Name, m.countermeasure, m.order, a.Doubt() == ""), now, e.limits.Renew) {
				r.assessments = append(r.assessments, a)
			}
		}
		reached := false
		for _, c := range p.reached {
			if e.told.renew(t.g.s.Name+" reached "+c.says, now, t.g.s.Within) {
				reached = true
				r.reached = append(r.reached, Reached{p.partial, c.says})
				r.concluded = append(r.concluded, c.observation(t.g, now))
			}
		}
		if (tell || own && reached) && step.own {
			c := Cooperative{p.partial, step.action(t.g), t.g.evidence(t.x.slot.model), p.keys, len(p.reached) > 0}
			if best == nil || len(c.Partial.Steps) > len(best.Partial.Steps) || reached && !best.Reached {
				best, told = &c, t.g.both(t.x.slot.model)
			}
		}
		partials++
		return partials < e.limits.Partials
	})
	if best != nil {
		for _, x := range told {
			x.told = now
		}
		r.cooperative = append(r.cooperative, *best)
	}
	if !all {
		e.stats.Cut++
	}
}

func (x *sighting) action(g *gathering) string { return g.s.Models[x.slot.model].Name }

// Partials are the partial scenarios of now, at most as many as asked for, the most complete first. It looks
// at all that is kept, and is meant to be called when a person asks.
func (e *Engine) Partials(now time.Time, most int) (all []Partial) {
	type found struct {
		set     []*sighting
		partial Partial
	}
	for _, g := range e.gatherings {
		var sets []found
		g.now = now
		for _, x := range slices.SortedFunc(maps.Values(g.sightings), func(a, b *sighting) int { return leastTelling(b, a) }) {
			if !x.ripe || x.slot.refines || g.old(x) || len(sets) > 4*most {
				continue
			}
			tried := 0
			g.assemble(x, now, func() bool {
				sets = append(sets, found{g.set(), g.prospect().partial})
				tried++
				return tried < e.limits.Partials
			})
		}
		for i, f := range sets { // what is put together from one end only is there as a part, too
			if !slices.ContainsFunc(sets, func(other found) bool { return len(other.set) > len(f.set) && within(f.set, other.set) }) &&
				!slices.ContainsFunc(sets[:i], func(other found) bool { return within(f.set, other.set) }) {
				all = append(all, f.partial)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Partial) int { return len(b.Steps) - len(a.Steps) })
	return all[:min(len(all), most)]
}

// expire forgets, each minute, what counts no more.
func (e *Engine) expire(now time.Time) {
	if now.Sub(e.swept).Abs() < time.Minute {
		return
	}
	e.swept = now
	for _, g := range e.gatherings {
		g.now = now
		for _, x := range g.sightings {
			if g.old(x) {
				e.drop(x)
			}
		}
		g.sweep()
	}
}

func (e *Engine) drop(x *sighting) {
	x.gone = true
	e.kept[b2i(x.own)]--
}

package scenario

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// prospect is what a partial scenario may lead to.
type prospect struct {
	partial  Partial
	reached  []conclusion
	measures []measure
	keys     []event.Key
}

// conclusion is an objective that is reached.
type conclusion struct {
	says   string            // with what is known of its parameters
	values map[string]string // of these
}

// measure is a countermeasure that can be taken here.
type measure struct {
	countermeasure string
	order          Order
	against        []string
	rests          []*sighting // on these
	hearsay        []string
	unproved       []string
}

// evidence is when what it rests on was last seen here.
func (m measure) evidence() (newest time.Time) {
	for _, x := range m.rests {
		if x.here.After(newest) {
			newest = x.here
		}
	}
	return newest
}

// prospect says what the partial scenario at hand may lead to: for each objective that a step of it
// leads to, which actions are still to come, whether it is reached, and what can be done here against
// either (paper 000, section IV.C).
func (g *gathering) prospect() prospect {
	mark := g.equal.mark()
	defer func() { g.equal.undo(mark) }()
	p := prospect{keys: g.keys()}
	var targets []int
	virtual := map[int]bool{}
	for _, objective := range g.s.with(Objective) {
		if !g.leadsTo(objective) {
			continue
		}
		if !g.suppose(objective) {
			continue
		}
		missing := map[int]bool{}
		g.missing(objective, missing, map[int]bool{})
		maps.Copy(virtual, missing)
		targets = append(targets, objective)
		if len(missing) == 0 {
			p.reached = append(p.reached, g.conclusion(objective))
		}
	}
	actions := slices.Sorted(maps.Keys(virtual))
	for range 2 { // the second time what was learned by the first is known at both ends
		for _, model := range actions {
			g.suppose(model)
		}
	}
	p.partial = g.partial(actions)
	p.measures = g.measures(append(actions, targets...))
	return p
}

// leadsTo tells whether an action that was seen leads to the model.
func (g *gathering) leadsTo(model int) bool {
	past := map[int]bool{}
	var from func(int) bool
	from = func(model int) bool {
		past[model] = true
		return slices.ContainsFunc(g.links[model], func(l link) bool {
			return l.to == model && !past[l.from] && (g.seen(l.from) != nil || from(l.from))
		})
	}
	return from(model)
}

// missing finds the virtual actions that a model needs: those that give what nothing that was seen
// gives, and what these need in turn.
func (g *gathering) missing(model int, missing, past map[int]bool) {
	if past[model] {
		return
	}
	past[model] = true
	for _, givers := range g.givers[model] {
		seen := slices.ContainsFunc(givers, func(giver int) bool { return g.seen(giver) != nil })
		for _, giver := range givers {
			switch {
			case g.seen(giver) != nil:
				g.missing(giver, missing, past)
			case !seen:
				missing[giver] = true
				g.missing(giver, missing, past)
			}
		}
	}
}

// suppose unifies a model that was not seen with all that it is linked to. What does not agree is left
// out: of several ways to go on, the first is spelled out. It is false where something that was seen
// does not agree.
func (g *gathering) suppose(model int) (agrees bool) {
	agrees = true
	for _, l := range g.links[model] {
		mark := g.equal.mark()
		if !tie(g.s, g.equal, l) {
			g.equal.undo(mark)
			agrees = agrees && g.seen(l.other(model)) == nil
		}
	}
	return agrees
}

// conclusion is what is known of an objective that is reached.
func (g *gathering) conclusion(objective int) conclusion {
	m := &g.s.Models[objective]
	c := conclusion{g.says(objective), map[string]string{}}
	for _, v := range m.variables[:len(m.Parameters)] {
		if value := g.equal.valueOf(v.number); value != "" {
			c.values[v.name] = value
		}
	}
	return c
}

// measures are the countermeasures against any of the targets that can be taken here.
func (g *gathering) measures(targets []int) (all []measure) {
	for _, e := range g.counters {
		if !slices.Contains(targets, e.To) {
			continue
		}
		mark := g.equal.mark()
		if unifyEdge(g.s, g.equal, e) {
			rests, ok := g.enabled(e.From)
			for _, do := range g.s.Models[e.From].Does {
				order, known := g.order(do)
				if !ok || !known {
					continue
				}
				i := slices.IndexFunc(all, func(m measure) bool {
					return m.countermeasure == g.s.Models[e.From].Name && m.order.equal(order)
				})
				if i < 0 {
					all = append(all, measure{countermeasure: g.s.Models[e.From].Name, order: order, rests: rests,
						hearsay: g.hearsay(do, order), unproved: g.unproved(rests)})
					i = len(all) - 1
				}
				if says := g.says(e.To); !slices.Contains(all[i].against, says) {
					all[i].against = append(all[i].against, says)
				}
			}
		}
		g.equal.undo(mark)
	}
	return all
}

// hearsay are the arguments of an order that nothing says which was seen here and is proved: others'
// words, or packets under any name, have given them.
func (g *gathering) hearsay(do Do, order Order) (values []string) {
	for _, a := range do.Arguments {
		value := order.Arguments[a.Name]
		if a.Term.Variable < 0 || value == "" {
			continue
		}
		if !slices.ContainsFunc(g.filled, func(s slot) bool {
			x := g.chosen[s.number()]
			return x.isProved() && slices.ContainsFunc(x.values, func(known assigned) bool { return known.value == value })
		}) {
			values = append(values, value)
		}
	}
	return values
}

// unproved are the steps that a measure rests on, if none of them is one by what was seen here.
func (g *gathering) unproved(rests []*sighting) (says []string) {
	for _, x := range rests {
		if g.proves(x) {
			return nil
		}
		if what := g.says(x.slot.model); !slices.Contains(says, what) {
			says = append(says, what)
		}
	}
	return says
}

// proves tells whether a sighting is an action by what was seen here alone: enough of it was, and where
// it only follows another action, that was proved here in turn.
func (g *gathering) proves(x *sighting) bool {
	past := map[int]bool{}
	var proves func(x *sighting) bool
	proves = func(x *sighting) bool {
		if x == nil || past[x.slot.model] {
			return false
		}
		past[x.slot.model] = true
		follows := false
		for i, b := range x.slot.bindings(&g.s.Models[x.slot.model]) {
			if enough := x.proved[i] >= b.AtLeast; enough && !b.Follows {
				return !x.slot.refines
			} else if enough {
				follows = true
			}
		}
		return follows && !slices.ContainsFunc(g.givers[x.slot.model], func(givers []int) bool {
			return len(givers) > 0 && !slices.ContainsFunc(givers, func(giver int) bool { return proves(g.seen(giver)) })
		})
	}
	return proves(x)
}

// enabled tells whether all that a countermeasure needs is the work of actions that were seen, one of
// them here, and which they are. One that needs nothing of that kind rests on any action that was
// seen here.
func (g *gathering) enabled(countermeasure int) (rests []*sighting, ok bool) {
	needs := false
	for pre, givers := range g.givers[countermeasure] {
		if len(givers) == 0 {
			continue
		}
		needs = true
		i := slices.IndexFunc(g.links[countermeasure], func(l link) bool { return g.seen(l.from) != nil && g.gives(l, pre) })
		if i < 0 {
			return nil, false
		}
		rests = append(rests, g.seen(g.links[countermeasure][i].from))
	}
	if !needs {
		for _, f := range g.filled {
			rests = append(rests, g.chosen[f.number()])
		}
	}
	return rests, slices.ContainsFunc(rests, func(x *sighting) bool { return x.own })
}

// gives unifies one pre-condition of a link's end with what gives it.
func (g *gathering) gives(l link, pre int) bool {
	return slices.ContainsFunc(l.conditions, func(edges []Edge) bool {
		return edges[0].Pre == pre && slices.ContainsFunc(edges, func(e Edge) bool { return unifyEdge(g.s, g.equal, e) })
	})
}

// order fills in what is to be done; false where something that it needs is not known.
func (g *gathering) order(do Do) (Order, bool) {
	order := Order{do.Name, map[string]string{}}
	for _, a := range do.Arguments {
		value := a.Term.Name
		if a.Term.Variable >= 0 {
			value = g.equal.valueOf(a.Term.Variable)
		}
		switch {
		case value != "":
			order.Arguments[a.Name] = value
		case slices.Contains(units[do.Name].required, a.Name):
			return order, false
		}
	}
	return order, true
}

func (o Order) equal(other Order) bool {
	return o.Name == other.Name && maps.Equal(o.Arguments, other.Arguments)
}

// String is the order as a file of scenarios would write it.
func (o Order) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o.Arguments)) {
		parts = append(parts, name+": "+o.Arguments[name])
	}
	return o.Name + " {" + strings.Join(parts, ", ") + "}"
}

// says is a model with what is known of its parameters.
func (g *gathering) says(model int) string {
	m := &g.s.Models[model]
	parts := make([]string, len(m.Parameters))
	for i, v := range m.variables[:len(m.Parameters)] { // parameters come first
		if parts[i] = g.equal.valueOf(v.number); parts[i] == "" {
			parts[i] = v.name
		}
	}
	return m.Name + "(" + strings.Join(parts, ", ") + ")"
}

// partial describes the partial scenario at hand, with virtual actions.
func (g *gathering) partial(virtual []int) Partial {
	p := Partial{Scenario: g.s.Name, Steps: []Step{}, Hypotheses: []Hypothesis{}}
	for _, f := range g.filled {
		if f.refines {
			continue
		}
		x := g.seen(f.model)
		step := Step{
			Action: g.s.Models[f.model].Name, Says: g.says(f.model), First: x.first, Last: x.last, Count: x.count, Own: x.own,
			Cells: slices.Sorted(slices.Values(x.cells)), Because: slices.Clone(x.because),
		}
		if r := g.chosen[slot{f.model, true}.number()]; r != nil {
			step.Because = append(step.Because, r.because...)
		}
		p.Steps = append(p.Steps, step)
	}
	slices.SortFunc(p.Steps, func(a, b Step) int {
		if c := a.First.Compare(b.First); c != 0 {
			return c
		}
		return strings.Compare(a.Action, b.Action)
	})
	for _, model := range virtual {
		p.Hypotheses = append(p.Hypotheses, Hypothesis{g.s.Models[model].Name, g.says(model), g.possible(model)})
	}
	return p
}

// keys are where evidence of the partial scenario at hand meets.
func (g *gathering) keys() (keys []event.Key) {
	for _, j := range g.joins {
		var values []string
		for _, v := range j.variables {
			if value := g.equal.valueOf(v); value != "" && !slices.Contains(values, value) {
				values = append(values, value)
			}
		}
		for _, value := range values {
			keys = append(keys, event.Key{Selector: ByScenario, Value: event.JoinValue(g.s.Name, j.name+"="+value)})
		}
	}
	return keys
}

// evidence is what others have to observe in order to know of an action that was seen here.
func (g *gathering) evidence(model int) (all []Observation) {
	for _, x := range g.both(model) {
		if x.own {
			o := x.latest
			o.Count, o.Own = x.count, false
			all = append(all, o)
		}
	}
	return all
}

// both are the sighting of an action and the one that refines it, as far as they are in the partial
// scenario at hand, by the time of their first observation.
func (g *gathering) both(model int) (all []*sighting) {
	for _, s := range []slot{{model, false}, {model, true}} {
		if x := g.chosen[s.number()]; x != nil {
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b *sighting) int { return a.first.Compare(b.first) })
	return all
}

package scenario

import "slices"

// plan is what an engine needs of a scenario's correlations.
type plan struct {
	s *Scenario
	// links are, of each model, those with other models: of an action as either end, of
	// objectives and countermeasures those that lead to them.
	links [][]link
	// givers are, of each model's pre-conditions, the actions that give them; where there is none the
	// condition is taken as given by what binds, as in paper 000.
	givers   [][][]int
	joins    []join
	counters []Edge
}

// link is all correlations from one action to another model. They hold together: of each condition, one
// of the edges.
type link struct {
	from, to   int
	conditions [][]Edge // by pre-condition
}

// join is variables of several actions that are the same: by their value the parts of a scenario find
// one another.
type join struct {
	name      string
	variables []int
}

func newPlan(s *Scenario) *plan {
	p := &plan{s: s, links: make([][]link, len(s.Models)), givers: make([][][]int, len(s.Models)), counters: s.Counters()}
	for i, m := range s.Models {
		p.givers[i] = make([][]int, len(m.Pre))
	}
	for _, l := range links(s) {
		p.links[l.to] = append(p.links[l.to], l)
		if s.Models[l.to].Role == Action {
			p.links[l.from] = append(p.links[l.from], l)
		}
		for _, edges := range l.conditions {
			giver := &p.givers[l.to][edges[0].Pre]
			*giver = append(*giver, l.from)
		}
	}
	p.joins = joins(s, p.links)
	return p
}

// links are the correlations of actions that are followed online. An action that makes possible what it
// depends on itself is a cycle, which is cut where it comes back: a scenario has each action once.
func links(s *Scenario) (all []link) {
	after := make([][]link, len(s.Models))
	for _, e := range s.Graph.Edges {
		if s.Models[e.From].Role != Action || e.Anti || e.From == e.To {
			continue
		}
		outgoing := &after[e.From]
		if n := len(*outgoing); n == 0 || (*outgoing)[n-1].to != e.To {
			*outgoing = append(*outgoing, link{from: e.From, to: e.To})
		}
		(*outgoing)[len(*outgoing)-1].add(e)
	}
	const open, closed = 1, 2
	state := make([]int, len(s.Models))
	var visit func(int)
	visit = func(model int) {
		state[model] = open
		for _, l := range after[model] {
			if state[l.to] == open {
				continue
			}
			all = append(all, l)
			if state[l.to] != closed {
				visit(l.to)
			}
		}
		state[model] = closed
	}
	for model := range s.Models {
		if state[model] == 0 {
			visit(model)
		}
	}
	return all
}

// add puts an edge to those of the same pre-condition.
func (l *link) add(e Edge) {
	i := slices.IndexFunc(l.conditions, func(edges []Edge) bool { return edges[0].Pre == e.Pre })
	if i < 0 {
		l.conditions = append(l.conditions, nil)
		i = len(l.conditions) - 1
	}
	l.conditions[i] = append(l.conditions[i], e)
}

// joins finds the variables that links make the same.
func joins(s *Scenario, links [][]link) (all []join) {
	equal := newSubstitution(s.variables)
	for _, of := range links {
		for _, l := range of {
			tie(s, equal, l)
		}
	}
	type member struct{ model, variable int }
	classes := map[int][]member{}
	var order []int
	names := map[int]string{}
	for i, m := range s.Models {
		if m.Role != Action {
			continue
		}
		for _, v := range m.variables {
			root := equal.find(v.number)
			if v.measure || equal.value[root] != "" {
				continue
			}
			if classes[root] == nil {
				order, names[root] = append(order, root), v.name
			}
			classes[root] = append(classes[root], member{i, v.number})
		}
	}
	used := map[string]bool{}
	for _, root := range order {
		members := classes[root]
		if !slices.ContainsFunc(members, func(m member) bool { return m.model != members[0].model }) {
			continue
		}
		j := join{name: names[root]}
		if used[j.name] {
			j.name = s.Models[members[0].model].Name + "." + j.name
		}
		used[j.name] = true
		for _, m := range members {
			j.variables = append(j.variables, m.variable)
		}
		all = append(all, j)
	}
	return all
}

// Joins are the names of the variables by which the parts of the scenario find one another.
func (s *Scenario) Joins() (names []string) {
	for _, j := range newPlan(s).joins {
		names = append(names, j.name)
	}
	return names
}

// tie unifies what a link asks for. Where a condition is given in several ways, the first that
// fits is taken. After false the caller must undo.
func tie(s *Scenario, equal *substitution, l link) bool {
	if !tieSure(s, equal, l) {
		return false
	}
	for _, edges := range l.conditions {
		if len(edges) > 1 && !slices.ContainsFunc(edges, func(e Edge) bool { return unifyEdge(s, equal, e) }) {
			return false
		}
	}
	return true
}

// tieSure is tie without the conditions that are given in several ways.
func tieSure(s *Scenario, equal *substitution, l link) bool {
	for _, edges := range l.conditions {
		if len(edges) == 1 && !unifyEdge(s, equal, edges[0]) {
			return false
		}
	}
	return true
}

// unifyEdge unifies the two conditions of an edge, and changes nothing when it cannot.
func unifyEdge(s *Scenario, equal *substitution, e Edge) bool {
	mark := equal.mark()
	if equal.unify(&s.Models[e.From].Post[e.Post], &s.Models[e.To].Pre[e.Pre], 0) {
		return true
	}
	equal.undo(mark)
	return false
}

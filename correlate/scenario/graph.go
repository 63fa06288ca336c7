package scenario

import (
	"cmp"
	"slices"
)

// Graph is how the models of a scenario bear on one another: Figure 4(a) of paper 000.
type Graph struct {
	// Edges are in the order of From, To, Post, Pre.
	Edges []Edge
}

// Edge says that a post-condition of one model and a pre-condition of another unify. From an action it
// is a direct correlation, or with Anti a direct anti-correlation (paper 000, section IV.B and C).
// Models, post- and pre-conditions are named by their place in their list.
type Edge struct {
	From, Post int
	To, Pre    int
	// Anti is set where one of the two is negated and the other is not.
	Anti bool
}

// Equation is one of a unifier: two variables that are the same, or a variable and its value. A
// variable is written MODEL.VARIABLE.
type Equation struct {
	Left, Right string
}

// maxEdges bounds what a scenario makes of itself: as many as 1,000 models have that all bear on one
// another.
const maxEdges = 1 << 20

// need is what a pre-condition asks for, but for its terms.
type need struct {
	predicate string
	arity     int
}

// consumer is a pre-condition of a model.
type consumer struct{ model, pre int }

// Correlate finds all unifiers between post- and pre-conditions: between actions, between actions and
// objectives, and those of countermeasures. Only conditions with the same predicate are
// compared, so that it takes time in proportion to the conditions and to the pairs of the same predicate.
// It stops at maxEdges, and returns one more.
func (s *Scenario) Correlate() Graph {
	needed := map[need][]consumer{}
	for to, m := range s.Models {
		for i, l := range m.Pre {
			n := need{l.Predicate, len(l.Terms)}
			needed[n] = append(needed[n], consumer{to, i})
		}
	}
	pairs := 0
	for _, m := range s.Models {
		for _, l := range m.Post {
			pairs += len(needed[need{l.Predicate, len(l.Terms)}])
		}
	}
	edges := make([]Edge, 0, min(pairs, maxEdges+1))
	equal := newSubstitution(2 * s.variables)
	for from := range s.Models {
		first := len(edges)
		for post := range s.Models[from].Post {
			given := &s.Models[from].Post[post]
			for _, c := range needed[need{given.Predicate, len(given.Terms)}] {
				wanted := &s.Models[c.model].Pre[c.pre]
				if equal.unify(given, wanted, s.apart(from, c.model)) {
					edges = append(edges, Edge{from, post, c.model, c.pre, given.Not != wanted.Not})
				}
				equal.undo(0)
				if len(edges) > maxEdges {
					return Graph{edges}
				}
			}
		}
		slices.SortFunc(edges[first:], func(a, b Edge) int { return cmp.Or(a.To-b.To, a.Post-b.Post, a.Pre-b.Pre) })
	}
	return Graph{edges}
}

// apart is what is added to the numbers of the second model's variables, so that two
// instances of one model have each their own.
func (s *Scenario) apart(from, to int) int {
	if from == to {
		return s.variables
	}
	return 0
}

// Unifier is the most general unifier of an edge's two conditions.
func (s *Scenario) Unifier(e Edge) (equations []Equation) {
	from, to := s.Models[e.From], s.Models[e.To]
	name := to.Name
	if e.From == e.To {
		name += "'" // the same action once more
	}
	for i, t := range from.Post[e.Post].Terms {
		u := to.Pre[e.Pre].Terms[i]
		if t.Variable < 0 && u.Variable < 0 {
			continue
		}
		equations = append(equations, Equation{of(from.Name, t), of(name, u)})
	}
	return equations
}

// of is a term of a model as an equation writes it.
func of(model string, t Term) string {
	if t.Variable < 0 {
		return t.String()
	}
	return model + "." + t.Name
}

// Counters are the edges of countermeasures that take away what an action or an objective needs.
func (s *Scenario) Counters() (edges []Edge) {
	for _, e := range s.Graph.Edges {
		if e.Anti && s.Models[e.From].Role == Countermeasure && s.Models[e.To].Role != Countermeasure {
			edges = append(edges, e)
		}
	}
	return edges
}

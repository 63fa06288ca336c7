package scenario

import (
	"fmt"
	"slices"
)

// arities checks that each predicate has always as many terms.
func (c *checker) arities() {
	first := map[string]Literal{}
	for _, m := range c.s.Models {
		for _, l := range slices.Concat(m.Pre, m.Post) {
			f, ok := first[l.Predicate]
			if !ok {
				first[l.Predicate] = l
			} else if len(f.Terms) != len(l.Terms) {
				c.wrong(l.at, "%s: has %d terms, and in line %d %d: such conditions never unify", l, len(l.Terms), f.at.Line, len(f.Terms))
			}
		}
	}
}

// meaning checks what the models are for, by their correlations.
func (c *checker) meaning(at place) {
	reached, counters, needed := map[int]bool{}, map[int]bool{}, map[consumer]bool{}
	for _, e := range c.s.Graph.Edges {
		from, to := c.s.Models[e.From], c.s.Models[e.To]
		needed[consumer{e.From, e.Post}] = true
		switch {
		case from.Role == Action && !e.Anti:
			reached[e.To] = true
		case from.Role == Countermeasure && to.Role != Countermeasure && e.Anti:
			counters[e.From] = true
		case from.Role == Countermeasure && to.Role != Countermeasure:
			c.warn(from.Post[e.Post].at, "countermeasure %s helps %s, which needs %s", from.Name, to.Name, to.Pre[e.Pre])
		}
	}
	if len(c.s.with(Objective)) == 0 {
		c.wrong(at, "scenario %s has no objective: nothing follows from its actions", c.s.Name)
	}
	for i, m := range c.s.Models {
		switch m.Role {
		case Action:
			if len(m.Binds) == 0 {
				c.warn(m.at, "action %s: nothing binds to it, so it can only be a hypothesis", m.Name)
			}
		case Objective:
			if l, ok := contradiction(m.Pre); ok {
				c.wrong(l.at, "objective %s asks for %s and for its negation: it can never be reached", m.Name, positive(l))
			}
			if !reached[i] {
				c.wrong(m.at, "objective %s: no action's post-condition unifies with its state", m.Name)
			}
		case Countermeasure:
			if !counters[i] {
				c.wrong(m.at, "countermeasure %s counters nothing: no action or objective needs what it takes away", m.Name)
			}
		}
		for p, l := range m.Post {
			if m.Role == Action && !needed[consumer{i, p}] {
				c.warn(l.at, "action %s: nothing needs %s", m.Name, l)
			}
		}
	}
}

// contradiction finds a condition that is there with its negation.
func contradiction(literals []Literal) (Literal, bool) {
	there := map[string]bool{}
	for _, l := range literals {
		there[l.String()] = true
	}
	for _, l := range literals {
		if l.Not && there[positive(l)] {
			return l, true
		}
	}
	return Literal{}, false
}

// positive is the condition without its negation.
func positive(l Literal) string {
	l.Not = false
	return fmt.Sprint(l)
}

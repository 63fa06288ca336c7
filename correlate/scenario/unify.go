package scenario

// substitution says which variables are the same, and which have a value. It goes back to any
// earlier state (undo), so that alternatives are tried without copying it.
type substitution struct {
	parent []int    // of a variable that is the same as another; itself for the rest
	value  []string // of a variable that is its own parent; empty where it has none
	trail  []change
}

// change is what one step has changed: variable was alone, or had no value.
type change struct {
	variable int
	joined   bool
}

func newSubstitution(variables int) *substitution {
	s := &substitution{parent: make([]int, variables), value: make([]string, variables)}
	for v := range s.parent {
		s.parent[v] = v
	}
	return s
}

// find is the variable that stands for all that are the same as v.
func (s *substitution) find(v int) int {
	for s.parent[v] != v {
		v = s.parent[v]
	}
	return v
}

// valueOf is the value of v, empty if it has none.
func (s *substitution) valueOf(v int) string { return s.value[s.find(v)] }

// bind gives v a value; false if it has another one.
func (s *substitution) bind(v int, value string) bool {
	v = s.find(v)
	if s.value[v] == "" {
		s.value[v] = value
		s.trail = append(s.trail, change{variable: v})
	}
	return s.value[v] == value
}

// equate makes two variables the same; false if they have different values.
func (s *substitution) equate(a, b int) bool {
	a, b = s.find(a), s.find(b)
	if a == b {
		return true
	}
	if s.value[a] != "" && s.value[b] != "" && s.value[a] != s.value[b] {
		return false
	}
	if s.value[b] != "" {
		a, b = b, a // the one with the value stands for both
	}
	s.parent[b] = a
	s.trail = append(s.trail, change{variable: b, joined: true})
	return true
}

// unify finds the most general unifier of two predicates, beside their negations, on top of what
// holds already; b's variables are counted from apart on. After false the caller must undo.
func (s *substitution) unify(a, b *Literal, apart int) bool {
	if a.Predicate != b.Predicate || len(a.Terms) != len(b.Terms) {
		return false
	}
	for i := range a.Terms {
		t, u := &a.Terms[i], &b.Terms[i]
		ok := false
		switch {
		case t.Variable < 0 && u.Variable < 0:
			ok = t.Name == u.Name
		case t.Variable < 0:
			ok = s.bind(u.Variable+apart, t.Name)
		case u.Variable < 0:
			ok = s.bind(t.Variable, u.Name)
		default:
			ok = s.equate(t.Variable, u.Variable+apart)
		}
		if !ok {
			return false
		}
	}
	return true
}

// mark is the present state, for undo.
func (s *substitution) mark() int { return len(s.trail) }

// undo goes back to a state.
func (s *substitution) undo(mark int) {
	for i := len(s.trail) - 1; i >= mark; i-- {
		c := s.trail[i]
		if c.joined {
			s.parent[c.variable] = c.variable
		} else {
			s.value[c.variable] = ""
		}
	}
	s.trail = s.trail[:mark]
}

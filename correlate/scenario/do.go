package scenario

import (
	"slices"
	"strings"
)

// unit is an action of the response units, and the arguments that it takes.
type unit struct{ required, optional []string }

// units are what `do:` may name.
var units = map[string]unit{
	"block-source":    {required: []string{"address"}},
	"block-target":    {required: []string{"address"}},
	"block-flow":      {required: []string{"source", "target"}, optional: []string{"port", "protocol"}},
	"reset-half-open": {required: []string{"target"}},
	"kill-process":    {required: []string{"executable", "user"}},
	"run-hook":        {required: []string{"name"}, optional: []string{"source", "target", "executable", "user"}}, // what the program is told
}

// does reads what a countermeasure has done.
func (c *checker) does(m *Model, written []bindingSyntax) (does []Do) {
	for _, w := range written {
		at := place(w.Pos)
		u, ok := units[w.Name]
		if !ok {
			c.wrong(at, "do: %s is no action of the response units: want one of %s", w.Name, strings.Join(Actions(), ", "))
			continue
		}
		if w.Where != nil || w.AtLeast != nil {
			c.wrong(at, "do: %s takes arguments only", w.Name)
		}
		d := Do{Name: w.Name}
		for _, e := range w.Entries {
			name := e.Name.text()
			if !slices.Contains(slices.Concat(u.required, u.optional), name) || d.has(name) {
				c.wrong(place(e.Pos), "do: %s: argument %s is not known, or there twice: want %s", w.Name, name, u)
				continue
			}
			if v := e.Value.Variable; v != "" {
				if _, ok := m.variable(v); !ok {
					c.wrong(place(e.Value.Pos), "do: %s has no variable %s: it must stand in its parameters or conditions", m.Name, v)
					continue
				}
			}
			d.Arguments = append(d.Arguments, Argument{name, c.term(m, e.Value)})
		}
		for _, name := range u.required {
			if !d.has(name) {
				c.wrong(at, "do: %s lacks %s: want %s", w.Name, name, u)
			}
		}
		does = append(does, d)
	}
	return does
}

func (d Do) has(argument string) bool {
	return slices.ContainsFunc(d.Arguments, func(a Argument) bool { return a.Name == argument })
}

func (u unit) String() string {
	text := "{" + strings.Join(u.required, ", ")
	for _, name := range u.optional {
		text += ", " + name + "?"
	}
	return text + "}"
}

// Actions are the names of what `do:` can ask for.
func Actions() (names []string) {
	for name := range units {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

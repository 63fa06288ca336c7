// Package scenario recognises attacks of several steps by models in the language LAMBDA (paper 000,
// section IV): actions with pre- and post-conditions, objectives, and countermeasures.
//
// Offline, Correlate finds how the models of a scenario bear on one another: which action makes which
// possible (correlation), and which countermeasure takes away what another needs
// (anti-correlation). Online, an Engine binds observations to actions, puts partial scenarios
// together, says what may follow (virtual actions), and chooses countermeasures against that.
//
// All of it is pure: no I/O but the embedded library, no goroutine, no clock.
package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// Scenario is a set of models that belong together. Its predicates are its own: the same name in
// another scenario means something else.
type Scenario struct {
	Name, Title string
	// Within is how long what was seen goes on to count: 1 hour unless the file says otherwise.
	Within time.Duration
	Models []Model
	Graph  Graph
	// Warnings are about what may be meant as it is, as "FILE:LINE:COLUMN: …".
	Warnings []string

	at        place
	variables int // how many all models have together
}

// Model is what LAMBDA says of an action, an objective or a countermeasure: "the models for counter
// measures are not different" (paper 000, section IV.C).
type Model struct {
	Role       Role
	Name       string
	Parameters []string
	// Pre is what must hold before; of an objective, its state.
	Pre []Literal
	// Post is what holds afterwards. An objective has none.
	Post []Literal
	// Binds are the observations that are the action, any one of them. Refines are those that
	// are not, and say more of it where it was seen.
	Binds, Refines []Binding
	// Does is what a countermeasure has the response units do.
	Does []Do

	at        place
	variables []variable
}

// variable is one of a model: its name, its number in the scenario, and whether it is a measure,
// which says how much and not who.
type variable struct {
	name    string
	number  int
	measure bool
}

// Role is what a model is of.
type Role string

// The roles.
const (
	Action         Role = "action"
	Objective      Role = "objective"
	Countermeasure Role = "countermeasure"
)

// Literal is a predicate, or its negation.
type Literal struct {
	Not       bool
	Predicate string
	Terms     []Term

	at place
}

// Term is a variable or a constant.
type Term struct {
	// Name is a variable's name or a constant's value.
	Name string
	// Variable is the variable's number in its scenario, -1 for a constant.
	Variable int
}

// Binding says that observations of a kind are an action, and which parameters they give.
type Binding struct {
	// Kind is a kind of event, "ssh.*", "alert.RULE" or "scenario.NAME".
	Kind string
	// Fields are the fields of an observation that give values to parameters.
	Fields []Assignment
	// Where are conditions on the observation's fields.
	Where []Comparison
	// Follows says that the observation is the action only where what makes it possible was seen: by
	// itself it is nothing unusual.
	Follows bool
	// AtLeast is how many observations, by their counts, are the action: at least 1.
	AtLeast int

	at place
}

// Assignment gives a parameter, or another variable of the model, the value of an observation's field.
type Assignment struct {
	Parameter, Field string

	variable int
}

// Comparison holds for a field that has the value, or with Not any other one.
type Comparison struct {
	Field, Value string
	Not          bool
}

// Do is an action of the response units with its arguments: variables of the countermeasure, or
// constants.
type Do struct {
	Name      string
	Arguments []Argument
}

// Argument is one of a Do.
type Argument struct {
	Name string
	Term Term
}

func (t Term) String() string {
	if t.Variable >= 0 || plain(t.Name) {
		return t.Name
	}
	return `"` + t.Name + `"`
}

// plain tells whether a constant needs no quotes.
func plain(constant string) bool {
	return constant != "" && strings.Trim(constant, "abcdefghijklmnopqrstuvwxyz0123456789_-.") == ""
}

func (l Literal) String() string {
	text := l.Predicate
	if len(l.Terms) > 0 {
		terms := make([]string, len(l.Terms))
		for i, t := range l.Terms {
			terms[i] = t.String()
		}
		text += "(" + strings.Join(terms, ", ") + ")"
	}
	if l.Not {
		return "not(" + text + ")"
	}
	return text
}

// String is the model's name with its parameters.
func (m Model) String() string { return m.Name + "(" + strings.Join(m.Parameters, ", ") + ")" }

// variable is the model's variable of the name.
func (m Model) variable(name string) (variable, bool) {
	i := slices.IndexFunc(m.variables, func(v variable) bool { return v.name == name })
	if i < 0 {
		return variable{}, false
	}
	return m.variables[i], true
}

// Named is the scenario's model of the name.
func (s *Scenario) Named(name string) (Model, bool) {
	i := slices.IndexFunc(s.Models, func(m Model) bool { return m.Name == name })
	if i < 0 {
		return Model{}, false
	}
	return s.Models[i], true
}

// with are the scenario's models of a role.
func (s *Scenario) with(role Role) (models []int) {
	for i, m := range s.Models {
		if m.Role == role {
			models = append(models, i)
		}
	}
	return models
}

// Kind is the kind under which what a scenario concludes may be observed by another.
func (s *Scenario) Kind() event.Kind { return event.Kind("scenario." + s.Name) }

// Unmet are warnings about bindings to alerts and conclusions that there are none of, where those that there are are of
// the kinds: a name that is misspelt binds nothing.
func (s *Scenario) Unmet(kinds []event.Kind) (warnings []string) {
	for _, m := range s.Models {
		for _, b := range slices.Concat(m.Binds, m.Refines) {
			named := strings.HasPrefix(b.Kind, alertOf) || concludes(b.Kind)
			if named && !slices.ContainsFunc(kinds, func(k event.Kind) bool { return k.Matches(b.Kind) }) {
				warnings = append(warnings, b.at.errorf("%s %s: no rule or scenario is known by which there could be %s", m.Role, m.Name, b.Kind).Error())
			}
		}
	}
	return warnings
}

// String is the binding as a file of scenarios would write it.
func (b Binding) String() string {
	text := b.Kind
	if len(b.Fields) > 0 {
		var parts []string
		for _, f := range b.Fields {
			parts = append(parts, f.Parameter+": "+f.Field)
		}
		text += " {" + strings.Join(parts, ", ") + "}"
	}
	for i, c := range b.Where {
		text += [...]string{" where ", " and "}[min(i, 1)] + c.Field + map[bool]string{false: " = ", true: " != "}[c.Not] + Term{c.Value, -1}.String()
	}
	if b.AtLeast > 1 {
		text += fmt.Sprintf(" at least %d", b.AtLeast)
	}
	return text
}

// String is what is done as a file of scenarios would write it.
func (d Do) String() string {
	var parts []string
	for _, a := range d.Arguments {
		parts = append(parts, a.Name+": "+a.Term.String())
	}
	return d.Name + " {" + strings.Join(parts, ", ") + "}"
}

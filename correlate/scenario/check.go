package scenario

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// The bounds of what a file may say.
const (
	MaxModels = 2048 // of a scenario
	maxTerms  = 16   // of a predicate, and parameters of a model
	maxList   = 32   // of conditions, bindings and the like
	maxWithin = 30 * 24 * time.Hour
)

// Parse reads and checks the scenarios of a file. All that is wrong is in the error, as
// "FILE:LINE:COLUMN: what, and what to write instead"; of what does not follow the grammar, the first.
func Parse(file string, text []byte) ([]*Scenario, error) {
	syntax, err := read(file, text)
	if err != nil {
		return nil, err
	}
	var scenarios []*Scenario
	var c checker
	for _, written := range syntax.Scenarios {
		if slices.ContainsFunc(scenarios, func(s *Scenario) bool { return s.Name == written.Name }) {
			c.wrong(place(written.Pos), "scenario %s: there are two of this name: give this one another", written.Name)
		}
		scenarios = append(scenarios, c.scenario(written))
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return scenarios, nil
}

// checker makes models of what is written, and gathers what is wrong with it.
type checker struct {
	errs []error
	s    *Scenario
}

func (c *checker) wrong(at place, format string, args ...any) {
	c.errs = append(c.errs, at.errorf(format, args...))
}

func (c *checker) warn(at place, format string, args ...any) {
	c.s.Warnings = append(c.s.Warnings, at.errorf(format, args...).Error())
}

func (c *checker) scenario(written scenarioSyntax) *Scenario {
	c.s = &Scenario{Name: written.Name, Title: written.Title, Within: time.Hour, at: place(written.Pos)}
	if written.Within != nil {
		within, err := written.Within.duration()
		if err != nil {
			c.errs = append(c.errs, err)
		}
		c.s.Within = within
	}
	if len(written.Models) > MaxModels {
		c.wrong(place(written.Pos), "scenario %s has %d models: want up to %d", written.Name, len(written.Models), MaxModels)
		return c.s
	}
	before := len(c.errs)
	for _, m := range written.Models {
		if other, ok := c.s.Named(m.Name); ok {
			c.wrong(place(m.Pos), "%s %s: line %d has another of this name", m.Role, m.Name, other.at.Line)
		}
		c.s.Models = append(c.s.Models, c.model(m))
	}
	c.arities()
	if len(c.errs) > before {
		return c.s // what follows would speak of the same mistakes once more
	}
	if c.s.Graph = c.s.Correlate(); len(c.s.Graph.Edges) > maxEdges {
		c.wrong(place(written.Pos), "scenario %s has more than %d correlations: give predicates more telling names", written.Name, maxEdges)
		return c.s
	}
	c.meaning(place(written.Pos))
	return c.s
}

// model reads one model, whose variables are numbered after those of the models before.
func (c *checker) model(written modelSyntax) (m Model) {
	m = Model{Role: Role(written.Role), Name: written.Name, at: place(written.Pos)}
	if len(written.Parameters) > maxTerms {
		c.wrong(m.at, "%s: %d parameters, want up to %d", m.Name, len(written.Parameters), maxTerms)
	}
	for _, p := range written.Parameters {
		if p.Variable == "" {
			c.wrong(place(p.Pos), "parameter %q: want a variable, which begins with a capital letter", p.text())
			continue
		}
		if slices.Contains(m.Parameters, p.Variable) {
			c.wrong(place(p.Pos), "parameter %s is there twice", p.Variable)
		}
		m.Parameters = append(m.Parameters, p.Variable)
		c.number(&m, p.Variable)
	}
	c.clauses(&m, written)
	for _, need := range [...]struct {
		role   Role
		clause string
		there  bool
	}{
		{Action, "post", len(m.Post) > 0}, {Countermeasure, "post", len(m.Post) > 0},
		{Objective, "state", len(m.Pre) > 0}, {Countermeasure, "do", len(m.Does) > 0},
	} {
		if need.role == m.Role && !need.there {
			c.wrong(m.at, "%s %s has no %s: add one", m.Role, m.Name, need.clause)
		}
	}
	return m
}

// number is the number of a model's variable, which is a new one at its first use.
func (c *checker) number(m *Model, name string) int {
	if v, ok := m.variable(name); ok {
		return v.number
	}
	m.variables = append(m.variables, variable{name: name, number: c.s.variables})
	c.s.variables++
	return c.s.variables - 1
}

// clauses reads what is between a model's braces.
func (c *checker) clauses(m *Model, written modelSyntax) {
	allowed := map[Role][]string{
		Action:         {"pre", "post", "binds", "follows", "refines"},
		Objective:      {"state"},
		Countermeasure: {"pre", "post", "do"},
	}[m.Role]
	var there []string
	for _, clause := range written.Clauses {
		name, at := clause.name(), place(clause.Pos)
		switch {
		case !slices.Contains(allowed, name):
			c.wrong(at, "%s: an %s has none, but %s", name, m.Role, strings.Join(allowed, ", "))
			continue
		case slices.Contains(there, name):
			c.wrong(at, "%s: is there twice, write one list", name)
			continue
		}
		there = append(there, name)
		if n := clause.size(); n > maxList {
			c.wrong(at, "%s: %d entries, want up to %d", name, n, maxList)
			continue
		}
		switch name {
		case "pre", "state":
			m.Pre = c.literals(m, clause.Conditions.Literals)
		case "post":
			m.Post = c.literals(m, clause.Conditions.Literals)
		case "binds":
			m.Binds = append(m.Binds, c.bindings(m, clause.Binds, false)...)
		case "follows":
			m.Binds = append(m.Binds, c.bindings(m, clause.Follows, true)...)
		case "refines":
			m.Refines = c.bindings(m, clause.Refines, false)
		case "do":
			m.Does = c.does(m, clause.Does)
		}
	}
}

func (c clauseSyntax) name() string {
	switch {
	case c.Conditions != nil:
		return c.Conditions.Name
	case c.Binds != nil:
		return "binds"
	case c.Follows != nil:
		return "follows"
	case c.Refines != nil:
		return "refines"
	}
	return "do"
}

func (c clauseSyntax) size() int {
	n := len(c.Binds) + len(c.Follows) + len(c.Refines) + len(c.Does)
	if c.Conditions != nil {
		n += len(c.Conditions.Literals)
	}
	return n
}

func (c *checker) literals(m *Model, written []literalSyntax) (literals []Literal) {
	for _, w := range written {
		p := w.Predicate
		if w.Not != nil {
			p = w.Not
		}
		l := Literal{Not: w.Not != nil, Predicate: p.Name, at: place(w.Pos)}
		if len(p.Terms) > maxTerms {
			c.wrong(l.at, "%s: %d terms, want up to %d", p.Name, len(p.Terms), maxTerms)
			continue
		}
		for _, t := range p.Terms {
			l.Terms = append(l.Terms, c.term(m, t))
		}
		literals = append(literals, l)
	}
	return literals
}

func (c *checker) term(m *Model, w wordSyntax) Term {
	if constant, ok := w.constant(); ok {
		if constant == "" {
			c.wrong(place(w.Pos), "an empty constant: want some text")
		}
		return Term{constant, -1}
	}
	return Term{w.Variable, c.number(m, w.Variable)}
}

// bindings reads which observations are the model's, and which variables they give: parameters, and those of the
// conditions that have been read.
func (c *checker) bindings(m *Model, written []bindingSyntax, follows bool) (bindings []Binding) {
	for _, w := range written {
		b := Binding{Kind: w.Name, AtLeast: 1, Follows: follows, at: place(w.Pos)}
		if !known(b.Kind) {
			c.wrong(place(w.Pos), "%s is no kind of event: want one of %s, a beginning of them such as ssh.*, alert.RULE or scenario.NAME",
				w.Name, strings.Join(alike(w.Name), ", "))
		}
		for _, e := range w.Entries {
			parameter, field := e.Name.Variable, e.Value.text()
			at := slices.IndexFunc(m.variables, func(v variable) bool { return v.name == parameter })
			switch {
			case at < 0:
				c.wrong(place(e.Pos), "%s is no parameter of %s, and not in a condition above", e.Name.text(), m)
				continue
			case !slices.Contains(Fields(), field) && (e.Value.Variable == "" || !concludes(b.Kind)):
				c.wrong(place(e.Value.Pos), "observations have no field %q: want one of %q", field, Fields())
				continue
			case slices.ContainsFunc(b.Fields, func(a Assignment) bool { return a.Parameter == parameter }):
				c.wrong(place(e.Pos), "%s is there twice", parameter)
				continue
			}
			v := &m.variables[at]
			v.measure = v.measure || field == countField
			b.Fields = append(b.Fields, Assignment{parameter, field, v.number})
		}
		for _, w := range w.Where {
			value, constant := w.Value.constant()
			switch {
			case !slices.Contains(Fields(), w.Field):
				c.wrong(place(w.Pos), "observations have no field %q: want one of %q", w.Field, Fields())
			case !constant || value == "":
				c.wrong(place(w.Value.Pos), "%s: want a constant to compare with", w.Value.text())
			}
			b.Where = append(b.Where, Comparison{w.Field, value, w.Not})
		}
		if w.AtLeast != nil {
			n, err := strconv.Atoi(w.AtLeast.text())
			if err != nil || n < 1 || n > 1e9 {
				c.wrong(place(w.AtLeast.Pos), "at least %s: want a whole number from 1 on", w.AtLeast.text())
			}
			b.AtLeast = n
		}
		bindings = append(bindings, b)
	}
	for _, v := range m.variables {
		for _, b := range bindings {
			for _, f := range b.Fields {
				if f.variable == v.number && v.measure != (f.Field == countField) {
					c.wrong(m.at, "%s: %s is %s here and a count there: use two parameters", m.Name, v.name, f.Field)
				}
			}
		}
	}
	return bindings
}

// known tells whether there can be observations of the kind.
func known(kind string) bool {
	if strings.HasPrefix(kind, alertOf) || concludes(kind) {
		return true
	}
	return slices.ContainsFunc(event.Kinds(), func(k event.Kind) bool { return k.Matches(kind) })
}

// alike are the kinds of the same family, or where there is none the families.
func alike(kind string) (names []string) {
	family, _, _ := strings.Cut(kind, ".")
	var families []string
	for _, k := range event.Kinds() {
		if k.Matches(family + ".*") {
			names = append(names, string(k))
		}
		first, _, _ := strings.Cut(string(k), ".")
		families = append(families, first+".*")
	}
	if names == nil {
		slices.Sort(families)
		return slices.Compact(families)
	}
	return names
}

// alertOf stands before a rule's name in the kind of its alerts.
const alertOf = "alert."

// concludes tells whether the kind is of what scenarios conclude, which has their objective's parameters
// as fields.
func concludes(kind string) bool { return strings.HasPrefix(kind, "scenario.") }

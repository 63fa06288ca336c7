package scenario

import (
	"slices"
	"strings"
	"time"
)

// Cell is a participant of a replay, and what it has seen.
type Cell struct {
	Name string
	Seen []Observation
}

// Alert is one of a replay's sequence: t1, t2 … of Figure 4(b) in paper 000.
type Alert struct {
	T          int       `json:"t"`
	Time       time.Time `json:"time"`
	Cell       string    `json:"cell"`
	Type       string    `json:"type"` // local, assessment, cooperative, reached
	Says       string    `json:"says"` // a kind, a countermeasure, an action or an objective, with what is known of it
	Do         *Order    `json:"do,omitempty"`
	Scenario   string    `json:"scenario,omitempty"`
	Against    []string  `json:"against,omitempty"`    // an assessment's
	Doubt      string    `json:"doubt,omitempty"`      // why a person has to decide about it
	Because    []string  `json:"because,omitempty"`    // the steps that it rests on
	Hypotheses []string  `json:"hypotheses,omitempty"` // what may follow
	Reached    bool      `json:"reached,omitempty"`    // a cooperative alert's
}

// Replay runs an engine for each cell over what the cells have seen, in the order of time. What a cell
// tells the others they have at once, before anything else happens.
func Replay(library Library, limits Limits, cells []Cell) (sequence []Alert) {
	r := replay{engines: make([]*Engine, len(cells)), cells: cells}
	type seen struct {
		cell int
		o    Observation
	}
	var all []seen
	for i, c := range cells {
		r.engines[i] = New(library, limits)
		for _, o := range c.Seen {
			o.Own, o.Cell = true, c.Name
			all = append(all, seen{i, o})
		}
	}
	slices.SortStableFunc(all, func(a, b seen) int {
		if c := a.o.Time.Compare(b.o.Time); c != 0 {
			return c
		}
		return strings.Compare(a.o.ID, b.o.ID)
	})
	for _, s := range all {
		if r.engines[s.cell].Binds(s.o) {
			r.note(s.cell, s.o.Time, Alert{Type: "local", Says: s.o.says()})
		}
		r.hand(s.cell, s.o.Time, s.o)
	}
	return r.sequence
}

type replay struct {
	engines  []*Engine
	cells    []Cell
	sequence []Alert
}

func (r *replay) note(cell int, at time.Time, a Alert) {
	a.T, a.Time, a.Cell = len(r.sequence)+1, at, r.cells[cell].Name
	r.sequence = append(r.sequence, a)
}

// hand gives an observation to a cell, and what the cell tells of it to the others.
func (r *replay) hand(cell int, now time.Time, o Observation) {
	var told []Observation
	for _, outcome := range r.engines[cell].Observe(now, o) {
		var a Alert
		var p Partial
		switch x := outcome.(type) {
		case Assessment:
			p, a = x.Partial, Alert{Type: "assessment", Says: x.Countermeasure, Do: &x.Do, Against: x.Against, Doubt: x.Doubt()}
		case Cooperative:
			p, a = x.Partial, Alert{Type: "cooperative", Says: x.Partial.says(x.Step), Reached: x.Reached}
			told = append(told, x.Evidence...)
		case Reached:
			p, a = x.Partial, Alert{Type: "reached", Says: x.Objective}
		}
		a.Scenario = p.Scenario
		for _, step := range p.Steps {
			a.Because = append(a.Because, step.Says)
		}
		for _, h := range p.Hypotheses {
			a.Hypotheses = append(a.Hypotheses, h.Says)
		}
		r.note(cell, now, a)
	}
	for i := range r.cells {
		for _, t := range told {
			if i != cell {
				r.hand(i, now, t)
			}
		}
	}
}

// says is a step with what is known of it.
func (p Partial) says(action string) string {
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Action == action })
	if i < 0 {
		return action
	}
	return p.Steps[i].Says
}

// says is an observation in short.
func (o *Observation) says() string {
	text := string(o.Kind)
	if source := o.field("source.ip"); source != "" {
		text += " from " + source
	}
	if target := o.field("target.ip"); target != "" {
		text += " to " + target
	}
	if o.Executable != "" {
		text += " " + o.Executable
	}
	return text
}

// Binds tells whether the observation is an action of a scenario, or refines one.
func (e *Engine) Binds(o Observation) bool {
	return slices.ContainsFunc(e.bound(o.Kind), func(b bound) bool {
		return !slices.Contains(o.Concluded, b.g.s.Name) && b.binding.holds(&o)
	})
}

package correlate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/correlate/sigma"
	"github.com/komondor/komondor/event"
)

// Relation says which events of one node belong together, before any rule counts them (paper 003,
// duplicates and consequences). It stands in the same files as rules.
type Relation struct {
	Name, Title, Description string
	// From is where the relation is written, FILE:LINE:COLUMN.
	From string
	Type RelationType
	// Stages are what its events are: of a duplicate one of them each, in no order; of a
	// confirmation the two, and of a consequence two or more, one after the other.
	Stages []Stage
	// Same are the fields that the events have in common.
	Same []Same
	// Within is how far apart the events are, of a consequence each from the one before.
	Within time.Duration
	// Makes is what a confirmed event becomes. Its points are the kind's, so that others can
	// check them.
	Makes event.Kind

	possible map[event.Kind][]int // by known kinds, see stagesOf
}

// RelationType is how events belong together.
type RelationType string

// The types.
const (
	// Duplicate events are what several sensors tell of one attack: they count once, at the
	// highest severity. What one sensor repeats are repetitions.
	Duplicate RelationType = "duplicate"
	// Confirmation is by a later event, which shows that what an earlier one tells of has
	// succeeded: they count once, as an event of a kind of its own.
	Confirmation RelationType = "confirmation"
	// Consequence events follow one another; a missing one is an event.
	Consequence RelationType = "consequence"
)

// Stage is one of the events that belong together: one of several kinds, or picked out by base rules.
type Stage struct {
	Names    []string // for people
	patterns []pattern
}

// Matches reports whether the event can be this one.
func (s Stage) Matches(e event.Event) bool {
	return slices.ContainsFunc(s.patterns, func(p pattern) bool { return p.matches(e) })
}

// may reports whether some event of the kind can be this one.
func (s Stage) may(k event.Kind) bool {
	return slices.ContainsFunc(s.patterns, func(p pattern) bool { return p.may(k) })
}

// pattern is a pattern of kinds, or a base rule.
type pattern struct {
	kinds string
	base  sigma.Matcher
}

func (p pattern) matches(e event.Event) bool {
	if p.base != nil {
		return p.base.Matches(fields(e))
	}
	return e.Kind.Matches(p.kinds)
}

func (p pattern) may(k event.Kind) bool {
	if p.base != nil {
		return p.base.Given(fields(event.Event{Kind: k}), "kind") != sigma.Never
	}
	return k.Matches(p.kinds)
}

func (s Stage) String() string { return strings.Join(s.Names, " or ") }

// Same is a field that events have in common, or one of the first event that is another one of
// those that follow.
type Same struct {
	First, Then string
	// Optional fields may be missing from some of the events.
	Optional bool
}

func (s Same) String() string {
	text := s.First
	if s.Then != s.First {
		text += "=" + s.Then
	}
	if s.Optional {
		text += " if known"
	}
	return text
}

// relationFields are what events can have in common.
var relationFields = []string{"kind", "source.ip", "source.port", "target.ip", "target.port", "protocol", "vulnerability", "user", "detail"}

// longestRelation bounds how far apart events may be: all that may still belong to something is kept.
const longestRelation = time.Hour

// With returns the rules with relations. Two of one name are an error.
func (rs Rules) With(relations ...Relation) (Rules, error) {
	rs.relations = slices.Clone(rs.relations)
	for _, r := range relations {
		if slices.ContainsFunc(rs.relations, func(known Relation) bool { return known.Name == r.Name }) {
			return rs, placed(r.From, fmt.Errorf("relation %s: %w", r.Name, errTwo))
		}
		rs.relations = append(rs.relations, r.prepare())
	}
	return rs, nil
}

// prepare notes which stages events of the known kinds can be: most events are of a kind that no
// relation asks for, and are to cost nothing.
func (r Relation) prepare() Relation {
	r.possible = make(map[event.Kind][]int)
	for _, k := range event.Kinds() {
		r.possible[k] = r.candidates(k)
	}
	return r
}

// stagesOf are the stages that some event of the kind can be, in their order.
func (r Relation) stagesOf(k event.Kind) []int {
	if stages, known := r.possible[k]; known {
		return stages
	}
	return r.candidates(k)
}

func (r Relation) candidates(k event.Kind) (stages []int) {
	for i, s := range r.Stages {
		if s.may(k) {
			stages = append(stages, i)
		}
	}
	return stages
}

// Relations returns those that the rules were given, in their order.
func (rs Rules) Relations() []Relation { return slices.Clone(rs.relations) }

// relation reads a document that is no rule.
func (l *loader) relation(d sigma.Rule) (r Relation, err error) {
	r = Relation{Name: d.Name, Title: d.Title, Description: d.Description, From: d.At.String()}
	if !nameForm.MatchString(r.Name) {
		return r, badName(d)
	}
	types, err := d.Extension.Fields(string(Duplicate), string(Confirmation), string(Consequence))
	if err != nil {
		return r, err
	}
	if len(types) != 1 {
		return r, d.Extension.At().Errorf("want one of duplicate, confirmation and consequence, or beside %s a correlation", Extension)
	}
	for name, v := range types {
		r.Type = RelationType(name)
		err = l.relate(&r, v)
	}
	return r, err
}

// relate reads the section of a relation's type.
func (l *loader) relate(r *Relation, v sigma.Value) error {
	needed := map[RelationType][]string{
		Duplicate:    {"within", "of", "same"}, // without same, all that comes at one time would be one attack
		Confirmation: {"within", "of", "by", "makes"},
		Consequence:  {"within", "chain"},
	}[r.Type]
	known := append([]string{"same"}, needed...)
	if r.Type != Consequence { // what follows is looked for by all that is the same
		known = append(known, "same-if-known")
	}
	fields, err := v.Fields(known...)
	if err != nil {
		return err
	}
	for _, key := range needed {
		if _, ok := fields[key]; !ok {
			return v.At().Errorf("%s: is missing", key)
		}
	}
	if r.Within, err = fields["within"].Timespan(); err != nil {
		return err
	}
	if r.Within > longestRelation {
		return fields["within"].At().Errorf("within %s: want an hour or less", r.Within)
	}
	for _, key := range []string{"same", "same-if-known"} {
		same, ok := fields[key]
		if !ok {
			continue
		}
		for _, item := range same.Items() {
			s, err := r.readSame(item)
			if err != nil {
				return err
			}
			s.Optional = key != "same"
			r.Same = append(r.Same, s)
		}
	}
	switch r.Type {
	case Confirmation:
		r.Makes = event.Kind(fields["makes"].Text())
		if !slices.Contains(event.Kinds(), r.Makes) {
			return fields["makes"].At().Errorf("makes %q: want a kind of event, one of %v", r.Makes, event.Kinds())
		}
		return l.stages(r, fields["of"], fields["by"])
	case Consequence:
		chain := fields["chain"].Items()
		if len(chain) < 2 {
			return fields["chain"].At().Errorf("chain: want two or more, each followed by the next")
		}
		return l.stages(r, chain...)
	}
	return l.stages(r, fields["of"])
}

// readSame reads FIELD and FIELD=FIELD.
func (r *Relation) readSame(v sigma.Value) (s Same, err error) {
	first, then, both := strings.Cut(v.Text(), "=")
	if !both {
		then = first
	}
	for _, name := range []string{first, then} {
		if !slices.Contains(relationFields, name) {
			return s, v.At().Errorf("same: %q: want one of %q, or FIELD=FIELD, of the first event and of the next", v.Text(), relationFields)
		}
	}
	if both && r.Type == Duplicate {
		return s, v.At().Errorf("same: %q: duplicates have no order; name one field", v.Text())
	}
	return Same{First: first, Then: then}, nil
}

// stages reads kinds and base rules; each value is one, or a list of which one will do.
func (l *loader) stages(r *Relation, values ...sigma.Value) error {
	for _, v := range values {
		var s Stage
		for _, item := range v.Items() {
			name := item.Text()
			s.Names = append(s.Names, name)
			if d, ok := l.base[name]; ok {
				s.patterns = append(s.patterns, pattern{base: d.Selects})
				continue
			}
			if !anyKind(name) {
				return noKind(item)
			}
			s.patterns = append(s.patterns, pattern{kinds: name})
		}
		if len(s.patterns) == 0 {
			return v.At().Errorf("the list is empty: name a kind of event, or a base rule of this file")
		}
		r.Stages = append(r.Stages, s)
	}
	return nil
}

// common is what an event has in common with others of the relation, as far as all of them must
// have it; false where it lacks something. First says whether it is the first of them.
func (r Relation) common(e event.Event, first bool) (string, bool) {
	var text strings.Builder
	for _, s := range r.Same {
		if s.Optional {
			continue
		}
		value, ok := s.of(e, first)
		if !ok {
			return "", false
		}
		fmt.Fprintf(&text, "%d %s", len(value), value)
	}
	return text.String(), true
}

func (s Same) of(e event.Event, first bool) (string, bool) {
	if first {
		return fields(e).Field(s.First)
	}
	return fields(e).Field(s.Then)
}

// agree reports whether the optional fields of two events say nothing different.
func (r Relation) agree(first, then event.Event) bool {
	for _, s := range r.Same {
		if !s.Optional {
			continue
		}
		a, okA := s.of(first, true)
		b, okB := s.of(then, false)
		if okA && okB && a != b {
			return false
		}
	}
	return true
}

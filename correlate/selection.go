package correlate

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/komondor/komondor/event"
)

// Selection picks events out by more than their kind. What it picks is counted under a kind of
// its own (event.Kind.Selected), so that one report says how often, and nothing of why: the
// event itself never leaves the host.
type Selection struct {
	Name string
	// From is where it is written: two of one name from different places are different.
	From    string
	Matches func(event.Event) bool
	// Field is whose distinct values are counted; empty: the selector's own.
	Field Field
	// As is the event as the selection sees it, with its fields exchanged (Sigma's aliases);
	// nil: as it is. False where it lacks them.
	As func(event.Event) (event.Event, bool)
}

// Field is what a rule counts the distinct values of.
type Field string

// The fields. Users and whole target addresses leave no host: of targets keyed hashes do, of users
// nothing does, because names can be guessed.
const (
	FieldPort          Field = "target.port" // with the protocol: "tcp/22"
	FieldTarget        Field = "target.ip"
	FieldSource        Field = "source.ip" // an IPv4 address or an IPv6 /64
	FieldKind          Field = "kind"
	FieldVulnerability Field = "vulnerability"
	FieldUser          Field = "user"
)

// Fields lists them.
func Fields() []Field {
	return []Field{FieldPort, FieldTarget, FieldSource, FieldKind, FieldVulnerability, FieldUser}
}

// fieldOf is what is counted under a selector, unless a rule asks for something else: ports under
// a source, the targets of a source's port, a port or a vulnerability, and the sources under a
// subnet, be it theirs or their targets'.
func fieldOf(by event.Selector) Field {
	switch {
	case by.Has(event.BySource) && !by.Has(event.ByPort):
		return FieldPort
	case by.Has(event.BySourceSubnet), !by.Has(event.BySource) && by.Has(event.BySubnet):
		return FieldSource
	}
	return FieldTarget
}

// value is the event's value of the field; empty where it has none.
func (f Field) value(e event.Event) string {
	switch f {
	case FieldPort:
		if e.Target.Port != 0 {
			return fmt.Sprintf("%s/%d", e.Protocol, e.Target.Port)
		}
	case FieldTarget:
		if e.Target.Addr.IsValid() {
			return e.Target.Addr.Unmap().String()
		}
	case FieldSource:
		if e.Source.Addr.IsValid() {
			return event.SourceValue(event.SourcePrefix(e.Source.Addr))
		}
	case FieldKind:
		return string(e.Kind.Plain())
	case FieldVulnerability:
		return e.Vulnerability
	case FieldUser:
		return e.User
	}
	return ""
}

// prepare gives a rule a selection of its own where it counts another field than the selector's
// evidence holds: its tallies are kept apart from those of other rules.
func (rs *Rules) prepare(r Rule) Rule {
	field := fieldOf(r.GroupBy)
	if r.Type == ValueCount && r.Field != "" && r.Field != field {
		kinds, picked := r.Kinds, r.Selections
		r.Kinds = []string{selected(r.Name)}
		r.Local = r.Local || r.Field == FieldUser
		r.Selections = []Selection{{Name: r.Name, From: "rule " + r.Name, Field: r.Field, Matches: func(e event.Event) bool {
			return slices.ContainsFunc(kinds, e.Kind.Matches) ||
				slices.ContainsFunc(picked, func(s Selection) bool { return slices.Contains(kinds, selected(s.Name)) && s.Matches(e) })
		}}}
		field = r.Field
	}
	r.Field = field
	r.Kinds, r.Selections = slices.Clone(r.Kinds), slices.Clone(r.Selections)
	for i := range r.Selections {
		s := &r.Selections[i]
		if rs.taken(*s) { // by another file's: it is counted apart
			name := s.Name
			s.Name = r.Name + "." + name
			for k := range r.Kinds {
				if r.Kinds[k] == selected(name) {
					r.Kinds[k] = selected(s.Name)
				}
			}
		}
		if !slices.ContainsFunc(rs.selections, func(other Selection) bool { return other.Name == s.Name }) {
			rs.selections = append(rs.selections, *s)
			if s.Field != "" {
				rs.fields[s.Name] = s.Field
			}
		}
	}
	return r
}

// taken reports whether a selection from elsewhere has the name.
func (rs *Rules) taken(s Selection) bool {
	return slices.ContainsFunc(rs.selections, func(other Selection) bool { return other.Name == s.Name && other.From != s.From })
}

// selected is the pattern for what the selection of that name picks out.
func selected(name string) string { return string(event.Kind("").Selected(name)) }

// Views are the event, and the event once more for each selection that picks it out.
func (rs Rules) Views(e event.Event) iter.Seq[event.Event] {
	return func(yield func(event.Event) bool) {
		if !yield(e) {
			return
		}
		for _, s := range rs.selections {
			if !s.Matches(e) {
				continue
			}
			view, ok := e, true
			if s.As != nil {
				view, ok = s.As(e)
			}
			view.Kind = e.Kind.Selected(s.Name)
			if ok && !yield(view) {
				return
			}
		}
	}
}

// Meets reports whether others' evidence is judged together with one's own under keys of the
// selector, so that there is something to report.
func (rs Rules) Meets(by event.Selector) bool {
	return slices.ContainsFunc(rs.list, func(r Rule) bool { return r.GroupBy == by && !r.Local })
}

// Leaves reports whether what is counted under the kind may leave the host: not what selections have picked
// out for rules that are judged at home only.
func (rs Rules) Leaves(k event.Kind) bool {
	return k == k.Plain() || slices.ContainsFunc(rs.list, func(r Rule) bool { return !r.Local && r.Counts(k) })
}

// field is what the sketches of a kind's tallies hold, under a selector.
func (rs Rules) field(by event.Selector, k event.Kind) Field {
	if _, name, ok := strings.Cut(string(k), selected("")); ok {
		if f, ok := rs.fields[name]; ok {
			return f
		}
	}
	return fieldOf(by)
}

// Package correlate turns evidence into verdicts: it merges the lines of one
// login attempt, tallies what this node sees under each key, gathers what other
// members say, and judges both by the same rules. It is pure: no I/O, no
// goroutine, no clock; windows run on the time of the events.
package correlate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// Rule is a Sigma correlation rule (specification 2.1), with event kinds in the place of base
// rules or beside them. What Sigma does not know: a rule is judged with two conditions, on a
// node's own evidence and on that of all members together.
type Rule struct {
	Name        string // lower case and hyphens
	Title       string // a line
	Description string
	// From is where the rule is written, FILE:LINE:COLUMN; empty where it is not.
	From string
	Type Type
	// Kinds are what the rule counts: kinds, prefixes of them that end in ".*", and "=NAME" for
	// what a selection picks out. For the temporal types each is a stage, in their order.
	Kinds []string
	// Names are Kinds as the rule's file has them, for people; empty: as they are.
	Names   []string
	GroupBy event.Selector
	Field   Field // that ValueCount counts; empty: the selector's own, see fieldOf
	// Level is Sigma's: informational, low, medium, high or critical. A rule whose conditions have
	// levels shows the one that the evidence reaches in its place.
	Level string
	// Blocks says whether the rule names offenders to block; otherwise it informs.
	Blocks bool
	// Sources is how many sources a prefix must have evidence against, at the least, where
	// the rule blocks prefixes (Crowds): 2 to 64.
	Sources int
	// Local rules are judged at home only, because what they count must not leave the host.
	Local bool

	Home       Condition
	Federation Condition

	Selections []Selection // that Kinds name
}

// Type is how a rule counts; the names are Sigma's.
type Type string

// The types.
const (
	// EventCount counts observations.
	EventCount Type = "event_count"
	// ValueSum adds the severity points of the events.
	ValueSum Type = "value_sum"
	// ValueAverage is the mean severity of an organisation's events. As many organisations as the
	// quorum must reach the threshold, each by itself.
	ValueAverage Type = "value_avg"
	// ValueCount counts distinct values of a field.
	ValueCount Type = "value_count"
	// Temporal counts the stages of which there is an event.
	Temporal Type = "temporal"
	// TemporalOrdered is Temporal for stages that follow one another. Times are known to a slot
	// of a report (five minutes and more, a minute at home): events of one slot are in order.
	TemporalOrdered Type = "temporal_ordered"
)

// distinct tells whether the type counts distinct values: of a field, or stages.
func (t Type) distinct() bool { return t == ValueCount || t.temporal() }

func (t Type) temporal() bool { return t == Temporal || t == TemporalOrdered }

// Condition is Sigma's timespan and "gte" condition, with a quorum.
type Condition struct {
	Timespan time.Duration
	AtLeast  int
	// Quorum is how many distinct organisations must have evidence; none of them
	// counts for more than AtLeast/Quorum (rounded up).
	Quorum int
	// Levels are thresholds with names, ascending; the lowest is AtLeast. There need not be any.
	Levels []Level
}

func (c Condition) seconds() int64 { return int64(c.Timespan / time.Second) }

func (c Condition) share() int { return (c.AtLeast + c.Quorum - 1) / c.Quorum }

// Scope says on whose evidence a rule is judged.
type Scope string

const (
	Home       Scope = "home"       // one organisation's own
	Federation Scope = "federation" // all members' together
)

func (r Rule) condition(s Scope) Condition {
	if s == Home {
		return r.Home
	}
	return r.Federation
}

// Counts reports whether events of the kind are evidence for the rule.
func (r Rule) Counts(kind event.Kind) bool {
	return slices.ContainsFunc(r.Kinds, kind.Matches)
}

// Rules is a checked set of rules with their severity table.
type Rules struct {
	list       []Rule
	concern    map[concern][]int // the places in the list of the rules that a known kind concerns
	selections []Selection
	fields     map[string]Field // by selection: what its tallies' sketches hold
	severity   func(event.Kind) int
	relations  []Relation
}

// NewRules checks the rules; all that is wrong with them is in the error.
func NewRules(list []Rule, severity func(event.Kind) int) (Rules, error) {
	rs := Rules{fields: map[string]Field{}, severity: func(k event.Kind) int { return severity(k.Plain()) }}
	var errs []error
	names := map[string]bool{}
	for _, r := range list {
		if names[r.Name] {
			errs = append(errs, placed(r.From, fmt.Errorf("rule %s: %w", r.Name, errTwo)))
		}
		names[r.Name] = true
		if err := r.check(); err != nil {
			errs = append(errs, placed(r.From, fmt.Errorf("rule %s: %w", r.Name, err)))
		}
		rs.list = append(rs.list, rs.prepare(r))
	}
	rs.concerns()
	return rs, errors.Join(errs...)
}

var errTwo = errors.New("there are two of this name: give this one another")

// placed puts before an error the place that it is about, if there is one.
func placed(place string, err error) error {
	if place == "" {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}

// MaxTimespan bounds the time span of a rule: a node keeps what it has seen no longer.
const MaxTimespan = 30 * 24 * time.Hour

// check says what is wrong with the rule's conditions: the first thing, which is mostly wrong with both.
func (r Rule) check() error {
	for _, c := range []Condition{r.Home, r.Federation} {
		if c.Timespan < time.Minute || c.Timespan > MaxTimespan || c.AtLeast < 1 || c.Quorum < 1 {
			return errors.New("want a timespan of a minute to 30 days, and a threshold and quorum of 1 or more")
		}
		if most := c.most(); r.Type.distinct() && most > event.SketchSize {
			return fmt.Errorf("distinct values are exact up to %d, threshold %d is above", event.SketchSize, most)
		}
		if err := c.checkLevels(); err != nil {
			return err
		}
	}
	return nil
}

// WithQuorum returns the rules with another quorum over the federation, at least 1.
func (rs Rules) WithQuorum(q int) Rules {
	rs.list = slices.Clone(rs.list)
	for i := range rs.list {
		rs.list[i].Federation.Quorum = max(q, 1)
	}
	return rs
}

// All returns the rules in their order.
func (rs Rules) All() []Rule { return slices.Clone(rs.list) }

// Severity is what one observation of the kind weighs, in points.
func (rs Rules) Severity(k event.Kind) int { return rs.severity(k) }

// Longest is the longest timespan of any rule: how long evidence matters.
func (rs Rules) Longest() time.Duration {
	var longest time.Duration
	for _, r := range rs.list {
		longest = max(longest, r.Home.Timespan, r.Federation.Timespan)
	}
	return longest
}

// Named returns the rule of that name.
func (rs Rules) Named(name string) (Rule, bool) {
	i := slices.IndexFunc(rs.list, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return Rule{}, false
	}
	return rs.list[i], true
}

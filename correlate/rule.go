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

// Rule has the shape of a Sigma correlation rule (specification 2.1), with event
// kinds in the place of base rules. What Sigma does not know stands in Home and
// Federation: one rule is judged with two conditions, on a node's own evidence
// and on that of all members together.
type Rule struct {
	Name  string // as Sigma's name: lower case and hyphens
	Title string
	Type  Type
	// Kinds are the kinds the rule counts: whole ones, or prefixes ending in ".*".
	Kinds   []string
	GroupBy event.Selector
	Level   string // as Sigma's level: informational, low, medium, high, critical
	// Blocks says whether the rule names offenders to block; otherwise it informs.
	Blocks bool

	Home       Condition
	Federation Condition
}

// Type is how a rule counts; the names are Sigma's.
type Type string

const (
	// ValueSum adds the severity points of the events.
	ValueSum Type = "value_sum"
	// ValueCount counts distinct values: ports under a source, targets under a
	// port or vulnerability, sources under a subnet.
	ValueCount Type = "value_count"
)

// Condition is Sigma's timespan and "gte" condition, with a quorum.
type Condition struct {
	Timespan time.Duration
	AtLeast  int
	// Quorum is how many distinct organisations must have evidence; none of them
	// counts for more than AtLeast/Quorum (rounded up).
	Quorum int
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

// Builtin returns the rules that are loaded without any configuration, with the
// defaults of the design, section 4.
func Builtin() []Rule {
	return []Rule{
		{
			Name: "ssh-brute-force", Title: "Login attempts by guessing", Type: ValueSum,
			Kinds: []string{"ssh.*"}, GroupBy: event.BySource, Level: "high", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 10, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 20, Quorum: 2},
		},
		{
			Name: "web-attack", Title: "Searching a web server for weaknesses, or guessing its passwords", Type: ValueSum,
			Kinds: []string{"http.*"}, GroupBy: event.BySource, Level: "high", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 15, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 20, Quorum: 2},
		},
		{
			Name: "ftp-brute-force", Title: "Logins to a file server by guessing", Type: ValueSum,
			Kinds: []string{"ftp.*"}, GroupBy: event.BySource, Level: "high", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 10, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 20, Quorum: 2},
		},
		{
			Name: "ids-alert-burst", Title: "Many IDS alerts about one source", Type: ValueSum,
			Kinds: []string{"ids.*"}, GroupBy: event.BySource, Level: "high", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 20, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 30, Quorum: 2},
		},
		{
			Name: "vertical-scan", Title: "One source tries many ports", Type: ValueCount,
			Kinds: []string{"scan.*", "ids.*"}, GroupBy: event.BySource, Level: "medium", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 10, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 10, Quorum: 2},
		},
		{
			Name: "horizontal-scan", Title: "One port is tried on many targets", Type: ValueCount,
			Kinds: []string{"scan.*", "ids.*"}, GroupBy: event.ByPort, Level: "medium", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 10, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 10, Quorum: 2},
		},
		{
			Name: "vulnerability-sweep", Title: "One vulnerability is tried on many targets", Type: ValueCount,
			Kinds: []string{"ids.*"}, GroupBy: event.ByVulnerability, Level: "high", Blocks: true,
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 10, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 10, Quorum: 2},
		},
		{
			Name: "mixed-scan", Title: "Many sources try one subnet", Type: ValueCount,
			Kinds: []string{"scan.*", "ids.*"}, GroupBy: event.BySubnet, Level: "medium",
			Home:       Condition{Timespan: 10 * time.Minute, AtLeast: 12, Quorum: 1},
			Federation: Condition{Timespan: time.Hour, AtLeast: 12, Quorum: 2},
		},
	}
}

// Rules is a checked set of rules with their severity table.
type Rules struct {
	list     []Rule
	severity func(event.Kind) int
}

// NewRules checks the rules; all that is wrong with them is in the error.
func NewRules(list []Rule, severity func(event.Kind) int) (Rules, error) {
	var errs []error
	names := map[string]bool{}
	for _, r := range list {
		if names[r.Name] {
			errs = append(errs, fmt.Errorf("rule %s: there are two of this name", r.Name))
		}
		names[r.Name] = true
		for _, c := range []Condition{r.Home, r.Federation} {
			if c.Timespan < time.Minute || c.AtLeast < 1 || c.Quorum < 1 {
				errs = append(errs, fmt.Errorf("rule %s: want a timespan of a minute or more, and a threshold and quorum of 1 or more", r.Name))
			}
			if r.Type == ValueCount && c.AtLeast > event.SketchSize {
				errs = append(errs, fmt.Errorf("rule %s: distinct values are exact up to %d, threshold %d is above", r.Name, event.SketchSize, c.AtLeast))
			}
		}
	}
	return Rules{list: list, severity: severity}, errors.Join(errs...)
}

// WithQuorum returns the rules with another quorum over the federation, at least 1.
func (rs Rules) WithQuorum(q int) Rules {
	list := slices.Clone(rs.list)
	for i := range list {
		list[i].Federation.Quorum = max(q, 1)
	}
	return Rules{list: list, severity: rs.severity}
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

// values names, for one event under a selector, the distinct value that the
// rules of the selector count.
func value(by event.Selector, e event.Event) string {
	switch by {
	case event.BySource:
		if e.Target.Port != 0 {
			return fmt.Sprintf("%s/%d", e.Protocol, e.Target.Port)
		}
	case event.ByPort, event.ByVulnerability:
		if e.Target.Addr.IsValid() {
			return e.Target.Addr.Unmap().String()
		}
	}
	return ""
}

package correlate

import (
	"cmp"
	"fmt"
	"slices"
)

// Level is a name for how much evidence there is: a rule with levels warns early, and more
// urgently as evidence grows (paper 003, situations).
type Level struct {
	Name    string // one of WarningLevels
	AtLeast int    // in the rule's unit, from 1
}

// WarningLevels are the names that levels can have, from the least urgent.
func WarningLevels() []string { return []string{"warning", "minor", "critical"} }

// Threshold is the condition with another threshold, and its levels in the same proportion to it
// as before, rounded up.
func (c Condition) Threshold(n int) Condition {
	var levels []Level
	for _, l := range c.Levels {
		levels = append(levels, Level{l.Name, (l.AtLeast*n + c.AtLeast - 1) / c.AtLeast})
	}
	c.AtLeast, c.Levels = n, levels
	return c
}

// at is the condition for one of its levels.
func (c Condition) at(l Level) Condition {
	c.AtLeast, c.Levels = l.AtLeast, nil
	return c
}

// checkLevels says what is wrong with the levels: the lowest is what the condition asks for, and
// each asks for no less than the one before.
func (c Condition) checkLevels() error {
	if len(c.Levels) > 0 && c.Levels[0].AtLeast != c.AtLeast {
		return fmt.Errorf("level %s at %d and a condition of %d: want the same for the lowest level and the condition", c.Levels[0].Name, c.Levels[0].AtLeast, c.AtLeast)
	}
	if !slices.IsSortedFunc(c.Levels, func(a, b Level) int { return cmp.Compare(a.AtLeast, b.AtLeast) }) {
		return fmt.Errorf("levels %v: want each higher than the one before", c.Levels)
	}
	return nil
}

// most is the highest threshold of the condition.
func (c Condition) most() int {
	if n := len(c.Levels); n > 0 {
		return c.Levels[n-1].AtLeast
	}
	return c.AtLeast
}

// level is the highest level that the evidence in the window reaches, with all below it: each is
// a threshold as the condition's own is, with the quorum and the shares that follow from it.
func (w window) level(r Rule, c Condition, exhibits []exhibit) string {
	reached := r.Level
	for _, l := range c.Levels {
		if !w.crosses(r, c.at(l), exhibits) {
			break
		}
		reached = l.Name
	}
	return reached
}

// rank is how urgent the verdict's level is; -1 for a rule without levels.
func (v Verdict) rank() int {
	if len(v.Rule.condition(v.Scope).Levels) == 0 {
		return -1
	}
	return slices.Index(WarningLevels(), v.Level)
}

// reached are the thresholds that the verdict's evidence has crossed: the condition's own, and
// those of the levels above it up to the verdict's.
func (v Verdict) reached() []Condition {
	c := v.Rule.condition(v.Scope)
	all := []Condition{c}
	for _, l := range c.Levels {
		if l.AtLeast > c.AtLeast && slices.Index(WarningLevels(), l.Name) <= v.rank() {
			all = append(all, c.at(l))
		}
	}
	return all
}

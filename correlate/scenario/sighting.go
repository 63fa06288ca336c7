package scenario

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// slot is a place in a scenario: a model's action, or what refines it.
type slot struct {
	model   int
	refines bool
}

// number counts slots: an action's, then that of what refines it.
func (s slot) number() int {
	if s.refines {
		return 2*s.model + 1
	}
	return 2 * s.model
}

// sighting is an action that was seen, with the values that it has given to variables: all
// observations that gave the same values. Or it is what refines such an action.
type sighting struct {
	slot   slot
	key    string
	values []assigned
	counts []int     // by binding
	proved []int     // of these, what was seen here and no stranger can have made up
	here   time.Time // of the newest that was seen here
	ripe   bool      // enough of it was seen
	sure   bool      // by what is the action wherever it is seen
	count  int
	first  time.Time
	last   time.Time
	own    bool
	cells  []string
	// because are the latest observations' ids; latest is the newest observation, an own one before
	// others'.
	because   []string
	latest    Observation
	concluded []string

	complete int       // how many steps the largest partial scenario has that it was in
	told     time.Time // when the others were told of it
	gone     bool      // it was given up
}

type assigned struct {
	variable int
	value    string
}

// maxBecause is how many observations, and how many cells, a sighting names.
const maxBecause = 16

// values are what a binding makes of an observation, but for measures.
func (b *Binding) values(m *Model, o *Observation) (values []assigned) {
	for _, f := range b.Fields {
		if f.Field == countField {
			continue
		}
		if value := o.field(f.Field); value != "" {
			values = append(values, assigned{f.variable, value})
		}
	}
	slices.SortFunc(values, func(a, b assigned) int { return a.variable - b.variable })
	return values
}

// sightingKey is the same for sightings that are one.
func sightingKey(s slot, values []assigned) string {
	var key strings.Builder
	key.WriteString(strconv.Itoa(s.number()))
	for _, a := range values {
		key.WriteString("|" + strconv.Itoa(a.variable) + "=" + strconv.Quote(a.value))
	}
	return key.String()
}

// take adds an observation by one of the slot's bindings.
func (x *sighting) take(binding int, b *Binding, o Observation) {
	n := max(o.Count, 1)
	x.counts[binding] += n
	if o.Own && o.Time.After(x.here) {
		x.here = o.Time
	}
	if o.Own && !o.Unproved {
		x.proved[binding] += n
	}
	if x.counts[binding] >= b.AtLeast {
		x.ripe, x.sure = true, x.sure || !b.Follows
	}
	x.count += n
	if x.first.IsZero() || o.Time.Before(x.first) {
		x.first = o.Time
	}
	if o.Time.After(x.last) {
		x.last = o.Time
	}
	if x.latest.ID == "" || o.Own && !x.latest.Own || o.Own == x.latest.Own && !o.Time.Before(x.latest.Time) {
		x.latest = o
	}
	x.own = x.own || o.Own
	x.cells = remember(x.cells, o.Cell)
	x.because = remember(x.because, o.ID)
	for _, name := range o.Concluded {
		x.concluded = remember(x.concluded, name)
	}
}

// isProved tells whether any of it was seen here and no stranger can have made it up.
func (x *sighting) isProved() bool {
	return slices.ContainsFunc(x.proved, func(n int) bool { return n > 0 })
}

// remember adds a name to the latest ones.
func remember(names []string, name string) []string {
	if name == "" || slices.Contains(names, name) {
		return names
	}
	if len(names) == maxBecause {
		names = names[1:]
	}
	return append(names, name)
}

// shares tells whether two sightings rest on one observation.
func (x *sighting) shares(y *sighting) bool {
	return slices.ContainsFunc(x.because, func(id string) bool { return slices.Contains(y.because, id) })
}

// before orders candidates: what was seen here first, then the newest.
func (x *sighting) before(y *sighting) int {
	if x.own != y.own {
		return cmp.Compare(b2i(y.own), b2i(x.own))
	}
	return cmp.Or(y.last.Compare(x.last), strings.Compare(x.key, y.key))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

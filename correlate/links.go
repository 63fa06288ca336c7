package correlate

import (
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

const (
	groupsKept   = 1 << 13 // of one relation; the oldest goes
	groupsAlike  = 128     // of them with the same in common, among which an event's is looked for
	groupMembers = 8       // sensors that tell of one attack, at the most
)

// Links takes events that belong together for one: duplicates, and what confirms an earlier event.
// It stands behind Attempts, for the events of one node, and says what they change in the same way.
//
// Memory is bounded: of each relation it remembers up to 2^13 groups of up to 8 events, up to 128 of
// them with the same in common, each until the newest event is by Within and two minutes younger. What comes later counts for itself, and what
// was forgotten for want of room is counted in Forgotten.
type Links struct {
	linkers []*linker
	// Linked, if set, is told of each event that joins others.
	Linked func(Link)
}

// Link is an event that belongs to an earlier one: the same attack, told by another sensor, or
// what confirms it.
type Link struct {
	Relation    Relation
	First, Then event.Event
}

// NewLinks returns the links of the rules' relations, in their order: what one relation makes of
// events is what the next one sees.
func NewLinks(rules Rules) *Links {
	l := &Links{}
	for _, r := range rules.relations {
		if r.Type != Consequence {
			l.linkers = append(l.linkers, &linker{relation: r, groups: make(map[string][]*group)})
		}
	}
	return l
}

// Add takes a change of the evidence, and returns what it changes once events that belong together
// are taken for one.
func (l *Links) Add(c Change) []Change {
	changes := []Change{c}
	for _, of := range l.linkers {
		if !slices.ContainsFunc(changes, of.concerns) {
			continue
		}
		var next []Change
		for _, c := range changes {
			next = of.add(next, c, l.Linked)
		}
		changes = next
	}
	return changes
}

// Forgotten is how many groups were given up for want of room while something could still have joined them.
func (l *Links) Forgotten() (n uint64) {
	for _, of := range l.linkers {
		n += of.forgotten
	}
	return n
}

// linker keeps one relation's groups, by what their events have in common.
type linker struct {
	relation  Relation
	groups    map[string][]*group
	queue     []*group // from the oldest
	newest    time.Time
	forgotten uint64
}

// group is events that are taken for one.
type group struct {
	common  string
	members []event.Event // of a confirmation: the first, or the second, or both in this order
	stage   int           // what it began with
	begun   time.Time     // by the newest event then, so that the queue is in order
}

// add appends to changes what a change changes.
func (l *linker) add(changes []Change, c Change, linked func(Link)) []Change {
	stage := l.stage(c.Event)
	if stage < 0 || c.Event.Severity < 0 {
		return append(changes, c)
	}
	common, ok := l.relation.common(c.Event, stage == 0)
	if !ok {
		return append(changes, c)
	}
	if c.Delta < 0 {
		return append(changes, l.takeBack(common, c)...)
	}
	if c.Event.Time.After(l.newest) {
		l.newest = c.Event.Time
	}
	l.forget()
	g := l.find(common, c.Event, stage)
	if g == nil {
		g = &group{common: common, members: []event.Event{c.Event}, stage: stage, begun: l.newest}
		if alike := l.groups[common]; len(alike) == groupsAlike {
			l.forgotten++
			l.drop(alike[0])
		}
		l.groups[common] = append(l.groups[common], g)
		l.queue = append(l.queue, g)
		return append(changes, c)
	}
	before := l.taken(g)
	if g.members = append(g.members, c.Event); l.relation.Type == Confirmation && stage == 0 {
		slices.Reverse(g.members)
	}
	if linked != nil {
		linked(Link{l.relation, g.members[0], g.members[len(g.members)-1]})
	}
	return append(changes, instead(before, l.taken(g))...)
}

// concerns reports whether the change can be of one of the relation's events, by its kind.
func (l *linker) concerns(c Change) bool { return len(l.relation.stagesOf(c.Event.Kind)) > 0 }

// stage is which of the relation's events this is, the last one that it can be; -1 for none.
func (l *linker) stage(e event.Event) int {
	for _, i := range slices.Backward(l.relation.stagesOf(e.Kind)) {
		if l.relation.Stages[i].Matches(e) {
			return i
		}
	}
	return -1
}

// find returns the group that an event joins, nil for none: of a confirmation the one nearest in time.
func (l *linker) find(common string, e event.Event, stage int) (nearest *group) {
	apart := l.relation.Within + 1
	for _, g := range l.groups[common] {
		if l.relation.Type == Duplicate {
			if l.duplicates(g, &e) {
				return g
			}
			continue
		}
		if d, ok := l.confirms(g, &e, stage); ok && d < apart {
			nearest, apart = g, d
		}
	}
	return nearest
}

// duplicates reports whether the event is what another sensor tells of the group's attack.
func (l *linker) duplicates(g *group, e *event.Event) bool {
	for i := range g.members {
		m := &g.members[i]
		sameSensor := m.File == e.File && m.Sensor == e.Sensor
		if sameSensor || m.Time.Sub(e.Time).Abs() > l.relation.Within || !l.relation.agree(*m, *e) {
			return false
		}
	}
	return len(g.members) < groupMembers
}

// confirms reports whether the event and the group's are a first one and what confirms it, and
// how far apart they are. Events of one second are in order, since many logs write no more than that.
func (l *linker) confirms(g *group, e *event.Event, stage int) (apart time.Duration, ok bool) {
	if len(g.members) > 1 || g.stage == stage {
		return 0, false
	}
	first, then := &g.members[0], e
	if stage == 0 {
		first, then = e, &g.members[0]
	}
	apart = second(*then).Sub(second(*first))
	return apart, apart >= 0 && apart <= l.relation.Within && l.relation.agree(*first, *then)
}

// taken is the event that the group is taken for.
func (l *linker) taken(g *group) event.Event {
	taken := g.members[0]
	for _, m := range g.members[1:] {
		if l.relation.Type == Duplicate && m.Severity > taken.Severity {
			taken = m
		}
	}
	if l.relation.Type == Confirmation && len(g.members) == 2 {
		taken.Kind, taken.Severity, taken.Count = l.relation.Makes, l.relation.Makes.Severity(), 1
	}
	if l.relation.Type == Duplicate {
		for _, m := range g.members { // what one of the records proves holds for the attack
			taken.Proof = max(taken.Proof, m.Proof)
		}
	}
	return taken
}

// instead is the change from one event to another.
func instead(before, after event.Event) []Change {
	if before == after {
		return nil
	}
	return []Change{{before, -1}, {after, +1}}
}

// takeBack takes an event out of its group again.
func (l *linker) takeBack(common string, c Change) []Change {
	for _, g := range l.groups[common] {
		i := slices.IndexFunc(g.members, func(m event.Event) bool { return brief(m) == brief(c.Event) })
		if i < 0 {
			continue
		}
		before := l.taken(g)
		if g.members = slices.Delete(g.members, i, i+1); len(g.members) == 0 {
			l.drop(g)
			return []Change{{before, -1}}
		}
		g.stage = l.stage(g.members[0])
		return instead(before, l.taken(g))
	}
	return []Change{c}
}

// forget drops the groups that nothing can join any more, and the oldest where there are too many.
func (l *linker) forget() {
	for len(l.queue) > 0 {
		g := l.queue[0]
		old := l.newest.Sub(g.begun) > l.relation.Within+lateness
		if !old && len(l.queue) < groupsKept {
			return
		}
		if !old && len(g.members) > 0 {
			l.forgotten++
		}
		l.drop(g)
		l.queue[0] = nil
		l.queue = l.queue[1:]
	}
}

// drop takes a group from where it is found; the queue has it until its turn comes.
func (l *linker) drop(g *group) {
	g.members = nil
	rest := slices.DeleteFunc(l.groups[g.common], func(other *group) bool { return other == g })
	if len(rest) == 0 {
		delete(l.groups, g.common)
	} else {
		l.groups[g.common] = rest
	}
}

package correlate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

const (
	chainsKept = 1 << 12         // that wait for a consequence; the oldest goes
	queueKept  = 1 << 12         // events that wait for those before them
	disorder   = 5 * time.Second // by which events may come after later ones
)

// Chains watches what has to follow what (the relations of type Consequence), and makes an event of
// each consequence that does not come. It sees all events of one node, those of its own networks
// too. Windows run on the time of the events; the caller's clock says only until when to wait.
//
// There is one chain at a time of what has the same in common: while one waits, a further first
// event adds nothing, and one that follows is the consequence of all. Events of one second are in
// order, since many logs write no more than that.
//
// Memory is bounded: 2^12 chains, of which the oldest are given up and counted in Forgotten, and
// 2^12 events that wait a few seconds for those before them; under more they wait less.
type Chains struct {
	relations []Relation
	queue     []queued // by time
	running   map[chainKey]*chain
	begun     []*chain  // in their order; those that are over are dropped by and by
	next      time.Time // no chain is due before
	overdue   []*chain  // by the time of the events, to be told
	forgotten uint64
}

// queued is an event until those that may have to come before it have come.
type queued struct {
	event event.Event
	stage int       // the first that it is in any relation
	come  time.Time // by the caller's clock
}

type chainKey struct {
	relation int
	common   string
}

// chain waits for an event.
type chain struct {
	key   chainKey
	stage int // that it waits for
	last  event.Event
	due   time.Time // by the caller's clock
	over  bool
}

// NewChains returns what watches the rules' consequences.
func NewChains(rules Rules) *Chains {
	c := &Chains{running: make(map[chainKey]*chain)}
	for _, r := range rules.relations {
		if r.Type == Consequence {
			c.relations = append(c.relations, r)
		}
	}
	return c
}

// Add takes an event that has come at now.
func (c *Chains) Add(now time.Time, e event.Event) {
	stage := c.stage(e)
	if stage < 0 {
		return
	}
	if e.Time.After(now) {
		now = e.Time
	}
	q := queued{e, stage, now}
	at, _ := slices.BinarySearchFunc(c.queue, q, func(have, q queued) int {
		return cmp.Or(second(have.event).Compare(second(q.event)), cmp.Compare(have.stage, q.stage), -1) // behind its equals
	})
	c.queue = slices.Insert(c.queue, at, q)
	if len(c.queue) > queueKept { // an eighth at once, since the rest has to be moved
		c.take(queueKept / 8)
	}
}

// take follows the first n events of the queue.
func (c *Chains) take(n int) {
	for _, q := range c.queue[:n] {
		c.follow(q)
	}
	c.queue = slices.Delete(c.queue, 0, n)
}

// Tick emits an event for each consequence that is missing at now, in the order in which they had
// to come. It wants to be called every second or so.
func (c *Chains) Tick(now time.Time, emit func(event.Event)) {
	ready := 0
	for i, q := range slices.Backward(c.queue) {
		if !q.come.Add(disorder).After(now) {
			ready = i + 1
			break
		}
	}
	c.take(ready)
	if !c.next.IsZero() && !now.Before(c.next) {
		c.next = time.Time{}
		for _, waits := range c.running {
			if waits.due.Before(now) {
				c.miss(waits)
			} else {
				c.wake(waits.due)
			}
		}
	}
	missing := c.overdue
	c.overdue = nil
	slices.SortFunc(missing, func(a, b *chain) int {
		return cmp.Or(c.deadline(a).Compare(c.deadline(b)), cmp.Compare(a.key.relation, b.key.relation), cmp.Compare(a.key.common, b.key.common))
	})
	for _, m := range missing {
		emit(c.missing(m))
	}
}

// Forgotten is how many chains were given up for want of room.
func (c *Chains) Forgotten() uint64 { return c.forgotten }

// second is as much of an event's time as orders it.
func second(e event.Event) time.Time { return e.Time.Truncate(time.Second) }

// stage is the first stage of any relation that the event can be; -1 for none.
func (c *Chains) stage(e event.Event) int {
	first := -1
	for _, r := range c.relations {
		stages := r.stagesOf(e.Kind)
		if at := slices.IndexFunc(stages, func(at int) bool { return r.Stages[at].Matches(e) }); at >= 0 && (first < 0 || stages[at] < first) {
			first = stages[at]
		}
	}
	return first
}

// follow has an event go on with the chains that wait for it, and begin others.
func (c *Chains) follow(q queued) {
	for i, r := range c.relations {
		c.advance(i, r, q)
		if common, ok := r.common(q.event, true); ok && r.Stages[0].Matches(q.event) {
			c.begin(chainKey{i, common}, q)
		}
	}
}

// advance has the relation's chain that waits for the event, if one does, wait for the next one.
func (c *Chains) advance(i int, r Relation, q queued) {
	common, ok := r.common(q.event, false)
	if !ok {
		return
	}
	waits := c.awaits(chainKey{i, common}, q.event)
	if waits == nil || !r.Stages[waits.stage].Matches(q.event) {
		return
	}
	if second(q.event).Before(second(waits.last)) {
		return
	}
	if waits.stage++; waits.stage == len(r.Stages) {
		c.end(waits)
		return
	}
	c.wait(waits, q)
}

// begin has a chain wait for what follows the event, unless there is one.
func (c *Chains) begin(key chainKey, q queued) {
	if c.awaits(key, q.event) != nil {
		return
	}
	for len(c.running) >= chainsKept {
		if !c.begun[0].over {
			c.forgotten++
			c.end(c.begun[0])
		}
		c.begun = c.begun[1:]
	}
	if len(c.begun) >= 2*chainsKept {
		c.begun = slices.DeleteFunc(c.begun, func(old *chain) bool { return old.over })
	}
	begins := &chain{key: key, stage: 1}
	c.running[key], c.begun = begins, append(c.begun, begins)
	c.wait(begins, q)
}

// awaits returns the chain that still waits when the event happens, nil for none.
func (c *Chains) awaits(key chainKey, e event.Event) *chain {
	waits := c.running[key]
	if waits != nil && second(e).Sub(second(waits.last)) > c.relations[key.relation].Within {
		c.miss(waits)
		return nil
	}
	return waits
}

// wait notes until when a chain waits: as long as the next event may take to come after this one
// has, late and then waiting for those before it.
func (c *Chains) wait(waits *chain, q queued) {
	waits.last = q.event
	waits.due = q.come.Add(c.relations[waits.key.relation].Within + 2*disorder)
	c.wake(waits.due)
}

// wake has Tick look at the chains at a time.
func (c *Chains) wake(at time.Time) {
	if c.next.IsZero() || at.Before(c.next) {
		c.next = at
	}
}

// miss has the next Tick tell what a chain waited for.
func (c *Chains) miss(waits *chain) {
	c.end(waits)
	if len(c.overdue) == chainsKept { // a caller that does not call Tick
		c.forgotten++
		return
	}
	c.overdue = append(c.overdue, waits)
}

func (c *Chains) end(over *chain) {
	over.over = true
	delete(c.running, over.key)
}

// deadline is by when the next event had to come.
func (c *Chains) deadline(of *chain) time.Time {
	return of.last.Time.Add(c.relations[of.key.relation].Within)
}

// missing is the event that what a chain waited for has not come. It has no source, and accuses nobody.
func (c *Chains) missing(of *chain) event.Event {
	r := c.relations[of.key.relation]
	what := fmt.Sprintf("%s: no %s within %s after %s", r.Name, r.Stages[of.stage], r.Within, of.last.Kind)
	if of.last.Source.Addr.IsValid() {
		what += " by " + of.last.Source.Addr.String()
	}
	return event.Event{Time: c.deadline(of), Kind: event.ConsequenceMissing, Severity: event.ConsequenceMissing.Severity(), Count: 1,
		Target: of.last.Target, Sensor: r.Name, File: of.last.File, Line: of.last.Line, Detail: what}
}

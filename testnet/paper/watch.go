package paper

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/keyselect"
)

// Traffic is what the evidence of one probe under one key costs.
type Traffic struct {
	Events  int // what is known of one login attempt is one event, as for the rules
	Reports int // to each collector
	Lookups int // of the collectors
}

const (
	// routeLife is how long the overlay remembers the collectors of a key.
	routeLife = 10 * time.Minute
	// talliesKept and sweepEvery are the node's own.
	talliesKept = 100_000
	sweepEvery  = time.Minute
)

// Watch is a node's way from events to reports, on the time of the events and
// without a network: it merges attempts, tallies them under their keys and has
// the product's Reporter say when a key is to be reported. It returns the traffic
// by key.
func Watch(rules correlate.Rules, log Log) map[event.Key]Traffic {
	return Tell(rules, log, func(time.Time, event.Key, []event.Tally) {})
}

// Tell is Watch, and hands on what each report says when it is made.
func Tell(rules correlate.Rules, log Log, say func(time.Time, event.Key, []event.Tally)) map[event.Key]Traffic {
	w := watch{
		say:      say,
		ledger:   correlate.NewLedger(rules, talliesKept, func(v string) uint32 { return event.Hash32(federation, nil, v) }),
		reporter: correlate.NewReporter(rules),
		due:      make(map[event.Key]time.Time),
		routed:   make(map[event.Key]time.Time),
		traffic:  make(map[event.Key]Traffic),
	}
	var groupings []keyselect.Grouping
	for _, r := range rules.All() {
		groupings = append(groupings, keyselect.Grouping{By: r.GroupBy, Kinds: r.Kinds})
	}
	keys := keyselect.New(groupings)
	var attempts correlate.Attempts
	var room []event.Key
	var swept time.Time
	for _, e := range log.Events {
		now := e.Time
		w.tell(now)
		if now.Sub(swept) >= sweepEvery {
			swept = now
			w.ledger.Sweep(now)
			w.reporter.Keep(w.ledger.Has)
		}
		changes := attempts.Add(e)
		news := 0 // a worse line of a known attempt takes out as much as it adds
		for _, c := range changes {
			news += c.Delta * max(c.Event.Count, 1)
		}
		// The node's outbox has its turn after the event: a key is reported once,
		// however many of the changes ask for it.
		var ready []event.Key
		for i, c := range changes {
			room = keys.Append(room[:0], c.Event)
			for _, key := range room {
				w.ledger.Add(key, c)
				if i == len(changes)-1 {
					t := w.traffic[key]
					t.Events += max(news, 0)
					w.traffic[key] = t
				}
				if w.plan(now, key) && !slices.Contains(ready, key) {
					ready = append(ready, key)
				}
			}
		}
		for _, key := range ready {
			w.report(now, key)
		}
	}
	for len(w.waiting) > 0 {
		w.tell(w.waiting[0].at)
	}
	return w.traffic
}

type watch struct {
	say      func(time.Time, event.Key, []event.Tally)
	ledger   *correlate.Ledger
	reporter *correlate.Reporter
	due      map[event.Key]time.Time // when a key is to be reported, if later
	waiting  queue                   // the same by time, and what has been planned anew since
	routed   map[event.Key]time.Time
	traffic  map[event.Key]Traffic
}

// plan returns whether to report a key now, and notes when to if later.
func (w *watch) plan(now time.Time, key event.Key) bool {
	due := w.reporter.Due(now, key, w.ledger.Tallies(key))
	switch {
	case due.IsZero():
		delete(w.due, key)
	case due.After(now):
		if !w.due[key].Equal(due) {
			w.due[key] = due
			heap.Push(&w.waiting, planned{due, key})
		}
	default:
		return true
	}
	return false
}

// tell reports the keys whose time has come.
func (w *watch) tell(now time.Time) {
	for len(w.waiting) > 0 && !w.waiting[0].at.After(now) {
		next := heap.Pop(&w.waiting).(planned)
		if due, ok := w.due[next.key]; ok && due.Equal(next.at) {
			w.report(next.at, next.key)
		}
	}
}

func (w *watch) report(now time.Time, key event.Key) {
	delete(w.due, key)
	w.say(now, key, w.ledger.Tallies(key))
	w.reporter.Told(now, key, w.ledger.Tallies(key))
	t := w.traffic[key]
	t.Reports++
	if at, ok := w.routed[key]; !ok || now.Sub(at) >= routeLife {
		t.Lookups++
		w.routed[key] = now
	}
	w.traffic[key] = t
}

type planned struct {
	at  time.Time
	key event.Key
}

// queue is a heap: the earliest first, and at one time in the order of the keys.
type queue []planned

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key.Selector, b.key.Selector), cmp.Compare(a.key.Value, b.key.Value)) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(planned)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

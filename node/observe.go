package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/keyselect"
	"github.com/komondor/komondor/probe/anomaly"
)

// observer is the first part of every node: it turns what the sources see into
// evidence under keys, has it judged at home, and sends it as reports to the
// keys' collectors.
//
//	source ─Line→ parse ─Event→ archive, keys ─(Key, Report)→ outbox ─→ collectors
//	                       └→ rates ─Event→ the same way
//
// One goroutine owns the evidence; what it needs of others is in the fields.
type observer struct {
	log     *slog.Logger
	rules   correlate.Rules
	member  membership
	archive archive
	home    func(event.Key, []event.Tally)    // judges own evidence, at once
	send    func(event.Key) bool              // has the report on a key delivered, unless too many wait
	own     []netip.Prefix                    // one's own networks, which are not accused
	share   func(event.Key, event.Tally) bool // whether a tally may leave this host
	hash    func(value string) uint32         // of what is counted by distinct values, in sketches
	// steps has scenarios see an event, and recallSteps one of the archive: what is to be told of it.
	steps, recallSteps func(time.Time, event.Event) []evidenceOf
	waited             func(time.Duration) // is told how long what was seen has waited for its turn
	counters           *counters
	started            time.Time

	keys     *keyselect.Keys
	merger   *merger
	ledger   *correlate.Ledger
	reporter *correlate.Reporter
	rates    *anomaly.Detector
	learned  bool                    // something new about rates, which is not kept
	later    map[event.Key]time.Time // when figures that decide nothing are told
	versions versions
	mute     bool // there are no versions to report with, and it was logged

	sightings chan sighting
	questions chan func(*observer) // asked by explain, answered between events
	batch     batch
}

var errDropped = errors.New("dropped: more comes than can be worked on")

// sighting is what a source hands on: an event, or how far it has read, or both.
type sighting struct {
	event    *event.Event
	source   string
	position []byte
	at       time.Time
}

// archive keeps events, and with them how far their source was read.
type archive interface {
	Append(events []event.Event, positions map[string][]byte) error
	Events(ctx context.Context, from, to time.Time, fn func(event.Event) error) error
	NextVersions(n uint64) (first uint64, err error)
}

func newObserver(o observer) *observer {
	o.keys = keyselect.New(groupings(o.rules))
	o.merger = newMerger(o.rules, o.own)
	o.merger.links.Linked = func(correlate.Link) { o.counters.linked.Add(1) }
	o.ledger = correlate.NewLedger(o.rules, talliesKept, o.hash)
	o.reporter = correlate.NewReporter(o.rules)
	o.rates = anomaly.New(anomaly.Config{})
	o.later = make(map[event.Key]time.Time)
	o.versions = versions{reserve: o.archive.NextVersions}
	o.sightings = make(chan sighting, 1024)
	o.questions = make(chan func(*observer))
	o.batch = batch{archive: o.archive, counters: o.counters, log: o.log, done: make(chan error, 1)}
	return &o
}

// groupings is what key selection needs to know of the rules.
func groupings(rules correlate.Rules) []keyselect.Grouping {
	var all []keyselect.Grouping
	for _, r := range rules.All() {
		all = append(all, keyselect.Grouping{By: r.GroupBy, Kinds: r.Kinds})
	}
	return all
}

// run owns the evidence until ctx ends, and then archives what is left.
func (o *observer) run(ctx context.Context) error {
	if err := o.remember(ctx); err != nil {
		return err
	}
	_ = o.versions.ahead() // whatever becomes of the disk later; without one now, it is tried again
	commit := time.NewTicker(commitEvery)
	defer commit.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case s := <-o.sightings:
			o.waited(time.Since(s.at))
			if s.event != nil {
				o.see(*s.event)
			}
			o.batch.add(s)
		case err := <-o.batch.done:
			o.batch.settle(err)
		case ask := <-o.questions:
			ask(o)
		case now := <-commit.C:
			o.miss(now)
			if o.ledger.Evicted()-o.counters.keysEvicted.Load() > talliesKept/8 { // too many for the sweep to wait for
				o.forget()
			}
			o.tell(now)
			o.batch.commit()
		case now := <-sweep.C:
			o.sweep(now)
		case <-ctx.Done():
			for len(o.sightings) > 0 {
				o.batch.add(<-o.sightings)
			}
			o.batch.finish()
			return nil
		}
	}
}

// take waits until the observer has room for what a source has seen, so that
// the source waits, too: a file can. One that is lossy cannot, for its packets come
// when they come: what finds no room is dropped, and take returns errDropped.
func (o *observer) take(ctx context.Context, seen sighting, lossy bool) error {
	seen.at = time.Now()
	if lossy {
		select {
		case o.sightings <- seen:
			return nil
		default:
			return errDropped
		}
	}
	select {
	case o.sightings <- seen:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remember rebuilds the evidence from the archive, so that a restart neither
// loses nor doubles any, and reports all of it again.
func (o *observer) remember(ctx context.Context) error {
	now := o.started
	err := o.archive.Events(ctx, now.Add(-o.rules.Longest()), now.Add(clockSkew), func(e event.Event) error {
		o.enter(e, func(event.Key) {})
		if o.recallSteps != nil {
			o.admit(o.recallSteps(now, e), func(event.Key) {})
		}
		return nil
	})
	if err != nil && ctx.Err() == nil { // else the node ends
		return fmt.Errorf("rebuild the evidence from the archive: %w", err)
	}
	for _, key := range o.ledger.Keys() {
		o.later[key] = now
	}
	o.ledger.Cut(now) // a person may have ended blocks while it did not run
	return nil
}

// see takes an event while it is fresh.
func (o *observer) see(e event.Event) {
	o.counters.events.Add(1)
	now := time.Now()
	switch {
	case e.Time.Before(now.Add(-o.rules.Longest())):
		o.counters.eventsOld.Add(1)
		return
	case e.Time.After(now.Add(clockSkew)):
		if o.counters.eventsFuture.Add(1) == 1 {
			o.log.Warn("a sensor's clock is ahead: its events are archived and not counted",
				"sensor", e.Sensor, "file", e.File, "line", e.Line, "by", e.Time.Sub(now).Round(time.Second))
		}
		return
	}
	o.rates.Add(e)
	o.merger.chains.Add(now, e)
	o.enter(e, func(key event.Key) {
		o.home(key, o.ledger.Tallies(key))
		o.plan(now, key)
	})
	if o.steps != nil {
		o.admit(o.steps(now, e), func(key event.Key) { o.plan(now, key) })
	}
}

// admit puts steps of scenarios into the evidence. They are not judged at home: the scenario is.
func (o *observer) admit(steps []evidenceOf, changed func(event.Key)) {
	for _, s := range steps {
		o.ledger.Add(s.key, correlate.Change{Event: s.event, Delta: 1})
		changed(s.key)
	}
}

// enter puts an event into the evidence, and calls changed for each of its keys. What
// comes from one's own networks is in the archive, and makes none.
func (o *observer) enter(e event.Event, changed func(event.Key)) {
	var room [4]event.Key
	o.merger.changes(e, func(c correlate.Change) {
		if c.Delta > 0 {
			o.counters.attempts.Add(1)
		}
		for view := range o.rules.Views(c.Event) {
			for _, key := range o.keys.Append(room[:0], view) {
				o.ledger.Add(key, correlate.Change{Event: view, Delta: c.Delta})
				changed(key)
			}
		}
	})
}

// plan reports a key now, or notes when to.
func (o *observer) plan(now time.Time, key event.Key) {
	due := o.reporter.Due(now, key, o.ledger.Tallies(key))
	switch {
	case due.IsZero():
		delete(o.later, key)
	case due.After(now):
		o.later[key] = due
	default:
		delete(o.later, key)
		o.dispatch(now, key)
	}
}

// dispatch has a key reported now, or a little later where too many wait already:
// the evidence is kept here until then.
func (o *observer) dispatch(now time.Time, key event.Key) {
	if !o.send(key) {
		o.later[key] = now.Add(time.Second)
	}
}

// tell reports the keys whose time has come.
func (o *observer) tell(now time.Time) {
	for key, due := range o.later {
		if !due.After(now) {
			delete(o.later, key)
			o.dispatch(now, key)
		}
	}
}

// miss makes events of the consequences that have not come. Those that are awaited when the node
// ends are not missed.
func (o *observer) miss(now time.Time) {
	o.merger.chains.Tick(now, func(e event.Event) {
		o.counters.missing.Add(1)
		o.log.Warn("a consequence is missing", "of", e.Sensor, "detail", e.Detail, "file", e.File, "line", e.Line)
		o.see(e)
		o.batch.add(sighting{event: &e})
	})
}

func (o *observer) sweep(now time.Time) {
	o.learned = o.rates.Tick(now, func(e event.Event) {
		o.see(e)
		o.batch.add(sighting{event: &e})
	}) || o.learned
	o.ledger.Sweep(now)
	o.forget()
	o.counters.relationsForgotten.Store(o.merger.links.Forgotten() + o.merger.chains.Forgotten())
}

// forget drops what is remembered of reports on keys that the ledger no longer has, so that it is
// bounded as the ledger is, however fast an attacker makes keys up.
func (o *observer) forget() {
	o.reporter.Keep(o.ledger.Has)
	maps.DeleteFunc(o.later, func(key event.Key, _ time.Time) bool { return !o.ledger.Has(key) })
	o.counters.keysEvicted.Store(o.ledger.Evicted())
}

// ask runs fn with the evidence at rest.
func (o *observer) ask(ctx context.Context, fn func(*observer)) error {
	done := make(chan struct{})
	select {
	case o.questions <- func(o *observer) { fn(o); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

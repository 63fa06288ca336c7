package node

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/keyselect"
)

// replay is observe and judge without a network: the ledgers of the sensors
// testify directly.
type replay struct {
	rules   correlate.Rules
	keys    *keyselect.Keys
	sensors []*sensor
	running map[event.Key][]*attack
	over    []*attack
	now     time.Time // of the newest event: what is taken back has the time of an older one
	swept   time.Time
	links   []correlate.Link
}

type sensor struct {
	name   string
	merger *merger
	ledger *correlate.Ledger
}

// attack is an alert that grows until it has been quiet for its rule's timespan.
type attack struct {
	control.Alert
	rule correlate.Rule
}

func newReplay(rules correlate.Rules, names []string, own []netip.Prefix) *replay {
	r := &replay{rules: rules, keys: keyselect.New(groupings(rules)), running: make(map[event.Key][]*attack)}
	hash := func(value string) uint32 { return event.Hash32("replay", nil, value) }
	for _, name := range names {
		s := &sensor{name: name, merger: newMerger(rules, own), ledger: correlate.NewLedger(rules, talliesKept, hash)}
		s.merger.links.Linked = func(l correlate.Link) { r.links = append(r.links, l) }
		r.sensors = append(r.sensors, s)
	}
	return r
}

func (r *replay) take(i int, e event.Event) {
	if e.Time.After(r.now) {
		r.now = e.Time
	}
	if e.Time.Sub(r.swept) > r.rules.Longest() {
		r.swept = e.Time
		for _, s := range r.sensors {
			s.ledger.Sweep(e.Time)
		}
	}
	for _, s := range r.sensors {
		r.miss(s, e.Time)
	}
	s := r.sensors[i]
	s.merger.chains.Add(e.Time, e)
	r.enter(s, e)
}

// miss enters the events of consequences that have not come to a sensor.
func (r *replay) miss(s *sensor, now time.Time) {
	s.merger.chains.Tick(now, func(missing event.Event) { r.enter(s, missing) })
}

func (r *replay) enter(s *sensor, e event.Event) {
	var room [4]event.Key
	s.merger.changes(e, func(change correlate.Change) {
		for view := range r.rules.Views(change.Event) {
			change := correlate.Change{Event: view, Delta: change.Delta}
			for _, key := range r.keys.Append(room[:0], view) {
				s.ledger.Add(key, change)
				r.judge(key, s, change)
			}
		}
	})
}

// judge looks at a key whose evidence a sensor has changed.
func (r *replay) judge(key event.Key, changed *sensor, c correlate.Change) {
	running := r.running[key]
	quiet := func(rule correlate.Rule, last time.Time) bool {
		return r.now.Sub(last) > rule.Federation.Timespan
	}
	running = slices.DeleteFunc(running, func(a *attack) bool {
		over := quiet(a.rule, a.Last)
		if over {
			r.over = append(r.over, a)
		}
		return over
	})
	var said []correlate.Testimony
	for _, s := range r.sensors {
		if tallies := s.ledger.Tallies(key); len(tallies) > 0 {
			said = append(said, correlate.Testimony{Organisation: s.name, Member: s.name, Tallies: tallies})
		}
	}
	verdicts := r.rules.Judge(correlate.Federation, key, said)
	if i := slices.IndexFunc(said, func(t correlate.Testimony) bool { return t.Member == changed.name }); i >= 0 {
		verdicts = append(verdicts, r.rules.Judge(correlate.Home, key, said[i:i+1])...)
	}
	for _, a := range running {
		if a.rule.Counts(c.Event.Kind) {
			a.grow(c, changed.name, r.rules)
		}
	}
	for _, v := range verdicts {
		i := slices.IndexFunc(running, func(a *attack) bool { return a.Rule == v.Rule.Name })
		if i < 0 {
			if quiet(v.Rule, v.Last) {
				continue // the ledger remembers a little longer: that attack is over
			}
			// The attack began before it was found: all that counts towards it belongs to it.
			begun := r.rules.Measure(v.Rule, correlate.Federation, key, said)
			begun.Scope = v.Scope
			shown := show(begun, "")
			shown.Agreed, shown.Targets = time.Time{}, 0 // they are of this moment, and the attack goes on
			running = append(running, &attack{Alert: shown, rule: v.Rule})
			i = len(running) - 1
		}
		running[i].found(v)
	}
	if len(running) > 0 {
		r.running[key] = running
	} else {
		delete(r.running, key)
	}
}

func (a *attack) grow(c correlate.Change, sensor string, rules correlate.Rules) {
	n := c.Event.Count
	if c.Delta > 0 {
		a.Count += uint64(n)
	} else {
		a.Count -= min(uint64(n), a.Count)
	}
	if a.rule.Type == correlate.ValueSum {
		a.Score += c.Delta * n * rules.Severity(c.Event.Kind)
	}
	if last := c.Event.Time.UTC().Truncate(time.Second); last.After(a.Last) {
		a.Last = last
	}
	if i, ok := slices.BinarySearch(a.Sensors, sensor); !ok {
		a.Sensors = slices.Insert(a.Sensors, i, sensor)
	}
}

// found notes a verdict about the attack: the widest scope stands.
func (a *attack) found(v correlate.Verdict) {
	if v.Scope == correlate.Federation {
		a.Scope = string(v.Scope)
	}
	if a.rule.Type != correlate.ValueSum {
		a.Score = max(a.Score, v.Score)
	}
	if slices.Index(correlate.WarningLevels(), v.Level) > slices.Index(correlate.WarningLevels(), a.Level) {
		a.Level = v.Level
	}
	for _, o := range v.Offenders {
		if !slices.Contains(a.Offenders, o) {
			a.Offenders = append(a.Offenders, o)
		}
	}
}

// alerts ends all attacks and returns them, oldest first.
func (r *replay) alerts() []control.Alert {
	for _, running := range r.running {
		r.over = append(r.over, running...)
	}
	r.running = make(map[event.Key][]*attack)
	alerts := make([]control.Alert, 0, len(r.over))
	for _, a := range r.over {
		alerts = append(alerts, a.Alert)
	}
	slices.SortFunc(alerts, func(a, b control.Alert) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Key.String(), b.Key.String()), a.Last.Compare(b.Last))
	})
	return alerts
}

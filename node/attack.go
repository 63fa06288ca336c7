package node

import (
	"cmp"
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
	swept   time.Time
}

type sensor struct {
	name     string
	attempts correlate.Attempts
	ledger   *correlate.Ledger
}

// attack is an alert that grows until it has been quiet for its rule's timespan.
type attack struct {
	control.Alert
	rule correlate.Rule
}

func newReplay(rules correlate.Rules, names []string) *replay {
	r := &replay{rules: rules, keys: keyselect.New(groupings(rules)), running: make(map[event.Key][]*attack)}
	hash := func(value string) uint32 { return event.Hash32("replay", nil, value) }
	for _, name := range names {
		r.sensors = append(r.sensors, &sensor{name: name, ledger: correlate.NewLedger(rules, talliesKept, hash)})
	}
	return r
}

func (r *replay) take(i int, e event.Event) {
	if e.Time.Sub(r.swept) > r.rules.Longest() {
		r.swept = e.Time
		for _, s := range r.sensors {
			s.ledger.Sweep(e.Time)
		}
	}
	var room [4]event.Key
	s := r.sensors[i]
	for _, change := range s.attempts.Add(e) {
		for _, key := range r.keys.Append(room[:0], change.Event) {
			s.ledger.Add(key, change)
			r.judge(key, s, change)
		}
	}
}

// judge looks at a key whose evidence a sensor has changed.
func (r *replay) judge(key event.Key, changed *sensor, c correlate.Change) {
	running := r.running[key]
	running = slices.DeleteFunc(running, func(a *attack) bool {
		quiet := c.Event.Time.Sub(a.Last) > a.rule.Federation.Timespan
		if quiet {
			r.over = append(r.over, a)
		}
		return quiet
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
			// The attack began before it was found: all that counts towards it belongs to it.
			begun := r.rules.Measure(v.Rule, correlate.Federation, key, said)
			begun.Scope = v.Scope
			shown := show(begun, "")
			shown.Agreed = time.Time{} // it is of this moment, and the attack goes on
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
	if a.rule.Type == correlate.ValueCount {
		a.Score = max(a.Score, v.Score)
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
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Key.String(), b.Key.String()))
	})
	return alerts
}

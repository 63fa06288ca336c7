package node

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
)

// The states of an alert. What goes on is told again every five minutes, so that ten
// without anything new mean that it has become quiet.
const (
	stateGrowing = "growing" // evidence of the last ten minutes
	stateCalm    = "calm"    // none
	stateEnded   = "ended"   // none for the rule's timespan over the federation, or ten minutes if that is longer

	calmAfter = 10 * time.Minute
	// tellAgain is how often people are told of an attack that says nothing new.
	tellAgain = time.Minute
	// livesKept bounds the attacks that are followed; maxNames the sensors and the
	// offenders of one that are shown.
	livesKept = 1 << 15
	maxNames  = 1024
)

// stateOf is the state of an attack whose newest evidence is of last.
func stateOf(last time.Time, timespan time.Duration, now time.Time) string {
	switch quiet := now.Sub(last); {
	case quiet > max(timespan, calmAfter):
		return stateEnded
	case quiet > calmAfter:
		return stateCalm
	}
	return stateGrowing
}

// stateAt is the state of an alert. What a scenario assesses bears its name, and lasts as long as a step of one is told.
func (a *actor) stateAt(alert control.Alert, now time.Time) string {
	name := alert.Rule
	if alert.Key.Selector == scenario.ByScenario {
		name = scenarioRule
	}
	rule, ok := a.rules.Named(name)
	if !ok {
		return stateEnded // of a rule that there is no more
	}
	return stateOf(alert.Last, rule.Federation.Timespan, now)
}

// grow is an alert with what a later verdict on the same attack says. Windows overlap, so that
// their figures cannot be added: the largest stand.
func grow(old, update control.Alert) control.Alert {
	a := update
	a.ID, a.Updates, a.Opinions = old.ID, old.Updates+1, old.Opinions
	if old.First.Before(a.First) {
		a.First = old.First
	}
	if old.Last.After(a.Last) {
		a.Last = old.Last
	}
	if old.Agreed.After(a.Agreed) {
		a.Agreed = old.Agreed
	}
	a.Score, a.Count, a.Targets = max(a.Score, old.Score), max(a.Count, old.Count), max(a.Targets, old.Targets)
	a.Sensors = union(old.Sensors, a.Sensors, cmp.Compare[string])
	a.Offenders = union(old.Offenders, a.Offenders, func(x, y netip.Prefix) int { return x.Compare(y) })
	if rank(old.Level) > rank(a.Level) {
		a.Level = old.Level
	}
	if old.Scope == string(correlate.Federation) {
		a.Scope, a.Organisation = old.Scope, ""
	}
	if len(a.Proof) == 0 { // blocks may rest on the former one
		a.Proof = old.Proof
	}
	return a
}

// replaceWarning is what a verdict that is no mere warning makes of one: the same attack, to which
// opinions hold, but nothing of what a single organisation has said of it stands in the verdict's place.
func replaceWarning(old, update control.Alert) control.Alert {
	a := update
	a.ID, a.Updates, a.Opinions = old.ID, old.Updates+1, old.Opinions
	if old.First.Before(a.First) {
		a.First = old.First
	}
	return a
}

// rises reports whether an alert says what people should not have to wait for. A flood from a
// whole subnet names ever more offenders: they are told of as often as those have doubled.
func rises(old, now control.Alert) bool {
	return rank(now.Level) > rank(old.Level) || len(now.Offenders) > 0 && len(now.Offenders) >= 2*len(old.Offenders) || now.Scope != old.Scope
}

// rank orders Sigma's levels, and those of rules that have levels of their own.
func rank(level string) int {
	return slices.Index([]string{"informational", "low", "warning", "medium", "minor", "high", "critical"}, level)
}

func union[T any](a, b []T, compare func(x, y T) int) []T {
	all := slices.Concat(a, b)
	slices.SortFunc(all, compare)
	all = slices.CompactFunc(all, func(x, y T) bool { return compare(x, y) == 0 })
	return all[:min(len(all), maxNames)]
}

// attackKey is what makes alerts on episodes one attack, until it has ended.
type attackKey struct {
	rule string
	key  event.Key
}

// life is what has to be known of an attack that has not ended; the rest is in its alert.
type life struct {
	id       string
	last     time.Time
	timespan time.Duration
	warns    bool // no more than another organisation's warning
	pardon   pardon
	told     time.Time
}

// lives are the attacks that have not ended. Of too many the quietest are forgotten: what comes
// of one then is an alert of its own.
type lives map[attackKey]life

// going is the life of an attack, unless it has ended.
func (l lives) going(at attackKey, now time.Time) (life, bool) {
	known, ok := l[at]
	return known, ok && stateOf(known.last, known.timespan, now) != stateEnded
}

// put follows an attack.
func (l lives) put(at attackKey, now life) {
	if _, known := l[at]; !known && len(l) >= livesKept {
		l.forgetQuietest()
	}
	l[at] = now
}

// forgetQuietest forgets an eighth, so that it is not asked for again at once.
func (l lives) forgetQuietest() {
	var all []time.Time
	for _, one := range l {
		all = append(all, one.last)
	}
	slices.SortFunc(all, time.Time.Compare)
	oldest := all[len(all)/8]
	for at, one := range l {
		if !one.last.After(oldest) {
			delete(l, at)
		}
	}
}

// over takes out the attacks that have ended.
func (l lives) over(now time.Time) map[attackKey]life {
	gone := map[attackKey]life{}
	for at, one := range l {
		if stateOf(one.last, one.timespan, now) == stateEnded {
			gone[at] = one
			delete(l, at)
		}
	}
	return gone
}

package paper

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/node"
)

// Found is what the same rules find in the same events in three ways.
type Found struct {
	events   int
	alone    []outcome // of each site, from its own evidence
	together outcome   // from what the sites report, as collectors have it
	central  outcome   // with all events at one place
}

// outcome is what was found.
type outcome struct {
	alerts int
	named  map[netip.Addr]bool        // sources that an alert is about
	scopes map[string]correlate.Scope // the widest, by rule and key
	alarms map[netip.Addr][]alarm     // about a source, by time: together only
}

// alarm is when a collector found something, and whose report made it.
type alarm struct {
	at time.Time
	by string
}

func newOutcome() outcome {
	return outcome{named: map[netip.Addr]bool{}, scopes: map[string]correlate.Scope{}, alarms: map[netip.Addr][]alarm{}}
}

func (o *outcome) note(rule string, key event.Key, scope correlate.Scope, offenders []netip.Prefix) {
	if source, err := key.Source(); err == nil {
		o.named[source.Addr()] = true
	}
	for _, offender := range offenders {
		o.named[offender.Addr()] = true
	}
	if at := rule + " " + key.String(); o.scopes[at] != correlate.Federation {
		o.scopes[at] = scope
	}
}

func (o *outcome) take(alerts []control.Alert) {
	for _, a := range alerts {
		o.alerts++
		o.note(a.Rule, a.Key, correlate.Scope(a.Scope), a.Offenders)
	}
}

// Detect has sites judge their events alone, together and at one place. Each is an
// organisation.
func Detect(rules correlate.Rules, sites []Log) (Found, error) {
	found := Found{central: newOutcome()}
	var sensors []node.Sensor
	for _, site := range sites {
		found.events += len(site.Events)
		sensor := node.Sensor{Name: site.Name, Events: site.Events}
		own := newOutcome()
		own.take(node.Correlate(rules, []node.Sensor{sensor}))
		found.alone, sensors = append(found.alone, own), append(sensors, sensor)
	}
	found.central.take(node.Correlate(rules, sensors))
	var err error
	found.together, err = Together(rules, sites)
	return found, err
}

// letter is a report on its way to the collectors.
type letter struct {
	at     time.Time
	member string
	body   []byte
}

// Together has sites report, as the Reporter says when and no longer than a report may be, and
// judges each report at a collector when it comes. There is one collector for all keys: keys
// know nothing of one another.
func Together(rules correlate.Rules, sites []Log) (outcome, error) {
	var letters []letter
	for _, site := range sites {
		var failed error
		version := uint64(0)
		Tell(rules, site, func(at time.Time, key event.Key, tallies []event.Tally) {
			version++
			body, err := correlate.Fit(event.Report{Federation: federation, Member: site.Name, Key: key, Version: version, Tallies: tallies}, 0)
			if err != nil {
				failed = err
			}
			letters = append(letters, letter{at, site.Name, body})
		})
		if failed != nil {
			return outcome{}, failed
		}
	}
	slices.SortStableFunc(letters, func(a, b letter) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.member, b.member))
	})
	together := newOutcome()
	collector := correlate.NewCollector(rules, 1<<30)
	ended := map[string]time.Time{} // by rule and key: the end of what the last alert was about
	var swept time.Time
	for _, l := range letters {
		if l.at.Sub(swept) >= sweepEvery {
			swept = l.at
			collector.Sweep(l.at)
		}
		report, err := event.DecodeReport(l.body)
		if err != nil {
			return outcome{}, fmt.Errorf("read a report of %s: %w", l.member, err)
		}
		author := correlate.Author{Organisation: l.member, Verified: true}
		if _, err := collector.Put(report, author, event.Sealed{Body: bytes.Clone(l.body), Signer: l.member}); err != nil {
			return outcome{}, err
		}
		for _, f := range collector.Judge(report.Key, func(correlate.Verdict) bool { return true }) {
			together.note(f.Rule.Name, f.Key, f.Scope, f.Offenders)
			for _, offender := range f.Offenders {
				source := offender.Addr()
				together.alarms[source] = append(together.alarms[source], alarm{l.at, l.member})
			}
			at := f.Rule.Name + " " + f.Key.String()
			if last, known := ended[at]; !known || f.Last.Sub(last) > f.Rule.Federation.Timespan {
				together.alerts++
			}
			if f.Last.After(ended[at]) {
				ended[at] = f.Last
			}
		}
	}
	return together, nil
}

// differences are what was found together or at one place only. What a site finds by itself
// it acts on, whether or not a collector can tell as much from its report, whose slots are
// coarser than its own: that is found together, too.
func (f Found) differences() (all []string) {
	atHome := func(at string) bool {
		return slices.ContainsFunc(f.alone, func(own outcome) bool { return own.scopes[at] == correlate.Home })
	}
	for _, at := range slices.Sorted(maps.Keys(f.central.scopes)) {
		got, want := f.together.scopes[at], f.central.scopes[at]
		if got != want && !(got == "" && want == correlate.Home && atHome(at)) {
			all = append(all, fmt.Sprintf("%s: %s at one place, %s together", at, want, cmp.Or(got, "not found")))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(f.together.scopes)) {
		if _, known := f.central.scopes[at]; !known {
			all = append(all, fmt.Sprintf("%s: %s together only", at, f.together.scopes[at]))
		}
	}
	return all
}

// row is a line of the table.
func (f Found) row(d Labelled, l labels) []string {
	among := func(o outcome, labelled map[netip.Addr]bool) (n int) {
		for source := range labelled {
			if o.named[source] {
				n++
			}
		}
		return n
	}
	any, alerts := newOutcome(), 0
	known := 0
	for _, own := range f.alone {
		maps.Copy(any.named, own.named)
		alerts += own.alerts
		known += among(own, l.attackers)
	}
	share := func(n float64) string {
		if len(l.attackers) == 0 {
			return "–"
		}
		return fmt.Sprintf("%.0f %%", 100*n/float64(len(l.attackers)))
	}
	accused := func(o outcome) string {
		if len(l.innocents) == 0 {
			return "no labels"
		}
		return fmt.Sprintf("%d of %s", among(o, l.innocents), integer(len(l.innocents)))
	}
	ratio := "–"
	if f.together.alerts > 0 {
		ratio = integer(f.events / f.together.alerts)
	}
	return []string{d.Name, d.About, integer(len(f.alone)), integer(f.events), integer(len(l.attackers)),
		share(float64(known) / float64(len(f.alone))), share(float64(among(any, l.attackers))), share(float64(among(f.together, l.attackers))), share(float64(among(f.central, l.attackers))),
		accused(any), accused(f.together), accused(f.central),
		integer(alerts), integer(f.together.alerts), integer(f.central.alerts), ratio}
}

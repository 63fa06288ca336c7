package node

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/keyselect"
)

// BenchmarkSituations is what the seven situations cost the node that sees a burst of 10,000 events in
// ten minutes, by one source or by a thousand: keys and reports for each event, and its way from
// attempts over the ledger to the verdict at home.
func BenchmarkSituations(b *testing.B) {
	for _, sources := range []int{1, 1000} {
		for _, set := range []struct {
			name string
			own  []correlate.Rule
		}{{"without", nil}, {"with", correlate.Situations()}} {
			b.Run(fmt.Sprintf("sources=%d/%s", sources, set.name), func(b *testing.B) {
				rules, err := Rules(0, set.own...)
				if err != nil {
					b.Fatal(err)
				}
				const events = 10_000
				var keys, reports int
				b.ReportAllocs()
				for b.Loop() {
					keys, reports = burst(rules, events, sources)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
				b.ReportMetric(float64(keys)/events, "keys/event")
				b.ReportMetric(float64(reports)/events, "reports/event")
			})
		}
	}
}

// burst is a node that sees events, on their time: how many keys they have, and how many reports
// it makes.
func burst(rules correlate.Rules, events, sources int) (keys, reports int) {
	selection := keyselect.New(groupings(rules))
	var attempts correlate.Attempts
	ledger := correlate.NewLedger(rules, talliesKept, func(value string) uint32 { return event.Hash32("burst", nil, value) })
	reporter := correlate.NewReporter(rules)
	later := map[event.Key]time.Time{}
	tell := func(now time.Time, key event.Key) {
		delete(later, key)
		reporter.Told(now, key, ledger.Tallies(key))
		reports++
	}
	begin := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	for i := range events {
		now := begin.Add(time.Duration(i) * 10 * time.Minute / time.Duration(events))
		for key, due := range later {
			if i%2 == 0 && !due.After(now) { // ten times a second
				tell(now, key)
			}
		}
		e := event.Event{Time: now, Kind: event.IDSMedium, Severity: event.IDSMedium.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
			Source: event.Endpoint{Addr: netip.AddrFrom4([4]byte{198, 18, byte(i % sources >> 8), byte(i % sources)}), Port: 40000},
			Target: event.Endpoint{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 7)}), Port: 80}, Vulnerability: "1:2024897"}
		for _, change := range attempts.Add(e) {
			for _, key := range selection.Append(nil, e) {
				keys++
				ledger.Add(key, change)
				rules.Judge(correlate.Home, key, []correlate.Testimony{{Organisation: "o", Member: "o", Tallies: ledger.Tallies(key)}})
				switch due := reporter.Due(now, key, ledger.Tallies(key)); {
				case due.IsZero():
					delete(later, key)
				case due.After(now):
					later[key] = due
				default:
					tell(now, key)
				}
			}
		}
	}
	return keys, reports
}

package node

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// BenchmarkHome is what one event costs at home, from the keys to the verdict and the decision
// whether to report it: in a burst of 10,000 of one source, and of 250 neighbours by turns; with
// the rule for prefixes, and without it.
func BenchmarkHome(b *testing.B) {
	all := correlate.Builtin()
	without := slices.DeleteFunc(slices.Clone(all), func(r correlate.Rule) bool { return r.Crowds() })
	for _, c := range []struct {
		name    string
		rules   []correlate.Rule
		sources int
	}{{"one source", all, 1}, {"one source, no prefixes", without, 1}, {"250 sources", all, 250}, {"250 sources, no prefixes", without, 250}} {
		b.Run(c.name, func(b *testing.B) {
			rules, err := correlate.NewRules(c.rules, event.Kind.Severity)
			if err != nil {
				b.Fatal(err)
			}
			start, reports := time.Now().Truncate(time.Minute), 0
			var o *observer
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%10_000 == 0 {
					o = newObserver(observer{rules: rules, counters: new(counters), started: start, archive: newStore(b, b.TempDir()), hash: func(string) uint32 { return 0 }})
				}
				e := failed(start.Add(time.Duration(i%10_000)*10*time.Millisecond), int64(i+1))
				e.Source.Addr = netip.AddrFrom4([4]byte{203, 0, 113, byte(i % c.sources)})
				e.Attempt = fmt.Sprint(i)
				o.enter(e, func(key event.Key) {
					tallies := o.ledger.Tallies(key)
					rules.Judge(correlate.Home, key, []correlate.Testimony{{Organisation: "o", Member: "m", Tallies: tallies}})
					if due := o.reporter.Due(e.Time, key, tallies); !due.IsZero() && !due.After(e.Time) {
						o.reporter.Told(e.Time, key, tallies)
						reports++
					}
				})
			}
			b.ReportMetric(float64(reports)/float64(b.N)*10_000, "reports/10000")
		})
	}
}

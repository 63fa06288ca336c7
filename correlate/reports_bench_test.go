package correlate

import (
	"fmt"
	"testing"

	"github.com/komondor/komondor/event"
)

// BenchmarkReports is what one core takes of reports through the built-in rules: 50 members on
// 50,000 sources by turns. In "mixed" three reports in ten are on attackers that four members see, in
// six slots of time; the others, and all of "background", are what the Internet always brings, a
// source that one has seen a little of. Each attack's verdict is found, and its evidence chosen, when it is news.
func BenchmarkReports(b *testing.B) {
	b.Run("background", func(b *testing.B) { benchmarkReports(b, 0) })
	b.Run("mixed", func(b *testing.B) { benchmarkReports(b, 10) })
}

// benchmarkReports has one source in so many attack; none if zero.
func benchmarkReports(b *testing.B, attacks int) {
	const sources = 50_000
	type received struct {
		report event.Report
		sealed event.Sealed
	}
	var all []received
	say := func(source, member, slots int) {
		key := event.Key{Selector: event.BySource, Value: fmt.Sprintf("198.%d.%d.%d", 18+source>>16, source>>8&255, source&255)}
		var tallies []event.Tally
		for slot := range slots {
			tallies = append(tallies, proven(event.SSHUserInvalid, 1, 300*slot, 300*slot+50))
		}
		r, sealed := report(b, fmt.Sprint("m", member%50), key, 1, tallies...)
		all = append(all, received{r, sealed})
	}
	for source := range sources {
		if attacks == 0 || source%attacks > 0 {
			say(source, source, 1)
			continue
		}
		for i := range 4 {
			say(source, source+i, 6)
		}
	}
	rules := builtin(b)
	c := NewCollector(rules, 1<<30)
	var told Book
	found := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := all[i%len(all)]
		r.report.Version = uint64(1 + i/len(all))
		if fresh, err := c.Put(r.report, Author{Organisation: r.report.Member, Verified: true}, r.sealed); err != nil || !fresh {
			b.Fatal(fresh, err)
		}
		found += len(c.Judge(r.report.Key, func(v Verdict) bool {
			news, _ := told.Enter(v.Alert("f", nil).ID(), v)
			return news
		}))
	}
	if b.N > 100 && (found > 0) != (attacks > 0) {
		b.Fatalf("%d findings", found)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
	b.ReportMetric(float64(len(rules.list)), "rules")
}

package correlate

import (
	"fmt"
	"testing"

	"github.com/komondor/komondor/event"
)

// sweepers is a report of a member on a port that 60 sources sweep, as full as a
// report can be: which of them it names differs from member to member.
func sweepers(t testing.TB, member int) (event.Report, event.Sealed) {
	var tallies []event.Tally
	for j := range 15 {
		source := fmt.Sprint("203.0.113.", (member*7+j*4)%60)
		tallies = append(tallies, of(source, values(proven(event.ScanPort, 5, 60*j, 60*j+50), names(fmt.Sprint("host", member, "-"), 5)...)))
	}
	r, sealed := report(t, fmt.Sprintf("m%03d", member), byPort, 1, tallies...)
	if len(sealed.Body) > event.MaxReport {
		t.Fatalf("a report of %d bytes", len(sealed.Body))
	}
	return r, sealed
}

// What one report on a busy port costs a collector, with news and without.
func BenchmarkCollectorJudge(b *testing.B) {
	for _, n := range []int{20, 100, 300} {
		c := NewCollector(builtin(b), 1<<30)
		for i := range n {
			r, sealed := sweepers(b, i)
			if _, err := c.Put(r, Author{Organisation: r.Member}, sealed); err != nil {
				b.Fatal(err)
			}
		}
		for _, news := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d members, news %v", n, news), func(b *testing.B) {
				asked := 0
				for b.Loop() {
					found := c.Judge(byPort, func(v Verdict) bool {
						asked = len(v.Offenders)
						return news
					})
					if asked != 60 && n > 20 || len(found) > 0 != news {
						b.Fatalf("%d offenders, %d findings", asked, len(found))
					}
				}
			})
		}
	}
}

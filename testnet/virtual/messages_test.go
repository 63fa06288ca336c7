package virtual

import (
	"testing"
	"time"
)

// BenchmarkMessages counts the messages of 10,000 events of one attacker at one
// node of a hundred, in real time: a benchmark cannot be in a synctest bubble.
func BenchmarkMessages(b *testing.B) {
	net := New(b, 100)
	for b.Loop() {
		m := net.Measure(flood, 10_000, 5*time.Second, LastReport)
		b.ReportMetric(float64(m.Lookups), "lookups")
		b.ReportMetric(float64(m.LookupMessages), "lookup-messages")
		b.ReportMetric(float64(m.ReportMessages)/float64(m.Collectors), "reports/replica")
		b.ReportMetric(float64(m.ReportMessages+m.LookupMessages)/float64(m.Events), "messages/event")
		b.ReportMetric(float64(m.AlertMessages)/float64(m.Events), "alert-messages/event")
	}
}

func TestTable(t *testing.T) {
	const want = `10000 events of one attacker at one node, overlay of 128 nodes:

| | Chord, recursive | Kademlia, iterative | Komondor, to one collector | Komondor, to all 5 |
| --- | ---: | ---: | ---: | ---: |
| how | computed, n·log2 N | computed, n + log2 N | measured | measured |
| node lookups | 0 | 1 | 1 | 1 |
| lookup messages | 0 | 7.0 | 2 | 2 |
| event or report messages | 70000 | 10000 | 16 | 80 |
| messages in all | 70000 | 10007 | 18 | 82 |
| messages per event | 7 | 1.001 | 0.0018 | 0.0082 |

Reports made: 16. Alerts raised: 2; their broadcasts took 512 messages of all nodes, 2 a node and alert.
`
	m := Messages{Nodes: 128, Events: 10_000, Collectors: 5, Lookups: 1, LookupMessages: 2, Reports: 16, ReportMessages: 80, Alerts: 2, AlertMessages: 512}
	if got := m.Table(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

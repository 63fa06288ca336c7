package simulate

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// Load is how evenly messages fall on the living nodes.
type Load struct {
	Of       string  `json:"of"`
	Messages uint64  `json:"messages"`
	Mean     float64 `json:"mean"`
	P50      uint64  `json:"p50"`
	P99      uint64  `json:"p99"`
	Max      uint64  `json:"max"`
	MaxMean  float64 `json:"max_to_mean"`
	CV       float64 `json:"cv"` // standard deviation by mean
	Gini     float64 `json:"gini"`

	each []uint64 // ascending
}

// maxEvents is how many events the attacker with the most of them causes.
const maxEvents = 10_000

// pace is that of the events of one attacker: as in docs/measurements.md, Messages.
const pace = 10 * time.Millisecond

// Reports returns how many reports a source sends of n failed logins by one
// attacker, at a hundred a second, for n from 0 to count: what the product's
// Reporter says is due, the last word included that waits for its interval.
func Reports(count int) ([]int, error) {
	rules, err := correlate.NewRules(correlate.Builtin(), event.Kind.Severity)
	if err != nil {
		return nil, err
	}
	key := event.Key{Selector: event.BySource, Value: "203.0.113.9"}
	reporter := correlate.NewReporter(rules)
	reports, sent := make([]int, count+1), 0
	begin := time.Unix(0, 0)
	for i := 1; i <= count; i++ {
		now := begin.Add(time.Duration(i) * pace)
		tallies := []event.Tally{{Kind: event.SSHLoginFailed, Last: now.Unix(), Proven: uint32(i)}}
		due := reporter.Due(now, key, tallies)
		if !due.After(now) {
			reporter.Told(now, key, tallies)
			sent, reports[i] = sent+1, sent+1
		} else {
			reports[i] = sent + 1
		}
	}
	return reports, nil
}

// Loads spreads the messages of so many attackers over their keys' r collectors:
// attackers of one event each; attackers with numbers of events as Zipf's law has
// them (the first 10,000, the i-th 10,000/i), as if each event were a message;
// and the reports that these events really cause.
func (net *Net) Loads(keys, r int, seed uint64, reports []int) []Load {
	n := len(net.places)
	uniform, events, told := make([]atomic.Uint64, n), make([]atomic.Uint64, n), make([]atomic.Uint64, n)
	inParallel(keys, func(from, to int) {
		var collectors []int32
		for i := from; i < to; i++ {
			count := max(maxEvents/(i+1), 1)
			collectors = net.Collectors(collectors[:0], place(seed, streamKeys, uint64(i)), r)
			for _, c := range collectors {
				uniform[c].Add(1)
				events[c].Add(uint64(count))
				told[c].Add(uint64(reports[count]))
			}
		}
	})
	return []Load{
		net.load("one event a key", uniform),
		net.load("Zipf, each event a message", events),
		net.load("Zipf, reports", told),
	}
}

func (net *Net) load(of string, counts []atomic.Uint64) Load {
	l := Load{Of: of}
	for i := range counts {
		if !net.dead[i] {
			l.each = append(l.each, counts[i].Load())
		}
	}
	slices.Sort(l.each)
	var squares, ranked float64
	for i, x := range l.each {
		l.Messages += x
		squares += float64(x) * float64(x)
		ranked += float64(i+1) * float64(x)
	}
	n, total := float64(len(l.each)), float64(l.Messages)
	l.Mean, l.Max = total/n, l.each[len(l.each)-1]
	l.P50, l.P99 = l.each[len(l.each)/2], l.each[len(l.each)*99/100]
	l.MaxMean = float64(l.Max) / l.Mean
	l.CV = math.Sqrt(max(squares/n-l.Mean*l.Mean, 0)) / l.Mean
	l.Gini = 2*ranked/(n*total) - (n+1)/n
	return l
}

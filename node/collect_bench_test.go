package node

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

const (
	collectMembers = 50
	collectKeys    = 500 // in a round, each new
)

// BenchmarkCollect is what a collector takes with one core: sealed reports on 500
// sources at a time, one in ten of which attacks four members at once, in six slots
// of time. Each attack is told, with its proof, and acted on. The others are what the
// Internet always brings: a source that one member has seen a little of. The authors
// bring their reports themselves, or somebody else does, so that each is verified.
func BenchmarkCollect(b *testing.B) {
	for _, c := range []struct {
		name     string
		directly bool
	}{{"by the authors", true}, {"forwarded", false}} {
		b.Run(c.name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			p := newParty(b)
			members := make([]*federation.Open, collectMembers)
			for i := range members {
				members[i] = newMember(b)
			}
			type message struct {
				from    string
				hash    [32]byte
				payload []byte
			}
			var messages []message
			prepare := func(round int, now time.Time) {
				messages = messages[:0]
				say := func(k int, m *federation.Open, slots int) {
					key := event.Key{Selector: event.BySource, Value: fmt.Sprintf("198.51.%d.%d", round%100*2+k/250, k%250)}
					r := event.Report{Federation: p.Name(), Member: m.Member(), Key: key, Version: uint64(1 + round)}
					for slot := range slots {
						at := now.Add(-time.Duration(5*slot) * time.Minute).Unix()
						r.Tallies = append(r.Tallies, event.Tally{Kind: event.SSHUserInvalid, First: at - 50, Last: at, Proven: 1})
					}
					from := m.Member()
					if !c.directly {
						from = p.Member() + " or another one"
					}
					messages = append(messages, message{from, hashOf(p.Open, key), encode(b, seal(b, m, r))})
				}
				for k := range collectKeys {
					m := members[k%collectMembers]
					if k%10 > 0 {
						say(k, m, 1)
						continue
					}
					for i := range 4 {
						say(k, members[(k+i)%collectMembers], 6)
					}
				}
			}
			var used time.Duration
			done, next, round, since := 0, 0, 0, cpu(b)
			b.ReportAllocs()
			for b.Loop() {
				if next == len(messages) {
					b.StopTimer()
					used += cpu(b) - since
					prepare(round, time.Now().Truncate(time.Second))
					next, round, since = 0, round+1, cpu(b)
					b.StartTimer()
				}
				m := messages[next]
				next++
				if err := p.judge.receive(b.Context(), m.from, m.hash, m.payload); err != nil {
					b.Fatal(err)
				}
				done++
			}
			used += cpu(b) - since
			if p.alerts() == 0 && done > 10*collectKeys || p.counters.alertsInvalid.Load() > 0 {
				b.Fatalf("%d reports, %d alerts, %d invalid", done, p.alerts(), p.counters.alertsInvalid.Load())
			}
			b.ReportMetric(float64(done)/used.Seconds(), "reports/cpu-s")
			b.ReportMetric(float64(p.alerts())/float64(done), "alerts/report")
			b.ReportMetric(float64(p.judge.collector.Bytes())/float64(p.judge.collector.Len()), "bytes/key")
		})
	}
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

package correlate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

const threeSteps = `
title: T
name: three-steps
komondor:
  consequence: {chain: [ids.alert.*, http.*, process.exec], same: [target.port], within: 30s}
`

// follows runs events through chains on a clock, each when it comes, and returns what is missing.
func follows(rules Rules, until float64, come ...event.Event) (missing []string) {
	c := NewChains(rules)
	emit := func(e event.Event) {
		missing = append(missing, fmt.Sprintf("%s %s", e.Time.Sub(start), e.Detail))
	}
	for _, e := range come {
		c.Tick(e.Time, emit)
		c.Add(e.Time, e)
	}
	c.Tick(start.Add(time.Duration(until*float64(time.Second))), emit)
	return missing
}

func TestConsequences(t *testing.T) {
	to := func(port uint16, e event.Event) event.Event {
		e.Target.Port = port
		return e
	}
	alert := func(seconds float64) event.Event { return to(80, by("ids", event.IDSInfo, seconds)) }
	request := func(seconds float64) event.Event { return to(80, by("web", event.HTTPScan, seconds)) }
	run := func(seconds float64) event.Event { return to(80, by("host", event.ProcessExec, seconds)) }
	const noRequest, noRun = "three-steps: no http.* within 30s after ids.alert.info by 203.0.113.9", "three-steps: no process.exec within 30s after http.scan by 203.0.113.9"
	for _, c := range []struct {
		name  string
		until float64
		come  []event.Event
		want  []string
	}{
		{"all came", 1000, []event.Event{alert(0), request(30), run(60)}, nil},
		{"not the second", 1000, []event.Event{alert(0), run(10)}, []string{"30s " + noRequest}},
		{"too late", 1000, []event.Event{alert(0), request(31)}, []string{"30s " + noRequest}},
		{"not the third", 1000, []event.Event{alert(0), request(10)}, []string{"40s " + noRun}},
		{"in another order", 1000, []event.Event{request(0), alert(5), run(6)}, []string{"35s " + noRequest}},
		{"in one second, which a log does not tell apart", 1000, []event.Event{request(5), alert(5.4), run(6)}, nil},
		{"of another port", 1000, []event.Event{alert(0), to(443, request(10))}, []string{"30s " + noRequest}},
		{"without what is the same", 1000, []event.Event{to(0, alert(0))}, nil},
		{"still awaited", 40, []event.Event{alert(0)}, nil},
		{"not any more", 40.1, []event.Event{alert(0)}, []string{"30s " + noRequest}},
		{"two alerts and one request", 1000, []event.Event{alert(0), alert(20), request(25), run(26)}, nil},
		{"twice", 1000, []event.Event{alert(0), alert(100)}, []string{"30s " + noRequest, "2m10s " + noRequest}},
		{"again, after it came", 1000, []event.Event{alert(0), request(1), run(2), alert(3)}, []string{"33s " + noRequest}},
	} {
		if got := follows(relations(t, threeSteps), c.until, c.come...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A consequence that is missing is an event that accuses nobody.
func TestMissingConsequence(t *testing.T) {
	c := NewChains(relations(t, threeSteps))
	alert := by("ids", event.IDSInfo, 0)
	alert.Target, alert.Line = event.Endpoint{Addr: netip.MustParseAddr("192.0.2.7"), Port: 80}, 12
	c.Add(alert.Time, alert)
	var got []event.Event
	c.Tick(at(60), func(e event.Event) { got = append(got, e) })
	want := event.Event{Time: at(30), Kind: event.ConsequenceMissing, Severity: 3, Count: 1, Target: alert.Target, Sensor: "three-steps",
		File: alert.File, Line: 12, Detail: "three-steps: no http.* within 30s after ids.alert.info by 203.0.113.9"}
	if len(got) != 1 || got[0] != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	c.Tick(at(600), func(e event.Event) { t.Errorf("told again: %+v", e) })
}

// A heartbeat is a chain of an event with itself.
func TestHeartbeat(t *testing.T) {
	rules := relations(t, "title: T\nname: heartbeat\nkomondor: {consequence: {chain: [ids.alert.info, ids.alert.info], within: 1m}}")
	var come []event.Event
	for _, minute := range []float64{0, 1, 2, 5, 6} {
		come = append(come, by("ids", event.IDSInfo, 60*minute))
	}
	got := follows(rules, 60*6+60, come...)
	if len(got) != 1 || !strings.HasPrefix(got[0], "3m0s ") {
		t.Errorf("%q", got)
	}
}

// What comes late is in order again, as long as it is not later than the lateness; repetitions
// change nothing; and a clock that is behind, as when a file is read from its beginning, waits as long.
func TestConsequencesInAnyOrder(t *testing.T) {
	rules := relations(t, threeSteps)
	random := rand.New(rand.NewPCG(7, 8))
	made := map[bool]int{}
	for range 500 {
		behind := time.Duration(random.IntN(2)) * 10 * time.Minute
		var inOrder, shuffled []event.Event
		for at := 0.0; at < 600; at += 1 + 20*random.Float64() {
			e := by("sensor", []event.Kind{event.IDSInfo, event.HTTPScan, event.ProcessExec}[random.IntN(3)], at)
			e.Target.Port = uint16(1 + random.IntN(2))
			inOrder = append(inOrder, e)
		}
		come := map[event.Event]time.Time{}
		for _, e := range inOrder {
			come[e] = e.Time.Add(behind + time.Duration(random.Float64()*float64(disorder)))
			shuffled = append(shuffled, e)
			if random.IntN(4) == 0 {
				shuffled = append(shuffled, e)
			}
		}
		sortBy(shuffled, func(e event.Event) time.Time { return come[e] })
		run := func(events []event.Event, clock func(event.Event) time.Time) (missing []string) {
			c := NewChains(rules)
			emit := func(e event.Event) { missing = append(missing, fmt.Sprint(e.Time.Unix(), e.Target.Port, e.Detail)) }
			for _, e := range events {
				c.Tick(clock(e), emit)
				c.Add(clock(e), e)
			}
			c.Tick(start.Add(time.Hour), emit)
			return missing
		}
		want := run(inOrder, func(e event.Event) time.Time { return e.Time })
		got := run(shuffled, func(e event.Event) time.Time { return come[e] })
		sortBy(want, func(s string) string { return s })
		sortBy(got, func(s string) string { return s })
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %q\nwant %q", got, want)
		}
		made[len(want) > 0]++
	}
	if made[true] < 100 {
		t.Errorf("a one-sided sample: %v", made)
	}
}

func TestChainsAreBounded(t *testing.T) {
	c := NewChains(relations(t, threeSteps))
	for i := range 4 * chainsKept {
		e := by("ids", event.IDSInfo, float64(i)/1000)
		e.Target.Port = uint16(1 + i)
		c.Add(e.Time, e)
		if i%8 == 0 {
			e.Kind = event.HTTPScan
			c.Add(e.Time, e)
		}
	}
	if len(c.running) > chainsKept || len(c.begun) > 2*chainsKept || len(c.queue) > queueKept || c.Forgotten() == 0 {
		t.Errorf("%d chains, %d begun, %d queued, %d forgotten", len(c.running), len(c.begun), len(c.queue), c.Forgotten())
	}
	told := 0
	c.Tick(at(3600), func(event.Event) { told++ })
	if told == 0 || len(c.running) > 0 || len(c.queue) > 0 {
		t.Errorf("%d told, %d chains, %d queued", told, len(c.running), len(c.queue))
	}
}

// BenchmarkChainsUnderFlood is a first event of a chain, of which more come than may wait for those before them.
func BenchmarkChainsUnderFlood(b *testing.B) {
	c := NewChains(relations(b, threeSteps))
	for i := range b.N {
		e := by("ids", event.IDSInfo, float64(i)/10_000)
		e.Target.Port = uint16(i)
		c.Add(e.Time, e)
	}
}

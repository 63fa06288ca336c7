package correlate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func total(tallies []event.Tally) (n uint64) {
	for _, t := range tallies {
		n += t.Count()
	}
	return n
}

func fitted(t testing.TB, r event.Report) event.Report {
	body, err := Fit(r, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := event.DecodeReport(body) // which refuses one that is too large
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFit(t *testing.T) {
	r := event.Report{Federation: "test", Member: "m", Key: bySource, Version: 1}
	minutes := func(n int, kinds ...event.Kind) (all []event.Tally) {
		for i := range n {
			for _, kind := range kinds {
				all = append(all, proven(kind, 1, i*60, i*60+50))
			}
		}
		return all
	}
	for _, c := range []struct {
		name    string
		tallies []event.Tally
		want    []event.Tally
	}{
		{"nothing", nil, nil},
		{"what was forgiven is not told", []event.Tally{proven(failed, 0, 0, 0)}, nil},
		{"slots of five minutes", minutes(6, failed), []event.Tally{proven(failed, 5, 0, 290), proven(failed, 1, 300, 350)}},
		{"kinds and proof apart", []event.Tally{proven(failed, 1, 0, 0), spoofable(failed, 2, 5, 5), proven(event.SSHPenalty, 1, 9, 9)},
			[]event.Tally{proven(failed, 1, 0, 0), spoofable(failed, 2, 5, 5), proven(event.SSHPenalty, 1, 9, 9)}},
		{"distinct values once", []event.Tally{values(proven(event.ScanPort, 2, 0, 0), "a", "b"), values(proven(event.ScanPort, 2, 60, 60), "b", "c")},
			[]event.Tally{values(proven(event.ScanPort, 4, 0, 60), "a", "b", "c")}},
		{"counts do not overflow", []event.Tally{proven(failed, math.MaxUint32, 0, 0), proven(failed, 5, 60, 60)}, []event.Tally{proven(failed, math.MaxUint32, 0, 60)}},
		{"coarser where there is much: ten minutes", minutes(60, failed, event.SSHUserInvalid, event.SSHPenalty), []event.Tally{
			proven(failed, 10, 0, 590), proven(event.SSHUserInvalid, 10, 0, 590), proven(event.SSHPenalty, 10, 0, 590)}},
	} {
		r.Tallies = c.tallies
		before := fmt.Sprint(c.tallies)
		got := fitted(t, r).Tallies
		if len(got) > len(c.want) && len(c.tallies) > 50 {
			got = got[:len(c.want)] // the first of many
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, got, c.want)
		}
		if fmt.Sprint(c.tallies) != before {
			t.Errorf("%s: the ledger's tallies were changed", c.name)
		}
	}
	r.Key.Value = strings.Repeat("x", event.MaxReport)
	if _, err := Fit(r, 0); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("a key larger than a report: %v", err)
	}
}

// Whatever is to be told fits; what does not is counted, and what names a source
// is the last to go.
func TestFitAlways(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	kinds := []event.Kind{event.ScanPort, event.IDSHigh, event.IDSMedium, event.IDSLow}
	shed := 0
	for range 60 {
		r := event.Report{Federation: "test", Member: strings.Repeat("m", 52), Key: byPort, Version: math.MaxUint64, Shed: uint64(random.IntN(3))}
		for range random.IntN(600) {
			first := random.IntN(3600)
			tally := spoofable(kinds[random.IntN(len(kinds))], random.Uint32N(5), first, min(first+random.IntN(60), first/60*60+59))
			tally = of(fmt.Sprintf("2001:db8:0:%x::", random.IntN(300)), values(tally, names("v", random.IntN(20))...))
			r.Tallies = append(r.Tallies, tally)
		}
		scanner := of("203.0.113.9", values(proven(event.ScanPort, 1, 9, 9), "h"))
		r.Tallies = append(r.Tallies, scanner)
		got := fitted(t, r)
		if total(got.Tallies)+got.Shed != total(r.Tallies)+r.Shed {
			t.Fatalf("%d told and %d shed of %d", total(got.Tallies), got.Shed, total(r.Tallies)+r.Shed)
		}
		if !slices.ContainsFunc(got.Tallies, func(t event.Tally) bool { return t.Source == scanner.Source && t.Proven == 1 }) {
			t.Fatal("proven evidence was shed for what anybody can fake")
		}
		if got.Shed > r.Shed {
			shed++
		}
	}
	if shed < 20 {
		t.Errorf("only %d reports were too large", shed)
	}
}

func FuzzFit(f *testing.F) {
	f.Add("ssh.login.failed", "203.0.113.9", 10, uint32(7), int64(60))
	f.Add(strings.Repeat("k", 2000), "", 100, uint32(0), int64(-1))
	f.Fuzz(func(t *testing.T, kind, value string, n int, count uint32, step int64) {
		r := event.Report{Member: "m", Key: event.Key{Selector: event.BySource, Value: value}}
		for i := range int64(n % 300) {
			r.Tallies = append(r.Tallies, event.Tally{Kind: event.Kind(kind), First: i * step, Last: i * step, Proven: count, Values: event.Sketch{uint32(i)}})
		}
		if body, err := Fit(r, 0); err == nil && len(body) > event.MaxReport {
			t.Fatalf("%d bytes", len(body))
		}
	})
}

// told runs events past a reporter and returns when reports went out.
func toldAt(t testing.TB, key event.Key, events []event.Event) []int {
	rules := builtin(t)
	l, r := NewLedger(rules, 10, hash), NewReporter(rules)
	var at []int
	var due time.Time
	tell := func(now time.Time) {
		r.Told(now, key, l.Tallies(key))
		at = append(at, int(now.Sub(start)/time.Second))
		if again := r.Due(now, key, l.Tallies(key)); !again.IsZero() {
			t.Fatalf("due again at %s with nothing new", again)
		}
	}
	for _, e := range events {
		if !due.IsZero() && !due.After(e.Time) {
			tell(due)
		}
		delta := +1
		if e.Count < 0 {
			delta, e.Count = -1, 1
		}
		l.Add(key, Change{e, delta})
		if due = r.Due(e.Time, key, l.Tallies(key)); !due.IsZero() && !due.After(e.Time) {
			tell(e.Time)
			due = time.Time{}
		}
	}
	if !due.IsZero() {
		tell(due)
	}
	return at
}

func TestReporter(t *testing.T) {
	each := func(n, every int, kind event.Kind) (all []event.Event) {
		for i := range n {
			all = append(all, seen(kind, i*every))
		}
		return all
	}
	forgiven := seen(failed, 0)
	forgiven.Time, forgiven.Count = at(0), -1
	other := seen("dns.flood", 100)
	ports := each(10, 1, event.ScanPort)
	for i := range ports {
		ports[i].Target.Port = uint16(1 + i)
	}
	for _, c := range []struct {
		name   string
		events []event.Event
		want   []int
	}{
		{"the first event at once", each(1, 1, failed), []int{0}},
		{"below the share, every change at once", each(5, 7, failed), []int{0, 7, 14, 21, 28}},
		{"above it when the count has doubled, or a growing interval has passed", each(12, 1, failed), []int{0, 1, 2, 3, 4, 9, 41}},
		{"below what the organisation acts on alone, too", ports, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"forgiveness", []event.Event{seen(failed, 0), forgiven}, []int{0, 0}},
		{"what counts for no rule waits", append(each(4, 1, failed), other), []int{0, 1, 2, 3, 100}},
	} {
		got := toldAt(t, bySource, c.events)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: told at %v, want %v", c.name, got, c.want)
		}
	}
}

// Ten thousand events of one attacker cost a few messages, and the last of them
// tells all.
func TestReporterBurst(t *testing.T) {
	for name, perSecond := range map[string]int{"at once": 10_000, "within a minute": 200, "within ten minutes": 17} {
		var events []event.Event
		for i := range 10_000 {
			events = append(events, seen(failed, i/perSecond))
		}
		if n := len(toldAt(t, bySource, events)); n >= 40 {
			t.Errorf("10,000 events %s cost %d reports", name, n)
		}
	}
}

// Every verdict that the whole evidence gives is given by what was told of it.
func TestReporterTellsInTime(t *testing.T) {
	rules := builtin(t)
	for nodes := 2; nodes <= 5; nodes++ {
		ledgers, reporters := make([]*Ledger, nodes), make([]*Reporter, nodes)
		for i := range nodes {
			ledgers[i], reporters[i] = ledger(t, 10), NewReporter(rules)
		}
		c := NewCollector(rules, 1<<20)
		for i := range 60 {
			node, e := i*i%nodes, seen(failed, i)
			l, r := ledgers[node], reporters[node]
			l.Add(bySource, Change{e, +1})
			if due := r.Due(e.Time, bySource, l.Tallies(bySource)); !due.IsZero() && !due.After(e.Time) {
				r.Told(e.Time, bySource, l.Tallies(bySource))
				told, sealed := report(t, fmt.Sprint("m", node), bySource, uint64(i+1), l.Tallies(bySource)...)
				if _, err := c.Put(told, Author{Organisation: told.Member}, sealed); err != nil {
					t.Fatal(err)
				}
			}
			var all []Testimony
			for n := range nodes {
				all = append(all, say(fmt.Sprint("m", n), ledgers[n].Tallies(bySource)...))
			}
			_, want := rules.JudgeRule("ssh-brute-force", Federation, bySource, all)
			if _, got := rules.JudgeRule("ssh-brute-force", Federation, bySource, c.Testimonies(bySource)); got != want {
				t.Fatalf("%d nodes, event %d: crossed %v by what was told, %v by what was seen", nodes, i, got, want)
			}
		}
	}
}

func TestReporterForgets(t *testing.T) {
	r := NewReporter(builtin(t))
	tallies := []event.Tally{proven(failed, 1, 0, 0)}
	r.Told(at(0), bySource, tallies)
	r.Told(at(0), byPort, tallies)
	r.Keep(func(key event.Key) bool { return key == byPort })
	if due := r.Due(at(9), bySource, tallies); !due.Equal(at(9)) {
		t.Errorf("a forgotten key is due at %s, want now", due)
	}
	if due := r.Due(at(9), byPort, tallies); !due.IsZero() {
		t.Errorf("a key that is kept is due at %s", due)
	}
}

package correlate

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func ledger(t testing.TB, limit int) *Ledger { return NewLedger(builtin(t), limit, hash) }

func scan(source string, port uint16, seconds int) event.Event {
	e := seen(event.ScanPort, seconds)
	e.Source.Addr, e.Proof = netip.MustParseAddr(source), event.Spoofable
	e.Target = event.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: port}
	return e
}

func TestLedgerSlots(t *testing.T) {
	l := ledger(t, 10)
	for _, e := range []event.Event{
		seen(event.SSHLoginFailed, 10), seen(event.SSHLoginFailed, 59), seen(event.SSHUserInvalid, 20),
		seen(event.SSHLoginFailed, 60), seen(event.SSHLoginFailed, 5), // late
		scan("203.0.113.9", 22, 30), scan("203.0.113.9", 23, 31), scan("203.0.113.9", 22, 32),
	} {
		l.Add(bySource, Change{e, +1})
	}
	faked := seen(event.SSHLoginFailed, 40)
	faked.Proof = event.Spoofable
	l.Add(bySource, Change{faked, +1})
	got := slices.Clone(l.Tallies(bySource))
	slices.SortFunc(got, func(a, b event.Tally) int { return int(a.First*1000 + a.Last - b.First*1000 - b.Last) })
	want := []event.Tally{
		proven(event.SSHLoginFailed, 3, 5, 59),
		proven(event.SSHUserInvalid, 1, 20, 20),
		values(spoofable(event.ScanPort, 3, 30, 32), "tcp/22", "tcp/23"),
		spoofable(event.SSHLoginFailed, 1, 40, 40), // what can be faked is tallied apart
		proven(event.SSHLoginFailed, 1, 60, 60),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestLedgerForgives(t *testing.T) {
	l := ledger(t, 10)
	failed := seen(event.SSHLoginFailed, 10)
	l.Add(bySource, Change{failed, -1}) // of a page that does not exist
	l.Add(bySource, Change{failed, +1})
	l.Add(bySource, Change{failed, +1})
	l.Add(bySource, Change{failed, -1})
	if got := l.Tallies(bySource); !reflect.DeepEqual(got, []event.Tally{proven(event.SSHLoginFailed, 1, 10, 10)}) {
		t.Errorf("one of two forgiven: %v", got)
	}
	l.Add(bySource, Change{seen(event.SSHUserInvalid, 10), -1}) // was never in
	l.Add(bySource, Change{seen(event.SSHLoginFailed, 70), -1})
	l.Add(bySource, Change{failed, -1})
	l.Add(bySource, Change{failed, -1})
	if got := l.Tallies(bySource); len(got) != 0 {
		t.Errorf("all forgiven: %v", got)
	}
}

func TestLedgerCountersDoNotOverflow(t *testing.T) {
	l := ledger(t, 10)
	flood := seen(event.SSHLoginFailed, 0)
	flood.Count = math.MaxInt
	for range 5000 {
		l.Add(bySource, Change{flood, +1})
	}
	flood.Count = math.MinInt
	l.Add(bySource, Change{flood, -1})
	if got := l.Tallies(bySource)[0].Proven; got != math.MaxUint32-1 {
		t.Errorf("count %d", got)
	}
}

// Under a key that does not name them, sources have a tally each, as long as there is room.
func TestLedgerNamesSources(t *testing.T) {
	l := ledger(t, 10_000)
	const sources = 3000
	for i := range sources {
		e := scan(fmt.Sprintf("10.0.%d.%d", i/256, i%256), 22, i/100)
		l.Add(byPort, Change{e, +1})
		l.Add(bySubnet, Change{e, +1})
	}
	for _, key := range []event.Key{byPort, bySubnet} {
		named, nameless := map[netip.Prefix]bool{}, uint64(0)
		for _, tally := range l.Tallies(key) {
			if tally.Source.IsValid() {
				named[tally.Source] = true
			} else {
				nameless += tally.Count()
			}
		}
		if len(named) != maxNamed || nameless != sources-maxNamed {
			t.Errorf("%s: %d named, %d observations of others", key, len(named), nameless)
		}
	}
	last := l.Tallies(bySubnet)[len(l.Tallies(bySubnet))-1]
	if len(last.Values) != event.SketchSize {
		t.Errorf("sources without a name are not told apart: %v", last)
	}
}

// Evidence is kept as long as a rule can reach it, whatever the order.
func TestLedgerForgets(t *testing.T) {
	l := ledger(t, 10)
	l.Add(bySource, Change{seen(event.SSHLoginFailed, 0), +1})
	l.Add(bySource, Change{seen(event.SSHLoginFailed, 3600), +1})
	if n := len(l.Tallies(bySource)); n != 2 {
		t.Errorf("%d tallies after an hour, want both", n)
	}
	const forgotten = 3600 + 61 + int(lateness/time.Second)
	l.Add(bySource, Change{seen(event.SSHLoginFailed, forgotten), +1})
	if n := len(l.Tallies(bySource)); n != 2 {
		t.Errorf("%d tallies after an hour, a slot and what comes late, want the newer two", n)
	}
	l.Sweep(at(forgotten))
	if !l.Has(bySource) || len(l.Keys()) != 1 {
		t.Error("swept what counts")
	}
	l.Sweep(at(forgotten + 2*3600))
	if l.Has(bySource) || len(l.Keys()) != 0 || l.Tallies(bySource) != nil || l.Evicted() != 0 {
		t.Error("kept what nothing can reach")
	}
}

// A sensor whose clock runs wild, before 1970 too, costs no more than this.
func TestLedgerTalliesAreBounded(t *testing.T) {
	l := ledger(t, 10)
	const events = 20_000
	for i := range events {
		e := seen(event.SSHLoginFailed, 0)
		e.Time = e.Time.Add(-time.Duration(i) * 100 * time.Hour)
		l.Add(bySource, Change{e, +1})
	}
	kept := uint64(0)
	for _, tally := range l.Tallies(bySource) {
		kept += tally.Count()
	}
	if n := len(l.Tallies(bySource)); n > maxTallies || kept+l.Shed(bySource) != events {
		t.Errorf("%d tallies of %d observations, %d shed", n, kept, l.Shed(bySource))
	}
}

func TestLedgerEvictsTheLeastTelling(t *testing.T) {
	const limit = 100
	l := ledger(t, limit)
	key := func(i int) event.Key {
		return event.Key{Selector: event.BySource, Value: fmt.Sprintf("10.0.%d.%d", i/256, i%256)}
	}
	// Ten attackers try in earnest, then a flood of faked sources comes in.
	for i := range 10 {
		l.Add(key(i), Change{seen(event.SSHLoginFailed, i), +1})
	}
	for i := range 10_000 {
		e := scan("203.0.113.9", 22, 100)
		e.Count = 1000 // spoofed weight is no weight
		l.Add(key(1000+i), Change{e, +1})
	}
	if n := len(l.Keys()); n != limit || l.Evicted() != 10_000+10-limit {
		t.Errorf("%d keys, %d evicted", n, l.Evicted())
	}
	for i := range 10 {
		if !l.Has(key(i)) {
			t.Errorf("attacker %d was evicted for faked sources", i)
		}
	}
	if newest := key(1000 + 9999); !l.Has(newest) || l.Has(key(1000)) {
		t.Error("among equals the quietest goes first")
	}
}

// Where all others weigh more, a newcomer has its chance too.
func TestLedgerLetsNewcomersIn(t *testing.T) {
	l := ledger(t, 3)
	for i, value := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		for range 100 {
			l.Add(event.Key{Selector: event.BySource, Value: value}, Change{seen(event.SSHLoginFailed, i), +1})
		}
	}
	for i := range 5 {
		l.Add(bySource, Change{seen(event.SSHPreauthClosed, 10+i), +1})
	}
	if got := l.Tallies(bySource); len(got) != 1 || got[0].Proven != 5 || len(l.Keys()) != 3 {
		t.Errorf("a newcomer's evidence: %v of 5, %d keys", got, len(l.Keys()))
	}
}

func BenchmarkLedgerAdd(b *testing.B) {
	sources := make([]event.Key, 1000)
	for i := range sources {
		sources[i] = event.Key{Selector: event.BySource, Value: fmt.Sprintf("10.0.%d.%d", i/256, i%256)}
	}
	for name, add := range map[string]func(l *Ledger, i int){
		"logins of 1000 sources": func(l *Ledger, i int) {
			l.Add(sources[i%len(sources)], Change{seen(event.SSHLoginFailed, i/1000), +1})
		},
		"scans of a port by 1000 sources": func(l *Ledger, i int) {
			e := seen(event.ScanPort, i/1000)
			e.Source.Addr = netip.AddrFrom4([4]byte{10, 0, byte(i % 1000 >> 8), byte(i)})
			e.Target = event.Endpoint{Addr: attacker, Port: 22}
			l.Add(byPort, Change{e, +1})
		},
	} {
		b.Run(name, func(b *testing.B) {
			l := ledger(b, 1<<16)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				add(l, i)
			}
		})
	}
}

package correlate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

// logins are lines about login attempts of a few users from two sources, by time: up to four
// lines each, some without the user or the port, and some end with a login.
func logins(chance *rand.Rand) (lines []event.Event) {
	kinds := []event.Kind{failed, event.SSHUserInvalid, event.SSHPreauthClosed, event.SSHTriesExceeded, event.SSHPAMFailed}
	for pid := range 5 + chance.IntN(25) {
		began, user, port := chance.IntN(3*3600), fmt.Sprint("user", chance.IntN(4)), uint16(1024+pid)
		from := netip.AddrFrom4([4]byte{203, 0, 113, byte(chance.IntN(2))})
		for n := range 1 + chance.IntN(4) {
			l := line(fmt.Sprint(pid), user, port, kinds[chance.IntN(len(kinds))], began+n*chance.IntN(20))
			if n > 0 && chance.IntN(5) == 0 {
				l.Kind, l.Severity = event.SSHLoginAccepted, event.SSHLoginAccepted.Severity()
			}
			if l.Source.Addr = from; chance.IntN(4) == 0 && l.Severity >= 0 {
				l.User = ""
			}
			if chance.IntN(4) == 0 {
				l.Source.Port = 0
			}
			if chance.IntN(8) == 0 && l.User != "" {
				l.User = "another"
			}
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, event.Event.Compare)
	for i := range lines {
		lines[i].Line = int64(i + 1)
	}
	return lines
}

// late are the same events in an order in which each comes at the most so much too late.
func late(chance *rand.Rand, lines []event.Event, by time.Duration) []event.Event {
	type arrival struct {
		at time.Time
		e  event.Event
	}
	var all []arrival
	for _, e := range lines {
		all = append(all, arrival{e.Time.Add(time.Duration(chance.Int64N(int64(by)))), e})
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return a.at.Compare(b.at) })
	lines = nil
	for _, a := range all {
		lines = append(lines, a.e)
	}
	return lines
}

// What is counted in the end does not depend on the order of the lines.
func TestAttemptsDoNotDependOnOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	counted := func(lines []event.Event) map[event.Event]int {
		var a Attempts
		sum := map[event.Event]int{}
		for _, e := range lines {
			for _, c := range a.Add(e) {
				if sum[c.Event] += c.Delta; sum[c.Event] == 0 {
					delete(sum, c.Event)
				}
			}
		}
		return sum
	}
	forgiven := 0
	for round := range 100 {
		lines := logins(chance)
		want := counted(lines)
		for _, lateness := range []time.Duration{time.Minute, time.Hour, 10 * time.Hour} {
			if got := counted(late(chance, lines, lateness)); !maps.Equal(got, want) {
				for e, n := range want {
					if got[e] != n {
						t.Logf("%d instead of %d: %+v", got[e], n, e)
					}
				}
				for e, n := range got {
					if want[e] == 0 {
						t.Logf("%d instead of none: %+v", n, e)
					}
				}
				t.Fatalf("seed %d, round %d, up to %v late: another sum", seed, round, lateness)
			}
		}
		attempts := map[string]bool{}
		for _, e := range lines {
			attempts[e.Attempt] = true
		}
		forgiven += len(attempts) - len(want)
	}
	if forgiven < 60 {
		t.Errorf("%d attempts forgiven: that shows nothing", forgiven)
	}
}

// A node's own evidence does not depend on the order in which its sensors tell it, as long as
// each is at most so late as is allowed: slot by slot it counts the same. Only which seconds of
// a slot the first and the last one are may differ, where lines of one attempt took each other's place.
func TestLatenessChangesNoEvidence(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 1))
	type place struct {
		key  event.Key
		kind event.Kind
		slot int64
	}
	evidence := func(lines []event.Event, since int64) map[place]uint64 {
		var a Attempts
		l := ledger(t, 1000)
		for _, e := range lines {
			for _, c := range a.Add(e) {
				l.Add(event.Key{Selector: event.BySource, Value: c.Event.Source.Addr.String()}, c)
			}
		}
		counts := map[place]uint64{}
		for _, key := range l.Keys() {
			for _, tally := range l.Tallies(key) {
				if slot := tally.First / 60; slot >= since {
					counts[place{key, tally.Kind, slot}] += tally.Count()
				}
			}
		}
		return counts
	}
	found := 0
	for round := range 100 {
		lines := logins(chance)
		since := lines[len(lines)-1].Time.Add(-builtin(t).Longest()).Unix() / 60
		want := evidence(lines, since)
		if got := evidence(late(chance, lines, lateness), since); !maps.Equal(got, want) {
			t.Fatalf("seed %d, round %d: %v, and in another order %v", seed, round, want, got)
		}
		found += len(want)
	}
	if found < 300 {
		t.Errorf("%d tallies: the evidence is too thin to show anything", found)
	}
}

// However many users are tried however often, what is remembered of them all is bounded.
func TestHistoriesAreBounded(t *testing.T) {
	var a Attempts
	const users = entriesKept / 8
	for i := range 16 * users { // each sixteen times, one after the other
		e := seen(event.SSHLoginFailed, i/1000)
		e.User, e.Line = fmt.Sprint("u", i/16), int64(i)
		a.Add(e)
	}
	entries := 0
	for _, half := range []map[userKey]history{a.histories.young, a.histories.old} {
		for _, h := range half {
			entries += len(h)
		}
	}
	if entries < entriesKept || entries > 2*entriesKept+historyKept {
		t.Errorf("%d entries are remembered, want %d to %d", entries, entriesKept, 2*entriesKept)
	}
	// One user alone takes no room from the others, however often he tries.
	last := fmt.Sprint("u", users-1)
	for i := range 4 * entriesKept {
		e := seen(event.SSHLoginFailed, i/1000)
		e.User, e.Line = "one", int64(i)
		a.Add(e)
	}
	if _, ok := a.histories.get(userKey{last, attacker}); !ok {
		t.Errorf("%s is forgotten", last)
	}
}

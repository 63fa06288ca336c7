package block

import (
	"testing"
	"time"
	"unsafe"
)

// set is a reading of time.Now as it would be had somebody set the clock: its
// wall time is another one, its monotonic time the same. The seconds of a time
// with both stand above 30 bits of nanoseconds in its first word.
func set(t time.Time, by time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(by/time.Second) << 30
	return t
}

// TestClockIsSet sets the host's clock while blocks last: they end when they were
// to end, for the kernel, which counts by another clock, and for us.
func TestClockIsSet(t *testing.T) {
	var worst time.Duration
	for _, by := range []time.Duration{time.Hour, -time.Hour, 2 * time.Minute, -2 * time.Minute} {
		f := newFixture(t)
		truth := time.Now()
		began := truth
		f.now, f.kernel.now = truth, &truth
		if got := setBy(truth, set(truth.Add(time.Minute), by)); got != by {
			t.Fatalf("set by %v, seen as %v", by, got)
		}
		f.Reconcile(t.Context(), f.now)
		f.seen(attacker, 0)
		f.propose(Proposal{Prefix: attackerPrefix, Evidence: f.now, Reason: "longer", Hold: "a person decides", Duration: time.Hour})
		lasts := f.blocked(attacker)
		if lasts <= 0 {
			t.Fatal("not blocked")
		}
		for passed := time.Duration(0); passed < lasts-time.Minute; passed += time.Minute {
			truth = truth.Add(time.Minute)
			f.now = set(truth, by)
			if _, err := f.Reconcile(t.Context(), f.now); err != nil {
				t.Fatal(err)
			}
			if _, blocked := f.Lookup(f.now, attackerPrefix.Addr()); !blocked {
				t.Fatalf("set by %v: ended after %v of %v", by, passed, lasts)
			}
		}
		worst = max(worst, (f.blocked(attacker) + f.now.Sub(began) - lasts).Abs())
		truth = truth.Add(time.Minute + tolerance)
		f.now = set(truth, by)
		if b, blocked := f.Lookup(f.now, attackerPrefix.Addr()); blocked {
			t.Errorf("set by %v: lasts over its end by %v", by, b.Until.Sub(f.now))
		}
		if c, err := f.kernel.Counters(t.Context()); err != nil || len(c) != 0 {
			t.Errorf("set by %v: the kernel blocks on, for %+v (%v)", by, c, err)
		}
	}
	t.Logf("fault | the clock set by 2 min and by 1 h, to and fro: blocks end too early or late by | 1 s | %v", worst)
	if worst > tolerance {
		t.Errorf("blocks end %v too early or late", worst)
	}
}

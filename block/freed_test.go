package block

import (
	"testing"
	"time"
)

// A person's word holds until evidence from after it has blocked anew; a rejection is about others' evidence alone.
func TestFreed(t *testing.T) {
	f := newFixture(t, network(Approve))
	freed := func(others bool) time.Time { return f.Freed(f.now, others, attackerPrefix)[attackerPrefix] }
	f.seen(attacker, time.Minute)
	if !freed(true).IsZero() {
		t.Error("freed by nobody")
	}
	if _, err := f.Reject(t.Context(), f.now, attackerPrefix); err != nil {
		t.Fatal(err)
	}
	rejected := f.now
	f.keep()
	f.restart(f.policy)
	if !freed(true).Equal(rejected) || !freed(false).IsZero() {
		t.Errorf("rejected: others' evidence counts from %s, own from %s", freed(true), freed(false))
	}
	f.own(attacker, 0)
	f.now = f.now.Add(time.Minute)
	if _, err := f.Remove(t.Context(), f.now, attackerPrefix); err != nil {
		t.Fatal(err)
	}
	removed := f.now
	f.keep()
	f.restart(f.policy)
	if !freed(true).Equal(removed) || !freed(false).Equal(removed) {
		t.Errorf("removed: others' evidence counts from %s, own from %s", freed(true), freed(false))
	}
	f.now = f.now.Add(time.Minute)
	if f.own(attacker, 0); !freed(false).IsZero() || !freed(true).Equal(rejected) {
		t.Errorf("blocked anew: others' evidence counts from %s, own from %s", freed(true), freed(false))
	}
}

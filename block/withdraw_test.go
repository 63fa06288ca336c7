package block

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// said proposes on others' evidence of now, by an alert.
func (f *fixture) said(alert, prefix string, d time.Duration) {
	f.Helper()
	f.propose(Proposal{Prefix: netip.MustParsePrefix(prefix), Evidence: f.now, Reason: "others say so", Alert: alert, Duration: d})
}

func (f *fixture) withdrawn(want []string, alerts ...string) {
	f.Helper()
	freed, err := f.Withdraw(f.Context(), f.now, alerts...)
	var got []string
	for _, p := range freed {
		got = append(got, p.String())
	}
	if err != nil || !slices.Equal(got, want) {
		f.Errorf("withdrawing %v freed %v (%v), want %v", alerts, got, err, want)
	}
}

func TestWithdraw(t *testing.T) {
	f := newFixture(t)
	f.said("bad", attacker, 0)
	f.said("good", "198.51.100.8/32", 0)
	f.propose(Proposal{Prefix: netip.MustParsePrefix("198.51.100.9/32"), Evidence: f.now, Alert: "bad", Local: true})
	f.propose(Proposal{Prefix: netip.MustParsePrefix("198.51.100.10/32"), Manual: true})
	f.now = f.now.Add(time.Minute)
	f.withdrawn(nil, "")
	f.withdrawn([]string{attacker}, "bad", "unknown")
	f.withdrawn(nil, "bad")
	if f.blocked(attacker) != 0 || len(f.kernel.elements) != 3 || len(f.List(f.now)) != 3 {
		t.Errorf("kernel: %v, list: %+v", f.kernel.elements, f.List(f.now))
	}
	f.crash(f.policy) // it is on disk at once
	if f.blocked(attacker) != 0 {
		t.Error("a crash brings it back")
	}
	// Evidence from before the withdrawal counts, where it is good; and there
	// was no right block before.
	f.now = f.now.Add(time.Minute)
	f.propose(Proposal{Prefix: attackerPrefix, Evidence: f.now.Add(-90 * time.Second)})
	if list := f.List(f.now); f.blocked(attacker) != 8*time.Minute+30*time.Second || list[0].Repeats != 0 {
		t.Errorf("blocked for %s, %+v", f.blocked(attacker), list[0])
	}
	f.said("bad", attacker, time.Hour)
	f.now = f.now.Add(time.Minute)
	f.withdrawn([]string{attacker}, "bad")
	f.now = f.now.Add(time.Minute)
	if d := f.seen(attacker, 0); d.Block.Repeats != 0 {
		t.Errorf("a repeat of what was withdrawn: %+v", d)
	}
}

func TestWithdrawLeavesOwnEvidence(t *testing.T) {
	for name, own := range map[string]func(*fixture){
		"own first": func(f *fixture) { f.own(attacker, 0); f.said("bad", attacker, time.Hour) },
		"own later": func(f *fixture) { f.said("bad", attacker, time.Hour); f.own(attacker, 0) },
		"own by hand": func(f *fixture) {
			f.propose(Proposal{Prefix: attackerPrefix, Manual: true, Duration: 10 * time.Minute, Reason: "seen here"})
			f.said("bad", attacker, time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			own(f)
			if f.blocked(attacker) != time.Hour {
				t.Fatalf("blocked for %s", f.blocked(attacker))
			}
			f.kernel.drop(attacker)
			f.restart(f.policy)
			f.withdrawn([]string{attacker}, "bad")
			if b := f.List(f.now)[0]; f.blocked(attacker) != 10*time.Minute || b.Until.Sub(f.now) != 10*time.Minute || b.Reason != "seen here" || b.Packets != 1 {
				t.Errorf("blocked for %s: %+v", f.blocked(attacker), b)
			}
			f.withdrawn(nil, "bad")
		})
	}
}

func TestWithdrawWhatWaits(t *testing.T) {
	f := newFixture(t, network(Approve))
	f.said("bad", attacker, 0)
	f.said("good", "198.51.100.8/32", 0)
	f.said("bad", "198.51.100.9/32", 0)
	if blocks, err := f.Approve(t.Context(), f.now, netip.MustParsePrefix("198.51.100.9/32")); len(blocks) != 1 || err != nil {
		t.Fatal(blocks, err)
	}
	f.withdrawn([]string{attacker, "198.51.100.9/32"}, "bad") // who approved it believed the evidence
	if f.states() != Waiting || len(f.kernel.elements) != 0 {
		t.Errorf("%s, kernel %v", f.states(), f.kernel.elements)
	}
	f.said("new", attacker, 0)
	if f.states() != Waiting+" "+Waiting {
		t.Errorf("good evidence must ask again: %s", f.states())
	}
}

// What other hosts of the same owner have seen blocks as what this one sees, also
// where others' evidence waits; and falls when that host turns out to be bad.
func TestFleetsEvidenceActsAndIsWithdrawn(t *testing.T) {
	policy := DefaultPolicy()
	policy.Network = Approve
	f := newFixture(t)
	f.crash(policy)
	f.propose(Proposal{Prefix: attackerPrefix, Evidence: f.now, Alert: "stolen", Fleet: true, Hold: "in doubt"})
	if f.blocked(attacker) == 0 {
		t.Fatal("not blocked")
	}
	f.withdrawn([]string{attacker}, "stolen")
	if f.blocked(attacker) != 0 {
		t.Error("blocked for a host that is out")
	}
}

// A pardon ends what this host's own evidence asks for, too, but not what a person does.
func TestPardon(t *testing.T) {
	f := newFixture(t)
	own := Proposal{Prefix: attackerPrefix, Evidence: f.now, Alert: "bad", Local: true}
	f.propose(own)
	f.said("bad", "198.51.100.8/32", 0)
	f.said("good", "198.51.100.9/32", 0)
	byHand := Proposal{Prefix: netip.MustParsePrefix("198.51.100.10/32"), Manual: true, Duration: 5 * time.Minute}
	f.propose(byHand)
	f.said("bad", "198.51.100.10/32", time.Hour)
	f.now = f.now.Add(time.Minute)
	freed, err := f.Pardon(f.Context(), f.now, "bad", "")
	var got []string
	for _, p := range freed {
		got = append(got, p.String())
	}
	if want := []string{"198.51.100.7/32", "198.51.100.8/32", "198.51.100.10/32"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("freed %v (%v), want %v", got, err, want)
	}
	if f.blocked(attacker) != 0 || f.blocked("198.51.100.9/32") == 0 || f.blocked("198.51.100.10/32") != 4*time.Minute {
		t.Errorf("blocked: %+v", f.List(f.now))
	}
	own.Evidence = f.now // the pardon is taken back
	if d := f.propose(own); !d.Applied || d.Block.Repeats != 0 {
		t.Errorf("blocked again: %+v", d)
	}
}

package block

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func network(m Mode) func(*Policy) { return func(p *Policy) { p.Network = m } }

var attackerPrefix = netip.MustParsePrefix(attacker)

// own proposes what this host has seen itself, so long ago.
func (f *fixture) own(prefix string, ago time.Duration) Decision {
	f.Helper()
	return f.propose(Proposal{Prefix: netip.MustParsePrefix(prefix), Evidence: f.now.Add(-ago), Reason: "seen here", Local: true})
}

// states are those of the list, the latest first.
func (f *fixture) states() string {
	var states []string
	for _, b := range f.List(f.now) {
		states = append(states, b.State)
	}
	return strings.Join(states, " ")
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]Mode{"auto": Auto, " Approve\n": Approve, "OBSERVE": Observe} {
		if m, err := ParseMode(text); m != want || err != nil {
			t.Errorf("%q: %q, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "automatic", "block"} {
		if _, err := ParseMode(text); err == nil || !strings.Contains(err.Error(), "want auto, approve or observe") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewManager(nil, nil, nil, func() Policy { p := DefaultPolicy(); p.Network = ""; return p }()); err == nil {
		t.Error("a policy without a mode is accepted")
	}
}

func TestApprove(t *testing.T) {
	f := newFixture(t, network(Approve))
	d := f.seen(attacker, 4*time.Minute)
	if !d.Applied || d.Block.State != Waiting || d.Block.Hold == "" || d.Block.Until.Sub(f.now) != 6*time.Minute || len(f.kernel.elements) != 0 {
		t.Fatalf("%+v", d)
	}
	if s := f.Status(f.now); s.Waiting != 1 || s.Live != 0 || s.LastHour != 0 {
		t.Errorf("%+v", s)
	}
	if d := f.seen(attacker, 5*time.Minute); d.Applied || d.Refused != "" || d.Block.State != Waiting {
		t.Errorf("older evidence changes nothing: %+v", d)
	}
	f.now = f.now.Add(time.Minute)
	f.restart(f.policy)
	if list := f.List(f.now); len(list) != 1 || list[0].Hold != d.Block.Hold || list[0].Reason != "brute force" || f.blocked(attacker) != 0 {
		t.Fatalf("after a restart: %+v", list)
	}
	blocks, err := f.Approve(t.Context(), f.now, attackerPrefix, netip.MustParsePrefix("::ffff:198.51.100.7/128"), netip.MustParsePrefix("192.0.2.1/32"))
	if err != nil || len(blocks) != 1 || blocks[0].State != Blocked || blocks[0].Hold != "" || !blocks[0].Since.Equal(f.now) || f.blocked(attacker) != 5*time.Minute {
		t.Errorf("approved: %+v, %v, blocked for %s", blocks, err, f.blocked(attacker))
	}
	if s := f.Status(f.now); s.Waiting != 0 || s.Live != 1 {
		t.Errorf("%+v", s)
	}
	f.kernel.Flush(t.Context())
	f.crash(f.policy) // a person's wish is on disk at once
	if f.states() != Blocked || f.blocked(attacker) != 5*time.Minute {
		t.Errorf("after a crash: %s", f.states())
	}
}

func TestApprovalsEndWithTheirEvidence(t *testing.T) {
	f := newFixture(t, network(Approve))
	f.seen(attacker, 0)
	f.now = f.now.Add(10 * time.Minute)
	if blocks, err := f.Approve(t.Context(), f.now, attackerPrefix); len(blocks) != 0 || err != nil || f.states() != "" {
		t.Errorf("%+v, %v", blocks, err)
	}
	if d := f.seen(attacker, 0); d.Block.State != Waiting || d.Block.Repeats != 0 {
		t.Errorf("what was never blocked is no repeater: %+v", d)
	}
	f.now = f.now.Add(10 * time.Minute)
	f.Reconcile(t.Context(), f.now)
	f.keep()
	if len(f.wishes) != 0 || len(f.keeper.kept) != 0 {
		t.Errorf("%d wishes, %d on disk", len(f.wishes), len(f.keeper.kept))
	}
}

func TestApproveWhatMayNotBe(t *testing.T) {
	f := newFixture(t, network(Approve))
	f.seen(attacker, 0)
	f.kernel.fail = errBroken
	if blocks, err := f.Approve(t.Context(), f.now, attackerPrefix); len(blocks) != 0 || !errors.Is(err, errBroken) || f.states() != Waiting {
		t.Errorf("a failing kernel: %v, %v, %s: it must wait on", blocks, err, f.states())
	}
	f.kernel.fail = nil
	f.admin = exemptions([]netip.Addr{attackerPrefix.Addr()}, "the administrator's SSH session")
	f.now = f.now.Add(freshness)
	if blocks, err := f.Approve(t.Context(), f.now, attackerPrefix); len(blocks) != 0 || err != nil || f.blocked(attacker) != 0 || f.states() != "" {
		t.Errorf("the administrator: %v, %v, %s", blocks, err, f.states())
	}
}

func TestReject(t *testing.T) {
	for name, ask := range map[string]func(*fixture) (int, error){
		"reject": func(f *fixture) (int, error) {
			return f.Reject(f.Context(), f.now, attackerPrefix, attackerPrefix, netip.MustParsePrefix("192.0.2.1/32"))
		},
		"remove": func(f *fixture) (int, error) { return f.Remove(f.Context(), f.now, attackerPrefix) },
		"flush": func(f *fixture) (int, error) {
			n, err := f.Flush(f.Context(), f.now)
			return n + 1, err // which counts blocks only
		},
		"flush without a node": func(f *fixture) (int, error) {
			f.keep()
			n, err := EndKept(f.keeper, f.now)
			return n + 1, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, network(Approve))
			f.seen(attacker, time.Minute)
			if n, err := ask(f); n != 1 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			f.unkept = map[string]any{} // it is on disk
			f.crash(f.policy)
			if f.states() != "" {
				t.Errorf("waits on: %s", f.states())
			}
			f.policy.Network = Auto // a person's word holds in every mode
			f.now = f.now.Add(time.Minute)
			if d := f.seen(attacker, time.Minute); !strings.HasPrefix(d.Refused, "rejected by hand at 2025-03-01T12:00:00Z") || f.blocked(attacker) != 0 {
				t.Errorf("old evidence: %+v", d)
			}
			if d := f.own(attacker, time.Minute); d.Block.State != Blocked {
				t.Errorf("own evidence: %+v", d)
			}
			f.Remove(t.Context(), f.now, attackerPrefix)
			f.now = f.now.Add(time.Second)
			f.policy.Network = Approve
			if d := f.seen(attacker, 0); d.Block.State != Waiting {
				t.Errorf("newer evidence: %+v", d)
			}
		})
	}
}

func TestRejectionsAreForgotten(t *testing.T) {
	f := newFixture(t, network(Approve), func(p *Policy) { p.Total = 8 })
	for i := range 8 {
		f.now = f.now.Add(time.Second)
		p := fmt.Sprintf("198.51.100.%d/32", i)
		f.seen(p, 0)
		if n, err := f.Reject(t.Context(), f.now, netip.MustParsePrefix(p)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	f.now = f.now.Add(time.Second)
	if d := f.seen("192.0.2.1/32", 0); d.Block.State != Waiting || len(f.wishes) != 5 {
		t.Errorf("rejections leave no room: %d, %+v", len(f.wishes), d)
	}
	f.now = f.now.Add(f.policy.Max + time.Second)
	f.Reconcile(t.Context(), f.now)
	f.keep()
	if len(f.wishes) != 0 || len(f.keeper.kept) != 0 {
		t.Errorf("%d wishes, %d on disk", len(f.wishes), len(f.keeper.kept))
	}
}

func TestWishesAreBounded(t *testing.T) {
	f := newFixture(t, network(Approve), func(p *Policy) { p.Total = 3 })
	for i := range 3 {
		f.seen(fmt.Sprintf("198.51.100.%d/32", i), time.Duration(i)*time.Minute)
	}
	if d := f.seen(attacker, 0); d.Refused != "cap: 3 blocks wait or are observed" || d.Applied || len(f.wishes) != 3 {
		t.Errorf("%+v", d)
	}
	if d := f.seen("198.51.100.2/32", 0); !d.Applied {
		t.Errorf("one that waits already is none more: %+v", d)
	}
	if d := f.own(attacker, 0); d.Block.State != Blocked {
		t.Errorf("others' wishes must not stop our own: %+v", d)
	}
	f.now = f.now.Add(9 * time.Minute) // one has ended
	if d := f.seen("198.51.100.50/32", 0); !d.Applied {
		t.Errorf("%+v", d)
	}
}

func TestOwnEvidenceBlocksWhatWaits(t *testing.T) {
	for _, mode := range []Mode{Approve, Observe} {
		f := newFixture(t, network(mode))
		f.seen(attacker, 0)
		f.now = f.now.Add(time.Minute)
		if d := f.own(attacker, 0); !d.Applied || d.Block.State != Blocked || f.blocked(attacker) != 10*time.Minute || f.states() != Blocked {
			t.Errorf("%s: %+v, listed as %s", mode, d, f.states())
		}
		f.propose(Proposal{Prefix: attackerPrefix, Evidence: f.now, Duration: time.Hour})
		if f.blocked(attacker) != 10*time.Minute || !strings.Contains(f.states(), Blocked+" ") && !strings.Contains(f.states(), " "+Blocked) {
			t.Errorf("%s: a longer one on others' evidence: blocked for %s, listed as %s", mode, f.blocked(attacker), f.states())
		}
		f.propose(Proposal{Prefix: attackerPrefix, Manual: true, Duration: time.Minute})
		if got := f.blocked(attacker); got != time.Minute {
			t.Errorf("%s: by hand: %s", mode, got)
		}
	}
}

func TestObserve(t *testing.T) {
	f := newFixture(t, network(Observe))
	d := f.seen(attacker, 0)
	if !d.Applied || d.Block.State != Observed || f.blocked(attacker) != 0 {
		t.Fatalf("%+v", d)
	}
	held := f.propose(Proposal{Prefix: netip.MustParsePrefix("198.51.100.8/32"), Evidence: f.now, Hold: "the revocation list is stale"})
	if held.Block.State != Observed {
		t.Errorf("observe is stricter than to ask: %+v", held)
	}
	f.restart(f.policy)
	f.kernel.Flush(t.Context())
	if n, err := f.Reconcile(t.Context(), f.now); n != 0 || err != nil || len(f.kernel.elements) != 0 {
		t.Errorf("put %d of them into the kernel, %v", n, err)
	}
	if s := f.Status(f.now); s.Observed != 2 || s.Live != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	if blocks, err := f.Approve(t.Context(), f.now, attackerPrefix); len(blocks) != 0 || err != nil {
		t.Errorf("approved what does not wait: %+v, %v", blocks, err)
	}
}

func TestHold(t *testing.T) {
	f := newFixture(t)
	p := Proposal{Prefix: attackerPrefix, Evidence: f.now, Hold: "the revocation list is 25h old"}
	if d := f.propose(p); d.Block.State != Waiting || d.Block.Hold != p.Hold || f.blocked(attacker) != 0 {
		t.Errorf("%+v", d)
	}
	p.Local = true
	if d := f.propose(p); d.Block.State != Blocked || f.states() != Blocked {
		t.Errorf("own evidence: %+v", d)
	}
	p.Prefix, p.Local, p.Hold = netip.MustParsePrefix("198.51.100.8/32"), false, ""
	if d := f.propose(p); d.Block.State != Blocked {
		t.Errorf("without a reason: %+v", d)
	}
}

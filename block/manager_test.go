package block

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const attacker = "198.51.100.7/32"

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		proposal Proposal
		want     string // "" where it is accepted
	}{
		"address":        {Proposal{Prefix: netip.MustParsePrefix(attacker)}, ""},
		"IPv6 /64":       {Proposal{Prefix: netip.MustParsePrefix("2001:db8:1:2::/64")}, ""},
		"mapped":         {Proposal{Prefix: netip.MustParsePrefix("::ffff:198.51.100.9/128")}, ""},
		"wide":           {Proposal{Prefix: netip.MustParsePrefix("198.51.100.0/24")}, "198.51.100.0/24 is wider than the /32 that this host's policy allows"},
		"wide by hand":   {Proposal{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Manual: true}, ""},
		"wide IPv6":      {Proposal{Prefix: netip.MustParsePrefix("2001:db8::/48")}, "wider than the /64"},
		"everything":     {Proposal{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Manual: true}, "never-block set: 0.0.0.0/0 holds"},
		"everything v6":  {Proposal{Prefix: netip.MustParsePrefix("::/0"), Manual: true}, "never-block set: ::/0 holds"},
		"allow-list":     {Proposal{Prefix: netip.MustParsePrefix("203.0.113.130/32")}, "203.0.113.130 is in 203.0.113.128/25: on the allow-list"},
		"loopback":       {Proposal{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Manual: true}, "loopback"},
		"mapped private": {Proposal{Prefix: netip.MustParsePrefix("::ffff:10.0.0.1/128")}, "10.0.0.1 is in 10.0.0.0/8: a private range"},
		"too old":        {Proposal{Prefix: netip.MustParsePrefix(attacker), Evidence: time.Date(2025, 3, 1, 11, 50, 0, 0, time.UTC)}, "too old: a block for evidence of 2025-03-01T11:50:00Z would have ended at 2025-03-01T12:00:00Z"},
		"no prefix":      {Proposal{}, "not valid"},
		"mapped wide":    {Proposal{Prefix: netip.MustParsePrefix("::ffff:0:0/90")}, "wider than all of IPv4"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			if test.proposal.Evidence.IsZero() {
				test.proposal.Evidence = f.now
			}
			d := f.propose(test.proposal)
			f.keep()
			if test.want == "" && (d.Refused != "" || !d.Applied || len(f.kernel.elements) != 1 || len(f.keeper.kept) != 1) {
				t.Errorf("refused: %+v", d)
			}
			if test.want != "" && (!strings.Contains(d.Refused, test.want) || d.Applied || len(f.kernel.elements) != 0 || len(f.keeper.kept) != 0) {
				t.Errorf("got %+v, want refused with %q", d, test.want)
			}
		})
	}
}

// A host whose policy allows prefixes blocks no wider ones, and none that holds an address that is
// never blocked.
func TestPrefixesThatPolicyAllows(t *testing.T) {
	for prefix, want := range map[string]string{ // "" where it is accepted
		"198.51.100.16/28": "", "198.51.100.0/24": "wider than the /28", "2001:db8:1:400::/56": "", "2001:db8:1::/48": "wider than the /56",
		"203.0.113.128/28": "203.0.113.128/28 is in 203.0.113.128/25: on the allow-list", "203.0.113.0/28": "",
		"192.0.2.48/28": "192.0.2.48/28 holds 192.0.2.53: on the allow-list",
	} {
		f := newFixture(t, func(p *Policy) { p.MaxBits4, p.MaxBits6 = 28, 56 })
		if err := f.never.SetAllow([]string{"203.0.113.128/25", "192.0.2.53"}); err != nil {
			t.Fatal(err)
		}
		d := f.propose(Proposal{Prefix: netip.MustParsePrefix(prefix), Evidence: f.now})
		if (want == "") != d.Applied || !strings.Contains(d.Refused, want) || want != "" && d.Refused == "" {
			t.Errorf("%s: %+v, want %q", prefix, d, want)
		}
	}
}

func TestBlockEndsAfterEvidence(t *testing.T) {
	f := newFixture(t)
	d := f.seen(attacker, 4*time.Minute)
	if got := f.blocked(attacker); got != 6*time.Minute || d.Block.State != Blocked || !d.Block.Since.Equal(f.now) {
		t.Fatalf("blocked for %s, want 6m: %+v", got, d)
	}
	first := f.now.Add(-4 * time.Minute)
	f.now = f.now.Add(time.Minute)
	if d := f.propose(Proposal{Prefix: d.Block.Prefix, Evidence: first}); d.Applied || d.Refused != "" || d.Block.Until.Format(time.RFC3339) != "2025-03-01T12:06:00Z" {
		t.Errorf("replay: %+v", d)
	}
	if d := f.seen(attacker, 0); !d.Applied || f.blocked(attacker) != 10*time.Minute || d.Block.Repeats != 0 {
		t.Errorf("newer evidence must extend: %+v", d)
	}
	if d := f.seen(attacker, -time.Hour); d.Applied {
		t.Errorf("evidence from the future counts as of now, and so changes nothing: %+v", d)
	}
	f.now = f.now.Add(10 * time.Minute)
	for _, evidence := range []time.Duration{0, time.Minute, 5 * time.Minute} {
		if d := f.propose(Proposal{Prefix: d.Block.Prefix, Evidence: first.Add(evidence)}); !strings.HasPrefix(d.Refused, "too old") {
			t.Errorf("replay after the end: %+v", d)
		}
	}
	if len(f.List(f.now)) != 0 {
		t.Error("the block did not end")
	}
}

func TestRepeatersGrow(t *testing.T) {
	f := newFixture(t)
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 240, 240} {
		d := f.seen(attacker, 0)
		if got := f.blocked(attacker); got != want*time.Minute || d.Block.Repeats != i {
			t.Fatalf("block %d lasts %s, want %dm: %+v", i, got, want, d)
		}
		f.now = f.now.Add(want*time.Minute + time.Second)
	}
	local := f.propose(Proposal{Prefix: netip.MustParsePrefix(attacker), Evidence: f.now, Local: true})
	if got := f.blocked(attacker); got != 1280*time.Minute {
		t.Errorf("own evidence: %s, want 21h20m: %+v", got, local)
	}
	f.now = f.now.Add(50 * time.Hour) // longer than the memory
	if _, err := f.Reconcile(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	if len(f.keeper.kept) != 0 {
		t.Errorf("%d ended blocks are still kept", len(f.keeper.kept))
	}
	if d := f.seen(attacker, 0); d.Block.Repeats != 0 || f.blocked(attacker) != 10*time.Minute {
		t.Errorf("forgotten repeater: %+v", d)
	}
}

func TestManual(t *testing.T) {
	f := newFixture(t, func(p *Policy) { p.PerHour, p.Total = 0, 0 })
	p := Proposal{Prefix: netip.MustParsePrefix("198.51.100.0/22"), Manual: true, Duration: 100 * time.Hour}
	if d := f.propose(p); !d.Applied || f.blocked("198.51.100.0/22") != 100*time.Hour {
		t.Fatalf("%+v", d)
	}
	p.Duration = time.Minute
	if d := f.propose(p); !d.Applied || f.blocked("198.51.100.0/22") != time.Minute {
		t.Errorf("a person may shorten it: %+v", d)
	}
	if b, ok := f.Lookup(f.now, netip.MustParseAddr("198.51.103.255")); !ok || b.Prefix != p.Prefix {
		t.Errorf("look-up: %+v", b)
	}
	if b, ok := f.Lookup(f.now, netip.MustParseAddr("198.51.104.0")); ok {
		t.Errorf("look-up outside: %+v", b)
	}
	if _, ok := f.Lookup(f.now, netip.Addr{}); ok {
		t.Error("look-up of no address")
	}
}

func TestCaps(t *testing.T) {
	f := newFixture(t, func(p *Policy) { p.PerHour, p.Total = 3, 5 })
	address := func(i int) string { return fmt.Sprintf("198.51.100.%d/32", i) }
	for i := range 3 {
		f.seen(address(i), 0)
	}
	if d := f.seen(address(3), 0); d.Refused != "cap: 3 new blocks in an hour" {
		t.Errorf("%+v", d)
	}
	f.now = f.now.Add(5 * time.Minute)
	if d := f.seen(address(0), 0); !d.Applied {
		t.Errorf("an extension is no new block: %+v", d)
	}
	policy := f.policy
	f.restart(policy)
	if d := f.seen(address(3), 0); d.Refused == "" {
		t.Error("a restart lifts the hourly cap")
	}
	f.now = f.now.Add(time.Hour)
	for i := range 3 {
		f.propose(Proposal{Prefix: netip.MustParsePrefix(address(10 + i)), Evidence: f.now, Duration: 3 * time.Hour})
	}
	f.now = f.now.Add(time.Hour)
	f.seen(address(20), 0)
	f.seen(address(21), 0)
	if d := f.seen(address(22), 0); d.Refused != "cap: 5 blocks at a time" {
		t.Errorf("%+v", d)
	}
	f.now = f.now.Add(11 * time.Minute) // two have ended
	if d := f.seen(address(22), 0); !d.Applied {
		t.Errorf("%+v", d)
	}
	if s := f.Status(f.now); s.Live != 4 || s.Remembered != 5 || s.LastHour != 3 {
		t.Errorf("%+v", s)
	}
}

func TestBreaker(t *testing.T) {
	f := newFixture(t, func(p *Policy) { p.Breaker = 2 })
	for range 3 {
		f.seen("10.0.0.1/32", 0)
	}
	f.propose(Proposal{Prefix: netip.MustParsePrefix("10.0.0.1/32"), Manual: true}) // a person's mistake is no attack
	if s := f.Status(f.now); !s.Breaker || s.NeverHits != 3 || s.NeverLastHour != 3 {
		t.Errorf("%+v", s)
	}
	if d := f.seen(attacker, 0); d.Block.State != Waiting || !strings.Contains(d.Block.Hold, "breaker") || f.blocked(attacker) != 0 {
		t.Errorf("others' evidence must wait: %+v", d)
	}
	if d := f.own("198.51.100.8/32", 0); d.Block.State != Blocked {
		t.Errorf("own evidence: %+v", d)
	}
	f.now = f.now.Add(time.Hour)
	if s := f.Status(f.now); s.Breaker || s.NeverHits != 3 {
		t.Errorf("an hour later: %+v", s)
	}
	if d := f.seen(attacker, 0); d.Block.State != Blocked || f.states() != Blocked {
		t.Errorf("an hour later: %+v", d)
	}
	for range 3 {
		f.own("10.0.0.1/32", 0) // an administrator who mistypes his password
	}
	if s := f.Status(f.now); s.Breaker || s.NeverHits != 6 {
		t.Errorf("own evidence must not open it: %+v", s)
	}
}

func TestRemove(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 0)
	f.now = f.now.Add(time.Minute)
	for _, want := range []int{1, 0} {
		if n, err := f.Remove(t.Context(), f.now, netip.MustParsePrefix(attacker), netip.MustParsePrefix("::ffff:198.51.100.7/128")); n != want || err != nil {
			t.Fatalf("removed %d, %v", n, err)
		}
	}
	f.now = f.now.Add(time.Second)
	if d := f.seen(attacker, 2*time.Second); !strings.HasPrefix(d.Refused, "removed by hand at 2025-03-01T12:01:00Z") || len(f.kernel.elements) != 0 {
		t.Errorf("evidence from before: %+v", d)
	}
	if d := f.seen(attacker, 0); !d.Applied || d.Block.Repeats != 0 || f.blocked(attacker) != 10*time.Minute {
		t.Errorf("new evidence: %+v", d)
	}
	if n, err := f.Flush(t.Context(), f.now); n != 1 || err != nil || len(f.kernel.elements) != 0 || !f.kernel.there || len(f.kernel.never) == 0 {
		t.Errorf("flushed %d, %v: %+v", n, err, f.kernel)
	}
	if s := f.Status(f.now); s.Live != 0 || s.Remembered != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRestart(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 0)
	f.seen("198.51.100.8/32", 9*time.Minute)
	f.propose(Proposal{Prefix: netip.MustParsePrefix("2001:db8:1:2::/64"), Evidence: f.now, Reason: "worm", Alert: "ab12"})
	f.keeper.kept["rubbish"] = []byte("{")
	f.keeper.kept["198.51.100.9/32"] = []byte(`{"prefix":"198.51.100.10/32"}`)
	for range 3 {
		f.kernel.drop(attacker)
	}

	f.now = f.now.Add(2 * time.Minute) // the second has ended; the machine boots
	f.kernel.Flush(t.Context())
	f.restart(f.policy)
	if got := f.blocked(attacker); got != 8*time.Minute {
		t.Errorf("remaining %s, want 8m", got)
	}
	list := f.List(f.now)
	if len(list) != 2 || list[1].Alert != "ab12" || list[1].Reason != "worm" || !f.kernel.there {
		t.Errorf("%+v", list)
	}
	if s := f.Status(f.now); s.Malformed != 2 || s.Remembered != 1 {
		t.Errorf("%+v", s)
	}
	if d := f.seen("198.51.100.8/32", 0); d.Block.Repeats != 1 {
		t.Errorf("repeater over a restart: %+v", d)
	}
	adds := f.kernel.adds
	f.restart(f.policy) // the kernel still has them
	if f.kernel.adds != adds {
		t.Error("blocks that stand were set again, which loses what they have counted")
	}
}

func TestCountersSurvive(t *testing.T) {
	f := newFixture(t)
	want := func(step string, packets uint64) {
		t.Helper()
		if _, err := f.Reconcile(t.Context(), f.now); err != nil {
			t.Fatal(err)
		}
		if b := f.List(f.now)[0]; b.Packets != packets || b.Bytes != 100*packets {
			t.Errorf("%s: %d packets, %d bytes, want %d packets", step, b.Packets, b.Bytes, packets)
		}
	}
	f.seen(attacker, 0)
	f.kernel.drop(attacker)
	want("first", 1)
	f.kernel.drop(attacker)
	f.now = f.now.Add(time.Minute)
	f.seen(attacker, 0) // a new element
	want("extended", 2)
	f.kernel.drop(attacker)
	want("after the extension", 3)
	f.kernel.drop(attacker)
	f.restart(f.policy)
	want("restart", 4)
	f.kernel.Flush(t.Context())
	want("nft flush ruleset", 4)
	f.kernel.drop(attacker)
	want("after the flush", 5)
	f.kernel.Flush(t.Context())
	f.restart(f.policy)
	f.kernel.drop(attacker)
	want("reboot", 6)
}

func TestReconcile(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 0)
	f.kernel.Flush(t.Context())
	f.now = f.now.Add(time.Minute)
	if n, err := f.Reconcile(t.Context(), f.now); n != 1 || err != nil || f.blocked(attacker) != 9*time.Minute {
		t.Errorf("put back %d (%v), blocked for %s", n, err, f.blocked(attacker))
	}
	if n, err := f.Reconcile(t.Context(), f.now); n != 0 || err != nil {
		t.Errorf("put back %d, %v: nothing was missing", n, err)
	}
	f.kernel.Add(t.Context(), []Entry{{netip.MustParsePrefix("198.51.100.50/32"), time.Minute}, {netip.MustParsePrefix("10.0.0.5/32"), time.Minute}})
	if _, err := f.Reconcile(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	if b, ok := f.Lookup(f.now, netip.MustParseAddr("198.51.100.50")); !ok || b.Reason != "found in the kernel" || b.Until.Sub(f.now) != time.Minute {
		t.Errorf("a block set by others: %+v", b)
	}
	if f.blocked("10.0.0.5/32") != 0 {
		t.Error("an address of the never-block set stays blocked")
	}
}

func TestNeverChanges(t *testing.T) {
	f := newFixture(t)
	f.seen(attacker, 0)
	f.admin = exemptions([]netip.Addr{netip.MustParseAddr("198.51.100.7")}, "the administrator's SSH session")
	f.now = f.now.Add(2 * time.Second) // the last look is fresh enough
	if d := f.seen(attacker, 0); !d.Applied {
		t.Errorf("%+v", d)
	}
	f.now = f.now.Add(freshness)
	if err := f.ApplyNever(t.Context(), f.now); err != nil || f.blocked(attacker) != 0 || len(f.List(f.now)) != 0 {
		t.Errorf("%v: the administrator stays blocked, though nothing is proposed", err)
	}
	if d := f.seen(attacker, 0); d.Refused != "never-block set: 198.51.100.7 is the administrator's SSH session" {
		t.Errorf("%+v", d)
	}
	if f.blocked(attacker) != 0 || len(f.List(f.now)) != 0 {
		t.Error("the administrator stays blocked")
	}
	if got := fmt.Sprint(f.kernel.never); !strings.Contains(got, attacker) {
		t.Errorf("the kernel's never-block set is %s", got)
	}
}

func TestFailures(t *testing.T) {
	f := newFixture(t)
	f.keeper.fail = errBroken
	d, err := f.Propose(t.Context(), f.now, Proposal{Prefix: netip.MustParsePrefix(attacker), Manual: true})
	if !errors.Is(err, errBroken) || !d.Applied || f.blocked(attacker) == 0 {
		t.Errorf("disk: %+v, %v: the block must stand", d, err)
	}
	f.kernel.fail = errBroken
	d, err = f.Propose(t.Context(), f.now, Proposal{Prefix: netip.MustParsePrefix("198.51.100.8/32"), Evidence: f.now})
	if !errors.Is(err, errBroken) || d.Applied || len(f.List(f.now)) != 1 {
		t.Errorf("kernel: %+v, %v: nothing must be listed", d, err)
	}
	if _, err := NewManager(f.kernel, f.never, f.keeper, Policy{}); err == nil {
		t.Error("an empty policy is accepted")
	}
}

func TestObserver(t *testing.T) {
	f := newFixture(t)
	f.backend = Observer{}
	d := f.seen(attacker, 0)
	if !d.Applied || d.Block.State != Observed || len(f.kernel.elements) != 0 {
		t.Errorf("%+v", d)
	}
	if _, err := f.Reconcile(t.Context(), f.now); err != nil || len(f.List(f.now)) != 1 {
		t.Errorf("%v, %+v", err, f.List(f.now))
	}
	if s := f.Status(f.now); s.Live != 0 || s.Observed != 1 {
		t.Errorf("%+v", s)
	}
	f.restart(f.policy) // now with a kernel
	if list := f.List(f.now); f.blocked(attacker) != 10*time.Minute || list[0].State != Blocked {
		t.Errorf("%+v", list)
	}
}

func TestBlockJSON(t *testing.T) {
	f := newFixture(t)
	data, err := json.Marshal(f.seen(attacker, 0).Block)
	want := `{"prefix":"198.51.100.7/32","since":"2025-03-01T12:00:00Z","until":"2025-03-01T12:10:00Z","state":"blocked","reason":"brute force","repeats":0,"packets":0,"bytes":0}`
	if err != nil || string(data) != want {
		t.Errorf("%s, %v, want\n%s", data, err, want)
	}
}

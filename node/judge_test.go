package node

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

func hashOf(m *federation.Open, key event.Key) [32]byte {
	return key.Hash(m.Name(), m.Salts(time.Now(), 0)[0])
}

func TestCollectorRaisesWhenTheQuorumIsMet(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	hash := hashOf(p.Open, attackerKey)
	steps := []struct {
		by      *federation.Open
		version uint64
		count   uint32
		alerts  int
	}{
		{a, 1, 3, 0}, {b, 1, 1, 0},
		{a, 2, 4, 1}, // 12 points of one organisation: others are warned
		{b, 2, 3, 1}, // 10 + 9
		{b, 2, 3, 1}, // the same again
		{b, 3, 4, 2}, // 10 + 10: the quorum
		{b, 1, 1, 2}, // an old version
	}
	for i, s := range steps {
		if err := p.judge.receive(t.Context(), s.by.Member(), hash, encode(t, seal(t, s.by, failures(s.by, s.version, s.count, last)))); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if p.alerts() != s.alerts {
			t.Fatalf("step %d: %d alerts, want %d", i, p.alerts(), s.alerts)
		}
	}
	alert, err := event.DecodeAlert(p.since(1)[0])
	if err != nil {
		t.Fatal(err)
	}
	v, err := newParty(t).verify(alert, time.Now())
	if err != nil || v.Scope != correlate.Federation || len(v.Offenders) != 1 {
		t.Errorf("another node's verdict: %+v, %v", v, err)
	}
}

func TestCollectorRefuses(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	hash := hashOf(p.Open, attackerKey)
	future := failures(a, 1, 1, last.Add(time.Hour))
	foreign := failures(a, 1, 1, last)
	foreign.Federation = "closed"
	forged := seal(t, a, failures(a, 1, 1, last))
	forged.Body = seal(t, a, failures(a, 1, 9, last)).Body
	for name, c := range map[string]struct {
		payload []byte
		hash    [32]byte
		says    string
	}{
		"garbage":            {[]byte{0xff, 0x00}, hash, "decode"},
		"another's words":    {encode(t, seal(t, a, failures(b, 1, 1, last))), hash, "signed by"},
		"a forged signature": {encode(t, forged), hash, "signature"},
		"the future":         {encode(t, seal(t, a, future)), hash, "clock"},
		"another federation": {encode(t, seal(t, a, foreign)), hash, "federation"},
		"a key elsewhere":    {encode(t, seal(t, a, failures(a, 1, 1, last))), [32]byte{1}, "elsewhere"},
	} {
		err := p.judge.receive(t.Context(), "forwarder", c.hash, c.payload)
		if !errors.Is(err, errEvidence) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
	if keys, _ := p.judge.load(); keys != 0 {
		t.Errorf("%d keys gathered from what was refused", keys)
	}
	for _, n := range []uint32{1, 2} {
		err := p.judge.receive(t.Context(), a.Member(), hash, encode(t, seal(t, a, failures(a, 7, n, last))))
		if n == 2 && (!errors.Is(err, errEvidence) || p.accused != 1) {
			t.Errorf("a contradiction: %v, accused %d times", err, p.accused)
		}
	}
}

func TestReplicaWaitsForThoseNearer(t *testing.T) {
	for _, c := range []struct {
		name   string
		nearer bool // a nearer replica raises it in time
		want   int
	}{{"the nearer one is silent", false, 1}, {"the nearer one speaks", true, 0}} {
		t.Run(c.name, func(t *testing.T) {
			p, a, b := newParty(t), newMember(t), newMember(t)
			synctest.Test(t, func(t *testing.T) {
				last := time.Now().Truncate(time.Second)
				p.judge.rank = func([32]byte) int { return 2 }
				hash := hashOf(p.Open, attackerKey)
				sealed := []event.Sealed{seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))}
				for _, s := range sealed {
					if err := p.judge.receive(t.Context(), s.Signer, hash, encode(t, s)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(199 * time.Millisecond)
				synctest.Wait()
				if p.alerts() != 0 {
					t.Fatal("raised before its turn")
				}
				if c.nearer {
					p.book.Enter(alertOf(last, sealed...).ID(), must(p.rules.JudgeRule("ssh-brute-force", correlate.Federation, attackerKey,
						[]correlate.Testimony{{Organisation: "a", Member: "a", Tallies: failures(a, 1, 4, last).Tallies}, {Organisation: "b", Member: "b", Tallies: failures(b, 1, 4, last).Tallies}})))
				}
				p.judge.replicas.Wait()
				if p.alerts() != c.want {
					t.Errorf("%d alerts, want %d", p.alerts(), c.want)
				}
			})
		})
	}
}

// A collector that is nearer may tell an alert to its fellow collectors only, so that
// they are silent and nobody else hears of it: they tell it once more.
func TestCollectorsRepeatWhatOthersToldFirst(t *testing.T) {
	for _, late := range []bool{false, true} { // the alert comes before this node's own finding, or while it waits
		p, a, b := newParty(t), newMember(t), newMember(t)
		synctest.Test(t, func(t *testing.T) {
			last := time.Now().Truncate(time.Second)
			p.judge.rank = func([32]byte) int { return 1 }
			hash := hashOf(p.Open, attackerKey)
			sealed := []event.Sealed{seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))}
			alert := encode(t, alertOf(last, sealed...))
			if !late {
				p.receive(t.Context(), "hostile", alert)
			}
			for _, s := range sealed {
				if err := p.judge.receive(t.Context(), s.Signer, hash, encode(t, s)); err != nil {
					t.Fatal(err)
				}
			}
			if late {
				p.receive(t.Context(), "hostile", alert)
			}
			p.judge.replicas.Wait()
			if p.alerts() != 0 || len(p.repeated) != 1 || !bytes.Equal(p.repeated[0], alert) {
				t.Errorf("late %v: %d alerts of its own, %d repeated", late, p.alerts(), len(p.repeated))
			}
		})
	}
}

// A verdict whose alert nobody takes is told once, not with every report.
func TestVerdictIsWeighedOnce(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	hash := hashOf(p.Open, attackerKey)
	raised := func(want uint64, by *federation.Open, version uint64, n uint32, last time.Time) {
		t.Helper()
		if err := p.judge.receive(t.Context(), by.Member(), hash, encode(t, seal(t, by, failures(by, version, n, last)))); err != nil {
			t.Fatal(err)
		}
		if got := p.counters.alertsRaised.Load(); got != want {
			t.Errorf("%d alerts raised, want %d", got, want)
		}
	}
	raised(0, a, 1, 3, last)
	raised(1, b, 1, 4, last) // stale: refused by everybody
	for version := range uint64(5) {
		raised(1, b, 2+version, 4, last)
	}
	raised(2, b, 7, 4, time.Now()) // news again
}

func must[T any](v T, ok bool) T {
	if !ok {
		panic("no verdict")
	}
	return v
}

// Who lies on its own connection can have no part in an alert, keeps none from
// being raised, and is heard no more on the key.
func TestUnsignedReportsProveNothing(t *testing.T) {
	last := time.Now().Truncate(time.Second)
	unsigned := func(t *testing.T, m *federation.Open, version uint64, n uint32) event.Sealed {
		s := seal(t, m, failures(m, version, n, last))
		s.Signature = make([]byte, len(s.Signature))
		return s
	}
	type step struct {
		by      *federation.Open
		sealed  event.Sealed
		alerts  int
		refused uint64 // in all
	}
	a, b, c, liar := newMember(t), newMember(t), newMember(t), newMember(t)
	honest := func(m *federation.Open) event.Sealed { return seal(t, m, failures(m, 1, 3, last)) } // 9 of 20 points
	for name, steps := range map[string][]step{
		"a lie completes a quorum": {
			{a, honest(a), 0, 0},
			{liar, unsigned(t, liar, 1, 3), 0, 0},
			{b, honest(b), 0, 1}, // all three are needed as evidence
			{liar, seal(t, liar, failures(liar, 3, 3, last)), 0, 1},
			{c, honest(c), 1, 1},
		},
		"a lie makes more of it than there is": {
			{liar, unsigned(t, liar, 1, 4), 0, 1}, // enough for a warning
			{a, honest(a), 0, 1},
			{b, honest(b), 0, 1},
			{c, honest(c), 1, 1},
		},
		"what others forward is verified at once": {
			{a, unsigned(t, liar, 1, 3), 0, 1},
			{a, seal(t, b, failures(b, 1, 3, last)), 0, 1},
		},
		"a lie takes nobody's place": {
			{a, honest(a), 0, 0},
			{liar, unsigned(t, a, 9, 0), 0, 1},
			{b, honest(b), 0, 1},
			{c, honest(c), 1, 1},
		},
		"nor does a jump of versions, but its author's own": {
			{liar, honest(liar), 0, 0},
			{liar, unsigned(t, liar, 1<<63, 4), 0, 1},
			{liar, seal(t, liar, failures(liar, 2, 4, last)), 0, 1},
			{a, honest(a), 0, 1},
			{b, honest(b), 0, 1},
			{c, honest(c), 1, 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			hash := hashOf(p.Open, attackerKey)
			for i, s := range steps {
				_ = p.judge.receive(t.Context(), s.by.Member(), hash, encode(t, s.sealed))
				if p.alerts() != s.alerts || p.counters.refused.Load() != s.refused {
					t.Fatalf("step %d: %d alerts, want %d; %d refused, want %d", i, p.alerts(), s.alerts, p.counters.refused.Load(), s.refused)
				}
			}
			for _, told := range p.since(0) {
				alert, err := event.DecodeAlert(told)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := newParty(t).verify(alert, time.Now()); err != nil {
					t.Errorf("another node's verdict: %v", err)
				}
			}
		})
	}
}

// Two reports of one version accuse only who has signed both.
func TestAccusationsAreProved(t *testing.T) {
	p, a := newParty(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	hash := hashOf(p.Open, attackerKey)
	for n, signed := range []bool{true, false} {
		s := seal(t, a, failures(a, 7, uint32(1+n), last))
		if !signed {
			s.Signature = make([]byte, len(s.Signature))
		}
		err := p.judge.receive(t.Context(), a.Member(), hash, encode(t, s))
		if signed != (err == nil) {
			t.Errorf("signed %v: %v", signed, err)
		}
	}
	if said := p.judge.gathered(attackerKey); p.accused != 0 || len(said) != 0 {
		t.Errorf("accused %d times by what it has not signed, and %d still count", p.accused, len(said))
	}
}

// What is handed on has been verified.
func TestProven(t *testing.T) {
	p, a, liar := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	hash := hashOf(p.Open, attackerKey)
	lie := seal(t, liar, failures(liar, 1, 2, last))
	lie.Signature[0] ^= 1
	for _, s := range []event.Sealed{seal(t, a, failures(a, 1, 1, last)), lie} {
		if err := p.judge.receive(t.Context(), s.Signer, hash, encode(t, s)); err != nil {
			t.Fatal(err)
		}
	}
	everything := func(string, uint64) bool { return true }
	for range 2 {
		proven := p.judge.proven(time.Now(), attackerKey, everything)
		if len(proven) != 1 || proven[0].Signer != a.Member() || p.Verify(time.Now(), proven[0]) != nil || p.counters.refused.Load() != 1 {
			t.Errorf("%d proven, %d refused", len(proven), p.counters.refused.Load())
		}
	}
}

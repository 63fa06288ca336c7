package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

func TestStateOf(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		quiet, timespan time.Duration
		want            string
	}{
		{-time.Minute, time.Hour, "growing"}, {0, time.Hour, "growing"}, {10 * time.Minute, time.Hour, "growing"},
		{10*time.Minute + time.Second, time.Hour, "calm"}, {time.Hour, time.Hour, "calm"}, {time.Hour + time.Second, time.Hour, "ended"},
		{10 * time.Minute, time.Minute, "growing"}, {10*time.Minute + time.Second, time.Minute, "ended"},
	} {
		if got := stateOf(now.Add(-c.quiet), c.timespan, now); got != c.want {
			t.Errorf("quiet for %s of %s: %s, want %s", c.quiet, c.timespan, got, c.want)
		}
	}
}

func TestGrow(t *testing.T) {
	at := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	one, two := netip.MustParsePrefix("203.0.113.1/32"), netip.MustParsePrefix("203.0.113.2/32")
	old := control.Alert{ID: "a", Level: "critical", Scope: "federation", Score: 30, Count: 10, Targets: 9, Sensors: []string{"x", "z"}, First: at, Last: at.Add(time.Hour),
		Agreed: at.Add(time.Hour), Offenders: []netip.Prefix{two}, Updates: 2, Proof: []byte("proof")}
	got := grow(old, control.Alert{ID: "b", Level: "low", Scope: "home", Organisation: "o", Score: 20, Count: 40, Sensors: []string{"y", "x"}, First: at.Add(time.Minute),
		Last: at.Add(2 * time.Hour), Agreed: at.Add(2 * time.Hour), Offenders: []netip.Prefix{one}, Action: "new"})
	if got.ID != "a" || got.Updates != 3 || got.Level != "critical" || got.Scope != "federation" || got.Organisation != "" || got.Score != 30 || got.Count != 40 || got.Targets != 9 ||
		!slices.Equal(got.Sensors, []string{"x", "y", "z"}) || got.First != at || got.Last != at.Add(2*time.Hour) || got.Agreed != got.Last ||
		!slices.Equal(got.Offenders, []netip.Prefix{one, two}) || got.Action != "new" || string(got.Proof) != "proof" {
		t.Errorf("%+v", got)
	}
}

// What is followed is bounded; the quietest attacks are forgotten first.
func TestLivesAreBounded(t *testing.T) {
	l, start := lives{}, time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	at := func(i int) attackKey {
		return attackKey{"r", event.Key{Selector: event.BySource, Value: fmt.Sprint(i)}}
	}
	for i := range 2 * livesKept {
		l.put(at(i), life{last: start.Add(time.Duration(i) * time.Millisecond), timespan: time.Hour})
		if len(l) > livesKept {
			t.Fatalf("%d attacks are followed", len(l))
		}
	}
	if _, ok := l.going(at(2*livesKept-1), start); !ok {
		t.Error("the newest was forgotten")
	}
	if _, ok := l.going(at(0), start); ok {
		t.Error("the oldest was not")
	}
}

// strikes has the own host see n failures at once.
func (p *party) strikes(ctx context.Context, n int) {
	at := time.Now().Unix()
	p.judges(ctx, []event.Tally{{Kind: event.SSHUserInvalid, First: at, Last: at, Proven: uint32(n)}})
}

// judges has the own host's evidence against the attacker judged.
func (p *party) judges(ctx context.Context, tallies []event.Tally) {
	said := []correlate.Testimony{{Organisation: p.Member(), Member: p.Member(), Tallies: tallies}}
	for _, v := range p.actor.rules.Judge(correlate.Home, attackerKey, said) {
		p.home(ctx, correlate.Finding{Verdict: v, Evidence: said})
	}
}

// An attack over several episodes is one alert, which calms down and ends; its blocks name it.
// What comes after its end is another one.
func TestOneAlertAnAttack(t *testing.T) {
	p := newParty(t)
	p.kept = func(string) (control.Alert, bool) { return control.Alert{}, false } // all of it is yet to be written
	list := func() []control.Alert { return shownAlerts(t, p) }
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		var first string
		for range 20 { // three hours: at least three episodes of an hour
			p.strikes(ctx, 10)
			if first == "" {
				first = list()[0].ID
			}
			time.Sleep(9 * time.Minute)
		}
		all := list()
		if len(all) != 1 || all[0].ID != first || all[0].Latest == first || all[0].Latest == "" || all[0].Updates != 19 || all[0].State != stateGrowing ||
			all[0].Last.Sub(all[0].First) != 19*9*time.Minute || !slices.Equal(all[0].Offenders, []netip.Prefix{netip.MustParsePrefix(attacker + "/32")}) {
			t.Fatalf("alerts %+v", all)
		}
		for _, b := range p.blocks.List(time.Now()) {
			if b.Alert != first {
				t.Errorf("a block rests on %s, the alert is %s", b.Alert, first)
			}
		}
		p.end(time.Now())
		time.Sleep(2 * time.Minute)
		if got := list()[0].State; got != stateCalm {
			t.Errorf("it is %s", got)
		}
		time.Sleep(time.Hour)
		if got := list()[0].State; got != stateEnded {
			t.Errorf("it is %s", got)
		}
		p.end(time.Now())
		if len(p.lives) != 0 {
			t.Error("it is followed on")
		}
		p.strikes(ctx, 10)
		if all := list(); len(all) != 2 || all[0].ID == all[1].ID || all[1].Updates != 0 {
			t.Errorf("alerts %+v", all)
		}
	})
}

// Ten thousand events of one attack are no storm: people are told once a minute at the most.
func TestNoStorm(t *testing.T) {
	p := newParty(t)
	p.kept = func(string) (control.Alert, bool) { return control.Alert{}, false }
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var told []control.Alert
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = p.follow(ctx, func(a control.Alert) error { told = append(told, a); return nil })
		}()
		synctest.Wait()
		began := time.Now()
		for i := range 10_000 {
			p.strikes(ctx, i+1)
			time.Sleep(60 * time.Millisecond)
		}
		took := time.Since(began)
		synctest.Wait()
		cancel()
		<-done
		if n := len(told); n < 2 || n > 1+int(took/time.Minute) {
			t.Errorf("people were told %d times in %s", n, took)
		}
		if all := shownAlerts(t, p); len(all) != 1 || all[0].Updates < len(told)-1 {
			t.Errorf("alerts %+v", all)
		}
	})
}

// What rises is told at once: here the federation confirms what was this host's own evidence.
func TestRisesAreToldAtOnce(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	var told []string
	ctx, cancel := context.WithCancel(t.Context())
	following, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = p.follow(ctx, func(a control.Alert) error {
			if told = append(told, a.Scope); len(told) == 2 {
				close(following)
			}
			return nil
		})
	}()
	for !p.isFollowed() {
		time.Sleep(time.Millisecond)
	}
	last := time.Now().Truncate(time.Second)
	p.strikes(ctx, 10)
	p.strikes(ctx, 1000) // louder only
	if v := p.receive(ctx, "", encode(t, alertOf(last, seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))))); v != broadcast.Fresh {
		t.Fatal(v)
	}
	select {
	case <-following:
	case <-time.After(10 * time.Second):
	}
	cancel()
	<-done
	if !slices.Equal(told, []string{"home", "federation"}) {
		t.Errorf("told %v", told)
	}
}

func (a *actor) isFollowed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.followers) > 0
}

// A rule that warns early rises from warning to minor to critical, and never falls while the attack goes on.
func TestEarlyLevelsRise(t *testing.T) {
	levels := correlate.WarningLevels()
	for i, level := range levels {
		for j, then := range levels {
			old, update := control.Alert{Level: level}, control.Alert{Level: then}
			if got, want := rises(old, update), j > i; got != want {
				t.Errorf("%s, then %s: it rises: %t", level, then, got)
			}
			if got, want := grow(old, update).Level, levels[max(i, j)]; got != want {
				t.Errorf("%s, then %s: shown as %s, want %s", level, then, got, want)
			}
		}
	}
}

// What one organisation says of an attack by itself is not shown as what the federation, or another
// organisation, has concluded.
func TestWarningsAreNotGrown(t *testing.T) {
	p, liar, a, b := newParty(t), newMember(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	early := last.Add(-20 * time.Minute)
	tell := func(at time.Time, evidence ...event.Sealed) control.Alert {
		t.Helper()
		if v := p.receive(t.Context(), "", encode(t, alertOf(at, evidence...))); v != broadcast.Fresh {
			t.Fatal(v)
		}
		all := shownAlerts(t, p)
		if len(all) != 1 {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	warning := tell(early, seal(t, liar, failures(liar, 1, 10_000, early)))
	got := tell(last, seal(t, a, failures(a, 1, 5, last)))
	if got.ID != warning.ID || got.Organisation != a.Member() || got.Score != 15 || got.Count != 5 || !slices.Equal(got.Sensors, []string{a.Member()}) {
		t.Errorf("another one's warning: %+v", got)
	}
	got = tell(last, seal(t, a, failures(a, 2, 5, last)), seal(t, b, failures(b, 1, 4, last)))
	if got.ID != warning.ID || got.Updates != 2 || got.Scope != "federation" || got.Score != 27 || got.Count != 9 || len(got.Sensors) != 2 || slices.Contains(got.Sensors, liar.Member()) {
		t.Errorf("the federation's conclusion: %+v", got)
	}
}

package node

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// whole is a party with an observer, whose node answers a person.
func (p *party) whole(t *testing.T) (*Node, *watch) {
	t.Helper()
	p.kept = func(string) (control.Alert, bool) { return control.Alert{}, false } // all of it is yet to be written
	w := newWatch(t, p.store, p.Open, true)
	w.home = func(key event.Key, tallies []event.Tally) {
		if key == attackerKey {
			p.judges(t.Context(), tallies)
		}
	}
	n := p.node(t)
	n.observer = w.observer
	return n, w
}

// Who goes on after a person has ended the block is blocked again by as much as blocked him at first, within the same
// minute, and not by less; however often.
func TestFreedIsBlockedAgain(t *testing.T) {
	p := newParty(t)
	synctest.Test(t, func(t *testing.T) {
		n, w := p.whole(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told, people := 1, []control.Alert(nil)
		go func() {
			_ = p.follow(ctx, func(a control.Alert) error { people = append(people, a); return nil })
		}()
		line := int64(0)
		fails := func(times int) {
			for range times {
				time.Sleep(2 * time.Second)
				line++
				w.sees(failed(time.Now(), line))
				synctest.Wait()
			}
		}
		for _, free := range []func() error{
			func() error { _, err := n.FlushBlocks(t.Context()); return err },
			func() error { return n.Unblock(t.Context(), netip.MustParsePrefix(attacker+"/32")) },
			func() error { return n.Unblock(t.Context(), netip.MustParsePrefix(attacker+"/32")) },
		} {
			if fails(4); !slices.Equal(blocked(p), isBlocked) {
				t.Fatalf("after 4 failures: %v, %+v", blocked(p), shownAlerts(t, p))
			}
			if err := free(); err != nil || len(blocked(p)) > 0 {
				t.Fatal(err, blocked(p))
			}
			if fails(3); len(blocked(p)) > 0 {
				t.Fatalf("blocked again by 3: %+v", p.blocks.List(time.Now()))
			}
			if fails(1); !slices.Equal(blocked(p), isBlocked) {
				t.Fatalf("not blocked by 4: %+v", shownAlerts(t, p))
			}
			if b := p.blocks.List(time.Now())[0]; !strings.Contains(b.Reason, "score 12 from 4 observations") {
				t.Errorf("it rests on more than what has come since: %+v", b)
			}
			if a := shownAlerts(t, p)[0]; !strings.Contains(a.Action, "observed until") {
				t.Errorf("the alert says %q", a.Action)
			}
			if told++; len(people) != told || !strings.Contains(people[told-1].Action, "observed until") {
				t.Errorf("people are told %d times, want %d: %+v", len(people), told, people)
			}
		}
		w.stop()
	})
}

// A collector where a person has ended the block tells of what has come since as soon as that crosses the threshold
// of the federation by itself; it is acted on where a person has done the same, and is no news elsewhere.
func TestFreedIsBlockedAgainByAFederation(t *testing.T) {
	p, q, elsewhere, a, b := newParty(t), newParty(t), newParty(t), newMember(t), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		for _, one := range []*party{p, q, elsewhere} {
			one.kept = func(string) (control.Alert, bool) { return control.Alert{}, false }
		}
		hash, version := hashOf(p.Open, attackerKey), uint64(0)
		var all []event.Tally
		report := func(n uint32) {
			t.Helper()
			version++
			at := time.Now().Unix()
			said := append(slices.Clone(all), event.Tally{Kind: event.SSHUserInvalid, First: at, Last: at, Proven: n})
			for _, m := range []*federation.Open{a, b} {
				r := event.Report{Federation: m.Name(), Member: m.Member(), Key: attackerKey, Version: version, Tallies: said}
				if err := p.judge.receive(t.Context(), m.Member(), hash, encode(t, seal(t, m, r))); err != nil {
					t.Fatal(err)
				}
			}
		}
		report(4)
		all = append(all, event.Tally{Kind: event.SSHUserInvalid, First: time.Now().Unix(), Last: time.Now().Unix(), Proven: 4})
		told := p.since(0)
		for _, one := range []*party{q, elsewhere} {
			if v := one.receive(t.Context(), "", told[len(told)-1]); v != broadcast.Fresh {
				t.Fatal(v)
			}
		}
		for _, one := range []*party{p, q} {
			if !slices.Equal(blocked(one), isBlocked) {
				t.Fatal(blocked(one))
			}
			if _, err := one.blocks.Flush(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		if report(3); len(blocked(p)) > 0 || p.alerts() != len(told) {
			t.Fatalf("by 9 points of each: %v, %d alerts", blocked(p), p.alerts())
		}
		time.Sleep(2 * time.Second)
		if report(4); !slices.Equal(blocked(p), isBlocked) || p.alerts() != len(told)+1 {
			t.Fatalf("by 12 points of each: %v, %d alerts, %+v", blocked(p), p.alerts(), shownAlerts(t, p))
		}
		alert := p.since(0)[len(told)]
		for range 2 {
			if v := elsewhere.receive(t.Context(), "", alert); v == broadcast.Invalid {
				t.Error("it does not prove itself")
			}
		}
		if v := q.receive(t.Context(), "", alert); v != broadcast.Fresh || !slices.Equal(blocked(q), isBlocked) {
			t.Errorf("where it was ended as well: %v, %v", v, blocked(q))
		}
		for range 3 {
			report(5)
		}
		if p.alerts() != len(told)+1 {
			t.Errorf("%d alerts: it is told on and on", p.alerts())
		}
	})
}

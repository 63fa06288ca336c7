package virtual

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

// steps are those of paper 000's attack as cells tell them: evidence under the keys of its scenario.
func steps() map[event.Key]event.Tally {
	now := time.Now().Unix()
	under := func(variable string) event.Key {
		return event.Key{Selector: scenario.ByScenario, Value: "bind-birthday|" + variable}
	}
	return map[event.Key]event.Tally{
		under("H2=203.0.113.1"): {Kind: event.FloodSYN, First: now, Last: now, Spoofable: 150},
		under("H1=203.0.113.2"): {Kind: event.DNSFloodQuery, First: now, Last: now, Spoofable: 200},
	}
}

// step is the alert of a step by which an organisation warns the others.
func (f *forger) step(key event.Key, tally event.Tally, by voice, member, organisation string) (alert []byte, report event.Sealed) {
	federation := f.honest[0].voice().Name()
	report = f.seal(by, event.Report{Federation: federation, Member: member, Key: key, Version: 1, Tallies: []event.Tally{tally}})
	return f.encode(event.Alert{Federation: federation, Rule: "scenario-step", Key: key, Episode: tally.Last / 3600,
		Organisation: organisation, Evidence: []event.Sealed{report}}), report
}

// TestStrangersSteps has somebody whom nobody has invited tell the steps of an attack, under its own name and that
// of a member, by alerts and by reports, which a hostile member hands on: nobody knows of a step, and nothing is
// asked of a unit that responds. The same words of members are believed.
func TestStrangersSteps(t *testing.T) {
	inFederation(t, 2*time.Hour, 12, 12, func(t *testing.T, net *Net) {
		honest := Everyone(net)
		f := newForger(t, net)
		relay := net.Add()
		if err := relay.turn(&rogue{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // all know of it, and one certificate ends

		known := func(n *Node, by string) (steps int) {
			all, err := n.Product().Scenarios()
			if err != nil {
				t.Error(err)
			}
			for _, a := range all.Alerts {
				if a.Type == control.ExternalAlert && (by == "" || a.Cell == by) {
					steps++
				}
			}
			return steps
		}
		robbed := f.honest[0]
		for _, by := range []struct {
			what                 string
			voice                voice
			member, organisation string
		}{
			{"its own name", f.stranger, f.stranger.Member(), f.stranger.Member()},
			{"its own name, for an organisation", f.stranger, f.stranger.Member(), robbed.speaksFor()},
			{"a member's name", f.stranger, robbed.id.String(), robbed.speaksFor()},
			{"a member who was revoked", f.revoked.voice(), f.revoked.id.String(), "robbed"},
			{"a member whose certificate ended", f.expired.voice(), f.expired.id.String(), "idle"},
		} {
			for key, tally := range steps() {
				alert, report := f.step(key, tally, by.voice, by.member, by.organisation)
				for _, n := range honest {
					if err := relay.send(n, alert); !errors.Is(err, overlay.ErrRefused) {
						t.Errorf("%s takes the alert of %s: %v", n, by.what, err)
					}
				}
				hash := key.Hash(robbed.voice().Name(), robbed.voice().Salts(time.Now(), 0)[0])
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if acknowledged, err := relay.rogue.Deliver(ctx, hash, 5, f.encode(report)); err == nil {
					t.Errorf("%v collectors take the report of %s", acknowledged, by.what)
				}
				cancel()
			}
		}
		stranger := net.AddStranger() // nobody keeps a connection to it
		if err := stranger.turn(&rogue{}); err != nil {
			t.Fatal(err)
		}
		for key, tally := range steps() {
			alert, _ := f.step(key, tally, stranger.voice(), stranger.id.String(), stranger.id.String())
			for _, n := range honest {
				if stranger.send(n, alert) == nil {
					t.Errorf("%s takes an alert from a stranger's own hand", n)
				}
			}
		}
		time.Sleep(time.Minute)
		for _, n := range honest {
			responses, err := n.Product().Responses()
			if steps := known(n, ""); steps > 0 || len(responses) > 0 || err != nil {
				t.Errorf("%s knows of %d steps, and was asked for %+v (%v)", n, steps, responses, err)
			}
		}

		for key, tally := range steps() { // the same, from members
			alert, _ := f.step(key, tally, robbed.voice(), robbed.id.String(), robbed.speaksFor())
			for _, n := range honest {
				_ = relay.send(n, alert) // others may have told it already
			}
		}
		time.Sleep(time.Minute)
		for _, n := range honest {
			if steps := known(n, robbed.id.String()); steps == 0 && n != robbed {
				t.Errorf("%s does not believe a member: the test shows nothing", n)
			}
		}
		if !slices.ContainsFunc(honest, func(n *Node) bool { return n != robbed && known(n, robbed.id.String()) == 2 }) {
			t.Error("nobody knows of both steps")
		}
	})
}

package node

import (
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// told is what a sensor tells of a request, or of the answer to it.
func told(sensor string, kind event.Kind, source, target string) event.Event {
	return event.Event{Time: time.Now(), Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: netip.MustParseAddr(source)}, Target: event.Endpoint{Addr: netip.MustParseAddr(target)},
		Sensor: sensor, File: sensor + ".log"}
}

// What two sensors of a node tell of one attack counts once, after a restart too; and what its own
// host answers confirms the attack, and accuses nobody.
func TestWhatBelongsTogetherCountsOnce(t *testing.T) {
	const host = "192.0.2.7"
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		home := netip.MustParsePrefix("192.0.2.0/24")
		w := newWatch(t, s, m, true, home)
		w.sees(told("suricata", event.IDSHigh, attacker, host))
		w.sees(told("snort", event.IDSMedium, attacker, host))
		time.Sleep(time.Minute)
		w.sees(told("suricata", event.IDSHigh, attacker, host))
		answer := told("suricata", event.IDSMedium, host, attacker)
		answer.Detail = "GPL ATTACK_RESPONSE id check returned root"
		w.sees(answer)
		time.Sleep(time.Second)
		synctest.Wait()
		check := func(w *watch, when string) {
			t.Helper()
			points := map[event.Kind]uint32{}
			for _, tally := range w.ledger.Tallies(event.Key{Selector: event.BySource, Value: attacker}) {
				points[tally.Kind] += tally.Proven
			}
			if len(points) != 2 || points[event.IDSHigh] != 1 || points[event.IDSSuccess] != 1 {
				t.Errorf("%s: %v", when, points)
			}
			if w.ledger.Has(event.Key{Selector: event.BySource, Value: host}) {
				t.Errorf("%s: the host that was attacked is accused", when)
			}
		}
		check(w, "live")
		w.stop()
		again := newWatch(t, s, m, true, home)
		time.Sleep(time.Second)
		synctest.Wait()
		check(again, "from the archive")
		again.stop()
	})
}

// A consequence that does not come is an event in the archive and evidence at home, and is nobody
// else's business.
func TestAMissingConsequenceStaysAtHome(t *testing.T) {
	text, err := os.ReadFile("../correlate/rules/examples/web-log-lives.yml")
	if err != nil {
		t.Fatal(err)
	}
	relations, err := correlate.LoadRelations("web-log-lives.yml", text)
	if err != nil {
		t.Fatal(err)
	}
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		home := netip.MustParsePrefix("192.0.2.10/32")
		rules, err := Rules(0)
		if err == nil {
			rules, err = rules.With(relations...)
		}
		if err != nil {
			t.Fatal(err)
		}
		w := watching(t, s, m, rules, true, home)
		began := time.Now()
		for range 3 { // of which the second is not logged
			w.sees(told("suricata", event.IDSInfo, "192.0.2.10", "192.0.2.20"))
			if time.Since(began) != 5*time.Minute {
				w.sees(told("web", event.HTTPScan, "192.0.2.10", "192.0.2.20"))
			}
			time.Sleep(5 * time.Minute)
		}
		synctest.Wait()
		tallies := w.ledger.Tallies(event.Key{Selector: event.ByKind, Value: string(event.ConsequenceMissing)})
		if len(tallies) != 1 || tallies[0].Count() != 1 || tallies[0].First != began.Add(5*time.Minute+30*time.Second).Unix() {
			t.Errorf("evidence %v", tallies)
		}
		if len(w.sent) != 0 || w.judged != 1 {
			t.Errorf("%d reports sent, judged %d times", len(w.sent), w.judged)
		}
		w.stop()
		archived := 0
		err = s.Events(t.Context(), began, time.Now(), func(e event.Event) error {
			if e.Kind == event.ConsequenceMissing && e.Sensor == "web-log-lives" {
				archived++
			}
			return nil
		})
		if err != nil || archived != 1 {
			t.Errorf("%d in the archive, %v", archived, err)
		}
	})
}

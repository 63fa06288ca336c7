package node

import (
	"net/netip"
	"testing"
	"time"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// alertOf is an alert on evidence, with the episode that the evidence has.
func alertOf(last time.Time, evidence ...event.Sealed) event.Alert {
	alert := event.Alert{Federation: "open", Rule: "ssh-brute-force", Key: attackerKey,
		Episode: last.Unix() / 3600, Evidence: evidence}
	if len(evidence) == 1 { // in an open overlay each member is an organisation
		alert.Organisation = evidence[0].Signer
	}
	return alert
}

func blocked(p *party) []string {
	var prefixes []string
	for _, b := range p.blocks.List(time.Now()) {
		prefixes = append(prefixes, b.Prefix.String())
	}
	return prefixes
}

func shownAlerts(t *testing.T, p *party) []control.Alert {
	t.Helper()
	alerts, err := (&Node{store: p.store, actor: p.actor}).Alerts()
	if err != nil {
		t.Fatal(err)
	}
	return alerts
}

func TestAlertThatProvesItselfBlocks(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	alert := encode(t, alertOf(last, seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))))
	if v := p.receive(t.Context(), "", alert); v != broadcast.Fresh {
		t.Fatalf("verdict %v, want Fresh", v)
	}
	shown := shownAlerts(t, p)
	if len(shown) != 1 || shown[0].Score != 24 || shown[0].Count != 8 || len(shown[0].Sensors) != 2 || shown[0].Scope != "federation" || !shown[0].Open {
		t.Errorf("alerts %+v", shown)
	}
	list := p.blocks.List(time.Now())
	if len(list) != 1 || list[0].Prefix != netip.MustParsePrefix(attacker+"/32") || list[0].Alert != shown[0].ID {
		t.Fatalf("blocks %+v", list)
	}
	// The block is reckoned from the evidence, so the same alert later extends nothing.
	if want := last.Add(10 * time.Minute); !list[0].Until.Equal(want) {
		t.Errorf("blocked until %s, want %s", list[0].Until, want)
	}
	p.receive(t.Context(), "", alert)
	if again := p.blocks.List(time.Now()); !again[0].Until.Equal(list[0].Until) {
		t.Errorf("a replay extended the block to %s", again[0].Until)
	}
}

func TestOneOrganisationExtendsNoBlock(t *testing.T) {
	p, a, b, liar := newParty(t), newMember(t), newMember(t), newMember(t)
	last := time.Now().Add(-8 * time.Minute).Truncate(time.Second)
	sealedA, sealedB := seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))
	for _, evidence := range [][]event.Sealed{
		{sealedA, sealedB},
		{sealedA, sealedB, seal(t, liar, failures(liar, 1, 99, time.Now()))},
		{sealedA, seal(t, liar, failures(liar, 2, 99, time.Now()))},
	} {
		if v := p.receive(t.Context(), "", encode(t, alertOf(last, evidence...))); v != broadcast.Fresh {
			t.Errorf("verdict %v, want Fresh", v)
		}
		if list := p.blocks.List(time.Now()); len(list) != 1 || !list[0].Until.Equal(last.Add(10*time.Minute)) {
			t.Errorf("blocks %+v, want one until %s", list, last.Add(10*time.Minute))
		}
	}
}

func TestAlertThatDoesNotProveItselfIsRefused(t *testing.T) {
	a, b := newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	sealedA, sealedB := seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))
	good := alertOf(last, sealedA, sealedB)
	edit := func(change func(*event.Alert)) event.Alert {
		alert := good
		alert.Evidence = append([]event.Sealed(nil), good.Evidence...)
		change(&alert)
		return alert
	}
	otherKey := failures(b, 1, 4, last)
	otherKey.Key.Value = "192.0.2.53"
	otherFederation := failures(b, 1, 4, last)
	otherFederation.Federation = "closed"
	old := last.Add(-2 * time.Hour)
	early := last.Add(time.Hour)
	for name, alert := range map[string]event.Alert{
		"one liar with huge counts": edit(func(x *event.Alert) {
			x.Evidence = []event.Sealed{seal(t, a, failures(a, 1, 1<<31, last)), seal(t, b, failures(b, 1, 1, last))}
		}),
		"below the threshold": edit(func(x *event.Alert) { x.Evidence[1] = seal(t, b, failures(b, 1, 3, last)) }),
		"the same member twice": edit(func(x *event.Alert) {
			x.Evidence = []event.Sealed{sealedA, seal(t, a, failures(a, 2, 4, last))}
		}),
		"a slandered innocent":    edit(func(x *event.Alert) { x.Key.Value = "192.0.2.53" }),
		"evidence on another key": edit(func(x *event.Alert) { x.Evidence[1] = seal(t, b, otherKey) }),
		"words in a member's mouth": edit(func(x *event.Alert) {
			x.Evidence[1] = seal(t, a, failures(b, 1, 4, last))
		}),
		"a broken signature":   edit(func(x *event.Alert) { x.Evidence[1].Signature = make([]byte, 64) }),
		"another federation":   edit(func(x *event.Alert) { x.Federation = "closed" }),
		"foreign evidence":     edit(func(x *event.Alert) { x.Evidence[1] = seal(t, b, otherFederation) }),
		"an unknown rule":      edit(func(x *event.Alert) { x.Rule = "no-such-rule" }),
		"a rule of other keys": edit(func(x *event.Alert) { x.Rule = "horizontal-scan" }),
		"another episode":      edit(func(x *event.Alert) { x.Episode++ }),
		"stale evidence": alertOf(old, seal(t, a, failures(a, 1, 4, old)),
			seal(t, b, failures(b, 1, 4, old))),
		"evidence from the future": alertOf(early, seal(t, a, failures(a, 1, 4, early)), seal(t, b, failures(b, 1, 4, early))),
		"no evidence":              edit(func(x *event.Alert) { x.Evidence = nil }),
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t)
			if v := p.receive(t.Context(), "", encode(t, alert)); v != broadcast.Invalid {
				t.Errorf("verdict %v, want Invalid", v)
			}
			if got := blocked(p); len(got) != 0 {
				t.Errorf("blocked %v", got)
			}
			if v := p.receive(t.Context(), "", encode(t, good)); v != broadcast.Fresh {
				t.Errorf("the true alert after it: %v, want Fresh: a forgery must suppress nothing", v)
			}
		})
	}
	if v := newParty(t).receive(t.Context(), "", []byte("garbage")); v != broadcast.Invalid {
		t.Errorf("garbage: %v", v)
	}
}

func TestEvidenceOfOneOtherOrganisationOnlyWarns(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	one := seal(t, a, failures(a, 1, 4, last))
	if v := p.receive(t.Context(), "", encode(t, alertOf(last, one))); v != broadcast.Fresh {
		t.Fatalf("verdict %v: a warning is passed on", v)
	}
	if got := blocked(p); len(got) != 0 {
		t.Fatalf("blocked %v on one other organisation's word", got)
	}
	both := encode(t, alertOf(last, one, seal(t, b, failures(b, 1, 4, last))))
	if v := p.receive(t.Context(), "", both); v != broadcast.Fresh || len(blocked(p)) != 1 {
		t.Errorf("with the quorum: %v, blocked %v", v, blocked(p))
	}
	if shown := shownAlerts(t, p); len(shown) != 1 || shown[0].Scope != "federation" {
		t.Errorf("the alert that met the quorum does not supersede the warning: %+v", shown)
	}
	own := seal(t, p.Open, failures(p.Open, 1, 4, last))
	q := &party{actor: p.actor}
	if v, err := q.verify(alertOf(last, own), time.Now()); err != nil || q.warns(v.Verdict) {
		t.Errorf("own evidence: %+v, %v", v, err)
	}
}

func TestHomeBlocksWithoutAsking(t *testing.T) {
	p := newParty(t)
	last := time.Now().Truncate(time.Second)
	tallies := failures(p.Open, 1, 4, last).Tallies
	said := []correlate.Testimony{{Organisation: p.Member(), Member: p.Member(), Tallies: tallies}}
	for _, v := range p.rules.Judge(correlate.Home, attackerKey, said) {
		p.home(t.Context(), correlate.Finding{Verdict: v, Evidence: said})
		p.home(t.Context(), correlate.Finding{Verdict: v, Evidence: said})
	}
	if got := blocked(p); len(got) != 1 {
		t.Errorf("blocked %v", got)
	}
	if shown := shownAlerts(t, p); len(shown) != 1 || shown[0].Scope != "home" {
		t.Errorf("alerts %+v", shown)
	}
}

func TestSpoofableEvidenceBlocksNobody(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	spoof := func(r event.Report) event.Report {
		r.Tallies[0].Proven, r.Tallies[0].Spoofable = 0, r.Tallies[0].Proven
		return r
	}
	alert := alertOf(last, seal(t, a, spoof(failures(a, 1, 4, last))), seal(t, b, spoof(failures(b, 1, 4, last))))
	p.receive(t.Context(), "", encode(t, alert))
	if got := blocked(p); len(got) != 0 {
		t.Errorf("blocked %v", got)
	}
}

func TestEqualAlertsOfReplicasPassButActOnce(t *testing.T) {
	p, a, b, c := newParty(t), newMember(t), newMember(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	sealedA, sealedB, sealedC := seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last)), seal(t, c, failures(c, 1, 4, last))
	verdicts := map[broadcast.Verdict]int{}
	for i := range 6 {
		evidence := [][]event.Sealed{{sealedA, sealedB}, {sealedB, sealedC}, {sealedA, sealedC}, {sealedB, sealedA}, {sealedC, sealedB}, {sealedC, sealedA}}[i]
		verdicts[p.receive(t.Context(), "", encode(t, alertOf(last, evidence...)))]++
	}
	if verdicts[broadcast.Fresh] != 4 || verdicts[broadcast.Known] != 2 {
		t.Errorf("verdicts %v, want four passed on and the others known", verdicts)
	}
	if n := p.counters.alerts.Load(); n != 1 {
		t.Errorf("acted %d times", n)
	}
}

// What one organisation concludes alone is shown and passed on by everybody: it
// cannot make up as much as it likes.
func TestWarningsAreBounded(t *testing.T) {
	p, a := newParty(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	fresh := 0
	for i := range 3 * warningsAtOnce {
		r := failures(a, uint64(i+1), 4, last)
		r.Key.Value = netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String()
		alert := alertOf(last, seal(t, a, r))
		alert.Key = r.Key
		if p.receive(t.Context(), "", encode(t, alert)) == broadcast.Fresh {
			fresh++
		}
	}
	if fresh < warningsAtOnce || fresh > 2*warningsAtOnce {
		t.Errorf("%d of %d warnings were passed on", fresh, 3*warningsAtOnce)
	}
	b := newMember(t)
	if v := p.receive(t.Context(), "", encode(t, alertOf(last, seal(t, b, failures(b, 1, 4, last))))); v != broadcast.Fresh {
		t.Errorf("another organisation's warning: verdict %v", v)
	}
	for _, shown := range shownAlerts(t, p) {
		if len(shown.Proof) > 0 {
			t.Fatalf("a warning is kept with its proof: %+v", shown)
		}
	}
}

// A warning that is remembered over a restart does not keep this host from acting
// on what it sees itself.
func TestRestartAfterAWarning(t *testing.T) {
	p, a := newParty(t), newMember(t)
	last := time.Now().Truncate(time.Second)
	ahead := last.Add(time.Minute)
	p.receive(t.Context(), "", encode(t, alertOf(ahead, seal(t, a, failures(a, 1, 99, ahead)))))
	shown := shownAlerts(t, p)
	if len(shown) != 1 || shown[0].Organisation != a.Member() {
		t.Fatalf("alerts %+v", shown)
	}
	q := newParty(t)
	q.recall(shown[0])
	own := []correlate.Testimony{{Organisation: q.Open.Member(), Member: q.Open.Member(), Tallies: failures(q.Open, 1, 4, last).Tallies}}
	q.home(t.Context(), correlate.Finding{Verdict: must(q.rules.JudgeRule("ssh-brute-force", correlate.Home, attackerKey, own)), Evidence: own})
	if got := blocked(q); len(got) != 1 {
		t.Errorf("blocked %v", got)
	}
	if v := q.receive(t.Context(), "", encode(t, alertOf(ahead, seal(t, a, failures(a, 2, 99, ahead))))); v == broadcast.Invalid {
		t.Errorf("the warning again: %v", v)
	}
}

package node

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// says is an opinion on the attacker's alert, sealed.
func opine(t testing.TB, m *federation.Open, at time.Time, isFalse bool) []byte {
	t.Helper()
	return saysOf(t, m, event.Opinion{Federation: m.Name(), Member: m.Member(), Rule: "ssh-brute-force", Key: attackerKey, Said: at.UnixMilli(), False: isFalse, Reason: "a scanner"})
}

func saysOf(t testing.TB, m *federation.Open, o event.Opinion) []byte {
	t.Helper()
	body, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := m.Seal(body)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, sealed)
}

// node is enough of a node for opinions to come to.
func (p *party) node(t testing.TB) *Node {
	c := Config{Data: t.TempDir(), Block: "observe", Open: true}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return &Node{config: c, rules: p.actor.rules, member: p.Open, store: p.store, actor: p.actor, blocks: p.blocks, never: p.never}
}

func (p *party) hears(t testing.TB, payload []byte) broadcast.Verdict {
	t.Helper()
	return p.node(t).heed(t.Context(), "", payload)
}

// hit has two others' evidence, and so the federation, accuse the attacker.
func (p *party) hit(t *testing.T) {
	t.Helper()
	a, b, last := newMember(t), newMember(t), time.Now().Truncate(time.Second)
	if v := p.receive(t.Context(), "", encode(t, alertOf(last, seal(t, a, failures(a, 1, 4, last)), seal(t, b, failures(b, 1, 4, last))))); v != broadcast.Fresh {
		t.Fatal(v)
	}
}

var isBlocked = []string{attacker + "/32"}

// By default others' opinions are shown, and do nothing.
func TestOpinionsOfOthersAreShown(t *testing.T) {
	p := newParty(t)
	p.hit(t)
	for range 5 {
		if v := p.hears(t, opine(t, newMember(t), time.Now(), true)); v != broadcast.Fresh {
			t.Fatal(v)
		}
	}
	a := shownAlerts(t, p)[0]
	if got := blocked(p); !slices.Equal(got, isBlocked) || len(a.Opinions) != 5 || a.Opinions[0].Reason != "a scanner" || a.Opinions[0].Organisation == "" {
		t.Errorf("blocked %v, %+v", got, a)
	}
}

// Where the local policy says so, as many organisations as it asks for lift what others' evidence
// has done, and not what this host has seen; and nothing more is done on others' evidence.
func TestOpinionsOfOthersLift(t *testing.T) {
	for name, own := range map[string]bool{"evidence of others": false, "and own evidence": true} {
		t.Run(name, func(t *testing.T) {
			p, a, b := newParty(t), newMember(t), newMember(t)
			p.lift = 2
			if own {
				p.strikes(t.Context(), 10)
			}
			p.hit(t)
			p.hears(t, opine(t, a, time.Now(), true))
			p.hears(t, opine(t, a, time.Now().Add(time.Second), true)) // the same organisation twice
			if got := blocked(p); !slices.Equal(got, isBlocked) {
				t.Fatalf("one of two is enough: blocked %v", got)
			}
			p.hears(t, opine(t, b, time.Now(), true))
			if got := blocked(p); (len(got) == 1) != own {
				t.Fatalf("blocked %v", got)
			}
			if shown := shownAlerts(t, p); len(shown) != 1 || !strings.Contains(shown[0].Action, "marked as false by") {
				t.Errorf("%+v", shown)
			}
			p.book.Forget(alertOf(time.Now(), event.Sealed{}, event.Sealed{}).ID())
			p.own = correlate.Book{}
			steps := 0
			p.actor.concluded = func(time.Time, correlate.Verdict, string) { steps++ }
			p.hit(t) // others say it again
			if got := blocked(p); (len(got) == 1) != own || steps > 0 {
				t.Errorf("blocked again: %v, or %d steps of a scenario", got, steps)
			}
			// One of them takes it back.
			p.hears(t, opine(t, b, time.Now().Add(2*time.Second), false))
			if got := blocked(p); !slices.Equal(got, isBlocked) {
				t.Errorf("taken back: blocked %v, %+v", got, shownAlerts(t, p))
			}
		})
	}
}

// A person's block stays, whatever opinions say.
func TestOpinionsLiftNoPersonsBlock(t *testing.T) {
	p := newParty(t)
	p.lift = 1
	if _, err := p.blocks.Propose(t.Context(), time.Now(), block.Proposal{Prefix: netip.MustParsePrefix(attacker + "/32"), Manual: true, Duration: time.Hour}); err != nil {
		t.Fatal(err)
	}
	p.hit(t)
	p.hears(t, opine(t, newMember(t), time.Now(), true))
	p.hears(t, opine(t, p.Open, time.Now(), true))
	if got := blocked(p); !slices.Equal(got, isBlocked) {
		t.Errorf("blocked %v", got)
	}
}

// One's own organisation's opinion holds for own evidence as well: its blocks end at once, its
// further events change nothing, and people hear no more of them.
func TestOwnOpinion(t *testing.T) {
	p := newParty(t)
	p.strikes(t.Context(), 10)
	p.hit(t)
	p.hears(t, opine(t, p.Open, time.Now(), true))
	if got := blocked(p); len(got) != 0 {
		t.Fatalf("blocked %v", got)
	}
	p.own = correlate.Book{}
	p.strikes(t.Context(), 10_000)
	shown := shownAlerts(t, p)
	if got := blocked(p); len(got) != 0 || len(shown) != 1 || !strings.Contains(shown[0].Action, "until it has ended") || len(shown[0].Opinions) != 1 {
		t.Errorf("blocked %v, %+v", got, shown)
	}
	// It says nothing about the next attack of that source.
	at := attackKey{"ssh-brute-force", attackerKey}
	if _, q := p.opinionsOn(at, time.Now().Add(time.Hour), time.Now()); q.why != "" {
		t.Errorf("another attack: %+v", q)
	}
	p.hears(t, opine(t, p.Open, time.Now().Add(time.Second), false))
	if got := blocked(p); !slices.Equal(got, isBlocked) || p.rejudged != 1 {
		t.Errorf("taken back: blocked %v, own evidence judged again %d times", got, p.rejudged)
	}
}

func TestOpinionsThatAreRefused(t *testing.T) {
	p, a, b := newParty(t), newMember(t), newMember(t)
	now := time.Now()
	of := func(change func(*event.Opinion)) []byte {
		o := event.Opinion{Federation: "open", Member: a.Member(), Rule: "ssh-brute-force", Key: attackerKey, Said: now.UnixMilli(), False: true, Reason: "r"}
		change(&o)
		return saysOf(t, a, o)
	}
	for name, c := range map[string]struct {
		payload []byte
		want    broadcast.Verdict
	}{
		"garbage":             {[]byte{0xff}, broadcast.Invalid},
		"a report":            {encode(t, seal(t, a, failures(a, 1, 4, now))), broadcast.Invalid},
		"another's words":     {of(func(o *event.Opinion) { o.Member = b.Member() }), broadcast.Invalid},
		"another federation":  {of(func(o *event.Opinion) { o.Federation = "closed" }), broadcast.Invalid},
		"the future":          {of(func(o *event.Opinion) { o.Said = now.Add(time.Hour).UnixMilli() }), broadcast.Invalid},
		"long ago":            {of(func(o *event.Opinion) { o.Said = now.Add(-3 * time.Hour).UnixMilli() }), broadcast.Invalid},
		"a rule of its own":   {of(func(o *event.Opinion) { o.Rule = "no-such-rule" }), broadcast.Known},
		"a rule of other key": {of(func(o *event.Opinion) { o.Rule = "horizontal-scan" }), broadcast.Known},
		"good":                {of(func(*event.Opinion) {}), broadcast.Fresh},
	} {
		if got := newParty(t).hears(t, c.payload); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	forged := of(func(*event.Opinion) {})
	forged[len(forged)-1] ^= 1
	if got := p.hears(t, forged); got != broadcast.Invalid {
		t.Errorf("a forged signature: %v", got)
	}
	for i, want := range []broadcast.Verdict{broadcast.Fresh, broadcast.Known} { // a replay
		if got := p.hears(t, opine(t, a, now, true)); got != want {
			t.Errorf("%d: %v", i, got)
		}
	}
}

// What one member says is bounded, and so is what all say together; what is over makes room.
func TestOpinionsAreBounded(t *testing.T) {
	var o opinions
	say := func(member string, i int) error {
		_, err := o.take(stance{Opinion: event.Opinion{Member: member, Rule: "r", Key: event.Key{Selector: event.BySource, Value: fmt.Sprint(i)}, Said: 1, False: true}, organisation: member})
		return err
	}
	for i := range 2 * opinionsOfOne {
		if err := say("one", i); (err == nil) != (i < opinionsOfOne) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	for i := range 2 * opinionsKept {
		_ = say(fmt.Sprint("m", i), 0)
	}
	if o.all != opinionsKept {
		t.Errorf("%d are held", o.all)
	}
	if o.held["one"] != 1 {
		t.Errorf("one has %d of them, and others found no room", o.held["one"])
	}
	o.sweep(func(s stance) bool { return s.Member != "one" })
	if err := say("one", 0); err != nil || o.all != opinionsKept {
		t.Errorf("%v, %d are held", err, o.all)
	}
}

// However many nodes of one organisation say however much, others are heard, and so is this node.
func TestOpinionsShareTheirRoom(t *testing.T) {
	var o opinions
	say := func(s stance) error {
		s.Rule, s.False = "r", true
		s.Key = event.Key{Selector: event.BySource, Value: fmt.Sprint(s.Said)}
		_, err := o.take(s)
		return err
	}
	of := func(member, organisation string, said int64) stance {
		return stance{Opinion: event.Opinion{Member: member, Said: said}, organisation: organisation}
	}
	for i := range int64(2 * opinionsKept) {
		_ = say(of(fmt.Sprint("loud", i%200), "loud", i))
	}
	if o.all != opinionsKept {
		t.Fatalf("%d are held", o.all)
	}
	for i := range int64(opinionsOfOne) {
		if err := say(of("quiet", "quiet", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := say(of("loud-again", "loud", 9)); err == nil || o.all != opinionsKept || o.held["quiet"] != opinionsOfOne {
		t.Errorf("%v, %d are held, %d of the quiet one", err, o.all, o.held["quiet"])
	}
	own := of("own", "own", 1)
	own.own = true
	for i := range int64(opinionsKept) { // as many as there are organisations
		_ = say(of(fmt.Sprint("m", i), fmt.Sprint("m", i), 1))
	}
	for own.Said = range int64(opinionsOfOne) {
		if err := say(own); err != nil {
			t.Fatal(err)
		}
	}
}

// What was heard outlives a restart.
func TestOpinionsAreKept(t *testing.T) {
	p := newParty(t)
	p.hit(t)
	p.hears(t, opine(t, newMember(t), time.Now(), true))
	if err := p.opinions.keep(p.store.Opinions); err != nil {
		t.Fatal(err)
	}
	again := p.node(t)
	again.actor = &actor{rules: p.actor.rules, member: p.Open, book: new(correlate.Book), log: p.actor.log, counters: new(counters), kept: p.kept}
	if err := again.recallOpinions(); err != nil || len(again.actor.opinions.about(attackKey{"ssh-brute-force", attackerKey})) != 1 {
		t.Errorf("%v, %+v", err, again.actor.opinions.on)
	}
	p.opinions.sweep(func(stance) bool { return false })
	if err := p.opinions.keep(p.store.Opinions); err != nil {
		t.Fatal(err)
	}
	left := 0
	if err := p.store.Opinions.Each(func(string, []byte) error { left++; return nil }); err != nil || left != 0 {
		t.Errorf("%d are left on disk, %v", left, err)
	}
}

// In a federation of two: who marks an alert as false lifts its own blocks at once, and the other
// one shows it, or lifts its own where it says so. Taking it back brings both blocks back.
func TestOpinionInAFederation(t *testing.T) {
	dirA, dirB := filepath.Join(t.TempDir(), "a"), t.TempDir()
	if _, err := Found(dirA, "example-net", "uni-a", ""); err != nil {
		t.Fatal(err)
	}
	a := start(t, Config{Data: dirA, Sources: []Source{attacked(t, dirA)}})
	b := start(t, Config{Data: dirB, Opinions: "lift", OpinionsQuorum: 1, Sources: []Source{attacked(t, dirB)}, Invitation: invite(t, a, "uni-b")})
	both := func(what string, blocks int) {
		t.Helper()
		for _, p := range []*participant{a, b} {
			wait(t, what, func() bool { return p.status().Block.Observed == blocks })
		}
	}
	both("blocked", 1)
	of := func(p *participant) (at control.Alert) {
		alerts, err := p.node.Load().Alerts()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range alerts {
			if x.Rule == "ssh-brute-force" {
				at = x
			}
		}
		return at
	}
	if _, err := a.node.Load().MarkTrue(t.Context(), of(a).ID); err == nil || !strings.Contains(err.Error(), "nothing to take back") {
		t.Errorf("taken back before: %v", err)
	}
	if _, err := a.node.Load().MarkFalse(t.Context(), of(a).ID, ""); err == nil || !strings.Contains(err.Error(), "say why") {
		t.Errorf("without a reason: %v", err)
	}
	marked, err := a.node.Load().MarkFalse(t.Context(), of(a).ID[:8], "our own scanner")
	if err != nil || a.status().Block.Observed != 0 || !strings.Contains(marked.Action, "lifted: "+attacker) {
		t.Errorf("%+v, %v", marked, err)
	}
	both("lifted", 0)
	wait(t, "b shows the opinion", func() bool { return len(of(b).Opinions) == 1 })
	if x := of(b); len(x.Opinions) != 1 || x.Opinions[0].Organisation != "uni-a" || x.Opinions[0].Reason != "our own scanner" || !strings.Contains(x.Action, "marked as false by uni-a") {
		t.Errorf("at b: %+v", x)
	}
	b.end() // and what it has heard stays with it
	b = start(t, b.config)
	wait(t, "connected again", func() bool { return b.status().Peers == 1 })
	if x := of(b); b.status().Block.Observed != 0 || len(x.Opinions) != 1 {
		t.Errorf("after a restart: %d blocks, %+v", b.status().Block.Observed, x)
	}
	b.end() // it is away when it is taken back, and asks for what it has missed
	if _, err := a.node.Load().MarkTrue(t.Context(), of(a).ID); err != nil {
		t.Fatal(err)
	}
	b = start(t, b.config)
	both("blocked again", 1)
	wait(t, "b shows it no more", func() bool { return len(of(b).Opinions) == 0 })
}

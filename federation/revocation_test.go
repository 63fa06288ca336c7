package federation

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func TestRevocation(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierMember, 5)
	second := w.node(beta, noon)
	gamma := w.admit("gamma", TierMember, 5)
	betaNode, err := beta.chain.open(w.public(), theFederation)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		list    []byte
		out, in []party
	}{
		{"node's serial by its organisation", w.revokeOwn(beta, 1, Entry{Serial: betaNode.Serial}), []party{beta}, []party{second, gamma}},
		{"node's id by its organisation", w.revokeOwn(beta, 1, Entry{Key: beta.id}), []party{beta}, []party{second, gamma}},
		{"node's id by another organisation", w.revokeOwn(gamma, 1, Entry{Key: beta.id}, Entry{Serial: betaNode.Serial}), nil, []party{beta, second, gamma}},
		{"organisation by another", w.revokeOwn(gamma, 1, Entry{Key: beta.by.keyName}, Entry{Serial: beta.by.Serial}), nil, []party{beta, second, gamma}},
		{"organisation's serial by the root", w.revoke(2, noon, Entry{Serial: beta.by.Serial}), []party{beta, second}, []party{gamma}},
		{"organisation's key by the root", w.revoke(2, noon, Entry{Key: beta.by.keyName}), []party{beta, second}, []party{gamma}},
		{"node by the root", w.revoke(2, noon, Entry{Key: second.id}), []party{second}, []party{beta, gamma}},
	} {
		m := w.fresh()
		w.add(m, noon, w.chain(beta), w.chain(second), w.chain(gamma))
		if effect := w.add(m, noon, c.list); effect != (Effect{News: true, Expels: len(c.out) > 0}) {
			t.Errorf("%s: effect %+v", c.name, effect)
		}
		for _, p := range c.out {
			refused(t, c.name, m.Verify(noon, w.report(p, 1, 1)), ErrRevoked)
			if m.Admitted(noon, p.id) || m.Votes(noon, p.id) {
				t.Errorf("%s: the node is still in", c.name)
			}
			if err := m.Meet(noon, p.id, w.chain(p)); err == nil || !strings.Contains(err.Error(), "revoked on 2026-11-22") {
				t.Errorf("%s: shown to a member: %v", c.name, err)
			}
			later := noon.Add(chainEvery)
			w.add(m, later, w.chain(w.renewed(p, later)))
			if bySerial := strings.HasPrefix(c.name, "node's serial"); m.Admitted(later, p.id) != bySerial {
				t.Errorf("%s: with another certificate of the same key: admitted %v", c.name, !bySerial)
			}
		}
		for _, p := range c.in {
			if err := m.Verify(noon, w.report(p, 1, 1)); err != nil || !m.Votes(noon, p.id) {
				t.Errorf("%s: another node is out: %v", c.name, err)
			}
		}
	}
}

func TestListMustNotDropEntries(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	w.add(m, noon, w.revoke(2, noon, Entry{Serial: 5}, Entry{Serial: 6}))
	_, err := m.Add(noon, w.revoke(3, noon, Entry{Serial: 6}))
	if err == nil || !strings.Contains(err.Error(), "drops") {
		t.Errorf("a list that drops an entry: %v", err)
	}
	list, _ := Latest(m.Revocations(), w.public())
	next := list.Next(noon, RevokeNode("somebody", 7, "lost", noon))
	if next.Number != 3 || len(next.Entries) != 3 {
		t.Errorf("next is %+v", next)
	}
	later := noon.Add(400 * day)
	if next = next.Next(later); next.Number != 4 || len(next.Entries) != 0 {
		t.Errorf("entries that no certificate outlives are kept: %+v", next)
	}
	d, err := SignRevocations(w.root, next)
	if err != nil {
		t.Fatal(err)
	}
	w.add(m, later, d)
	if _, err := SignRevocations(w.root, RevocationList{Federation: theFederation, Issuer: "beta", Number: 1}); err == nil {
		t.Error("the root signs for an organisation")
	}
	if _, err := SignOwnRevocations(w.first.key, w.first.by.form, next); err == nil {
		t.Error("an organisation signs for the root")
	}
}

// Whoever has stolen an organisation's key can sign lists in its name, until the
// organisation has a new key. It starts anew with that.
func TestNewKeyNewList(t *testing.T) {
	w := newWorld(t)
	stolen := w.admit("beta", TierMember, 5)
	m := w.fresh()
	w.add(m, noon, w.chain(stolen), w.revokeOwn(stolen, 1000, Entry{Key: stolen.id}), w.revoke(2, noon, Entry{Key: stolen.by.keyName}))
	again := w.admit("beta", TierMember, 5)
	other := w.node(again, noon)
	w.add(m, noon, w.chain(again), w.chain(other))
	if l, ok := Latest(m.Revocations(), publicOf(again.key)); ok {
		t.Errorf("the new key goes on with the thief's list %d", l.Number)
	}
	w.add(m, noon, w.revokeOwn(again, 1, Entry{Key: other.id}))
	if l, ok := Latest(m.Revocations(), publicOf(again.key)); !ok || l.Number != 1 || l.Entries[0].Key != other.id {
		t.Errorf("the new key's list is %+v", l)
	}
	if !m.Votes(noon, again.id) || m.Votes(noon, other.id) || m.Votes(noon, stolen.id) {
		t.Error("the organisation's new key cannot revoke, or has no vote")
	}
}

func TestNumbersDoNotLeap(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	for i, c := range []struct {
		list []byte
		good bool
	}{
		{w.revokeOwn(w.first, maxJump+1), false}, // the first one here
		{w.revokeOwn(w.first, 7), true},
		{w.revokeOwn(w.first, maxJump+8), false},
		{w.revokeOwn(w.first, math.MaxUint64-1), false},
		{w.revokeOwn(w.first, maxJump+7), true},
	} {
		if _, err := m.Add(noon, c.list); (err == nil) != c.good {
			t.Errorf("list %d of the test: %v", i, err)
		}
	}
	last := RevocationList{Federation: theFederation, Number: math.MaxUint64 - 1}.Next(noon)
	if _, err := SignRevocations(w.root, last); err == nil || !strings.Contains(err.Error(), "none could follow") {
		t.Errorf("a list that none can follow: %v", err)
	}
}

func TestRevocationNamesKeys(t *testing.T) {
	w := newWorld(t)
	bare := RevocationList{Federation: theFederation, Number: 2, Entries: []Entry{{Serial: w.first.by.Serial, What: "alpha"}}}
	if _, err := SignRevocations(w.root, bare); err == nil || !strings.Contains(err.Error(), "names no key") {
		t.Errorf("an organisation's entry without its key: %v", err)
	}
	e, err := RevokeOrganisation(w.public(), w.first.by.form, "left", noon)
	if want := (Entry{w.first.by.Serial, Fingerprint(publicOf(w.first.key)), "alpha", "left", noon.Unix()}); err != nil || e != want {
		t.Errorf("%+v, %v; want %+v", e, err, want)
	}
	_, err = RevokeOrganisation(publicOf(newKey(t)), w.first.by.form, "left", noon)
	refused(t, "another root's", err, ErrSignature)
}

func TestListsThatPutNobodyOut(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	beta := w.admit("beta", TierMember, 5)
	w.add(m, noon, w.document(KindOrganisation, beta.by.form))
	last := func(entries ...Entry) []Entry { return entries }
	for number, c := range []struct {
		entries []Entry
		expels  bool
	}{
		{last(Entry{Serial: 5}), false},
		{last(Entry{Serial: 5}, Entry{Key: beta.by.keyName}), true}, // without a node so far
		{last(Entry{Serial: 5}, Entry{Key: beta.by.keyName}), false},
		{last(Entry{Serial: 5}, Entry{Key: beta.by.keyName}, Entry{Serial: 6}), false},
		{last(Entry{Serial: 5}, Entry{Key: beta.by.keyName}, Entry{Serial: 6}, Entry{Key: w.first.id}), true},
	} {
		if effect := w.add(m, noon, w.revoke(uint64(number+2), noon, c.entries...)); effect.Expels != c.expels {
			t.Errorf("list %d: effect %+v", number+2, effect)
		}
	}
}

func TestTooManyListsAreTakenInSilence(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	beta := w.admit("beta", TierMember, 5)
	w.add(m, noon, w.chain(beta))
	for number := range uint64(maxTold + 2) {
		effect := w.add(m, noon, w.revokeOwn(beta, number+1))
		if many := number >= maxTold; effect != (Effect{News: !many, Quiet: many}) {
			t.Errorf("list %d in an hour: %+v", number+1, effect)
		}
	}
	last := w.revokeOwn(beta, maxTold+3, Entry{Key: beta.id})
	if effect := w.add(m, noon, last); effect != (Effect{Quiet: true, Expels: true}) || m.Admitted(noon, beta.id) {
		t.Errorf("a list too many that puts somebody out: %+v", effect)
	}
	if documents, _ := m.After(0, 1<<20); !bytes.Equal(documents[len(documents)-1], last) {
		t.Error("neighbours cannot pull it")
	}
	if effect := w.add(m, noon, w.revokeOwn(w.first, 1)); !effect.News {
		t.Errorf("another's list: %+v", effect)
	}
	if effect := w.add(m, noon.Add(time.Hour), w.revokeOwn(beta, maxTold+4, Entry{Key: beta.id})); !effect.News {
		t.Errorf("an hour later: %+v", effect)
	}
}

func TestFreshness(t *testing.T) {
	w := newWorld(t)
	beta, gamma := w.admit("beta", TierAnchor, 5), w.admit("gamma", TierAnchor, 5)
	in := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	for _, c := range []struct {
		name      string
		documents [][]byte
		now       time.Time
		age       time.Duration
		says      string // empty: fresh
	}{
		{"no list", nil, noon, 0, "has arrived yet"},
		{"the list itself", w.documents, in(23), 23 * time.Hour, ""},
		{"an old list", w.documents, in(25), 25 * time.Hour, "is 25h0m0s old"},
		{"an anchor's word", append(w.documents, w.freshness(beta, 1, in(20))), in(40), 20 * time.Hour, ""},
		{"an old word", append(w.documents, w.freshness(beta, 1, in(20))), in(45), 45 * time.Hour, "old"},
		{"a word on an older list", append(w.documents, w.revoke(2, in(1)), w.freshness(beta, 1, in(20))), in(40), 39 * time.Hour, "old"},
		{"behind", append(w.documents, w.freshness(beta, 2, in(20))), in(21), 21 * time.Hour, "anchors know of number 2"},
		{"one liar", append(w.documents, w.freshness(beta, 1<<60, in(20)), w.freshness(gamma, 1, in(20))), in(21), time.Hour, ""},
		{"a revoked anchor", append(w.documents, w.freshness(beta, 2, in(20)), w.revoke(2, in(1), Entry{Key: beta.by.keyName})), in(30), 29 * time.Hour, "old"},
	} {
		m := w.member(w.first, newDrawer(), noon)
		w.add(m, in(20), c.documents...)
		age, err := m.Fresh(c.now)
		if age != c.age || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want %v and %q", c.name, age, err, c.age, c.says)
		}
	}
}

func TestFault(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	beta, gamma := w.admit("beta", TierMember, 5), w.admit("gamma", TierMember, 5)
	a, b := w.report(beta, 7, 1), w.report(beta, 7, 2)
	_, err := m.Fault(a, b)
	refused(t, "fault of a stranger", err, ErrUnknown)
	w.add(m, noon, w.chain(beta), w.chain(gamma))
	betaKey, _, err := signingKey(beta.identity)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]event.Sealed{
		"a report on another": {a, seal(betaKey, beta.id, w.report(gamma, 7, 2).Body)},
		"the same twice":      {a, a},
		"other versions":      {a, w.report(beta, 8, 2)},
		"other signers":       {a, w.report(gamma, 7, 2)},
		"another's words":     {a, {Body: w.report(gamma, 7, 2).Body, Signer: beta.id, Signature: w.report(gamma, 7, 2).Signature}},
		"broken signature":    {a, {Body: b.Body, Signer: beta.id, Signature: a.Signature}},
	} {
		if _, err := m.Fault(pair[0], pair[1]); err == nil {
			t.Errorf("%s: a fault", name)
		}
	}
	proof := w.fault(m, beta)
	fresh := w.fresh()
	if effect := w.add(fresh, noon, proof); effect != (Effect{News: true, Expels: true}) {
		t.Errorf("effect %+v", effect)
	}
	w.add(fresh, noon, w.chain(beta))
	refused(t, "a faulty node's word", fresh.Verify(noon, a), ErrFaulty)
	if fresh.Votes(noon, beta.id) || fresh.Admitted(noon, beta.id) {
		t.Error("a faulty node is still in")
	}
	other, err := m.Fault(w.report(beta, 9, 1), w.report(beta, 9, 2))
	if err != nil {
		t.Fatal(err)
	}
	if effect := w.add(fresh, noon, other); effect != (Effect{}) {
		t.Errorf("a second proof has effect %+v", effect)
	}
	renewed := noon.Add(6 * day)
	w.add(fresh, renewed, w.chain(w.renewed(beta, renewed)))
	if fresh.Admitted(renewed, beta.id) {
		t.Error("a renewed certificate forgives")
	}
	fresh.Sweep(noon.Add(200 * day))
	w.add(fresh, noon.Add(200*day), w.chain(w.renewed(beta, noon.Add(200*day))))
	if fresh.Admitted(noon.Add(200*day), beta.id) {
		t.Error("time forgives, while the organisation's certificate runs")
	}
}

func FuzzRevocations(f *testing.F) {
	w := newWorld(f)
	body, err := event.Encode(RevocationList{theFederation, "", 2, noon.Unix(), []Entry{{1, "key", "what", "why", 5}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := openRevocations(witnessed{Statement: fuzzSign(revocationDomain, w.root, body)}, w.public(), theFederation)
		if err == nil && (r.Number == 0 || r.Issuer != "" || r.Federation != theFederation) {
			t.Errorf("taken: %+v", r.RevocationList)
		}
	})
}

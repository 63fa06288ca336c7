package federation

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func TestDocumentRefuses(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	beta := w.admit("beta", TierMember, 3)
	good := w.chain(beta)
	unknown, err := event.Encode(Document{Kind: "gossip", Data: []byte{0xf6}})
	if err != nil {
		t.Fatal(err)
	}
	more, err := event.Encode(map[int]any{1: "policy", 2: []byte{0xf6}, 3: true})
	if err != nil {
		t.Fatal(err)
	}
	longHead := append([]byte{0xb8, 0x02}, good[1:]...) // a map of two, written longer
	for _, c := range []struct {
		name     string
		document []byte
		says     string
	}{
		{"nothing", nil, "decode"},
		{"unknown kind", unknown, `"gossip"`},
		{"too large", make([]byte, MaxDocument+1), "over the 56320"},
		{"trailing byte", append(bytes.Clone(good), 0), "decode"},
		{"longer form", longHead, "canonical"},
		{"unknown field", more, "newer version"},
		{"chain as policy", w.document(KindPolicy, beta.chain), "policy"},
		{"redemption", w.document(kindRedemption, redemption{}), "redemption"},
		{"policy of an organisation", func() []byte {
			s, _ := policyDomain.sign(beta.key, Policy{Federation: theFederation, Version: 2, Seed: make([]byte, 32), Quorum: 2})
			return w.document(KindPolicy, s)
		}(), "only the root"},
		{"list of another issuer", func() []byte {
			s, _ := revocationDomain.sign(beta.key, RevocationList{theFederation, "alpha", 1, noon.Unix(), nil})
			return w.document(KindRevocations, witnessed{&beta.by.form, s})
		}(), "signed by"},
		{"root's list by an organisation", func() []byte {
			s, _ := revocationDomain.sign(beta.key, RevocationList{theFederation, "", 2, noon.Unix(), nil})
			return w.document(KindRevocations, witnessed{nil, s})
		}(), "signature"},
		{"list of another federation", func() []byte {
			s, _ := revocationDomain.sign(w.root, RevocationList{"other", "", 2, noon.Unix(), nil})
			return w.document(KindRevocations, witnessed{nil, s})
		}(), "federation"},
		{"list of the future", w.revoke(9, noon.Add(time.Hour)), "check the clock"},
		{"entry without a key", func() []byte {
			s, _ := revocationDomain.sign(w.root, RevocationList{theFederation, "", 2, noon.Unix(), []Entry{{Serial: 1, What: "x"}}})
			return w.document(KindRevocations, witnessed{nil, s})
		}(), "no key"},
		{"escape in a reason", func() []byte {
			s, _ := revocationDomain.sign(w.root, RevocationList{theFederation, "", 2, noon.Unix(), []Entry{{Key: "k", Reason: "\x1b[2J"}}})
			return w.document(KindRevocations, witnessed{nil, s})
		}(), "printable"},
		{"freshness of no anchor", w.freshness(beta, 1, noon), "only an anchor's"},
		{"freshness of the future", w.freshness(w.first, 1, noon.Add(time.Hour)), "check the clock"},
		{"old freshness", w.freshness(w.first, 1, noon.Add(-25*time.Hour)), "expired"},
	} {
		effect, err := m.Add(noon, c.document)
		if err == nil || !strings.Contains(err.Error(), c.says) || effect != (Effect{}) {
			t.Errorf("%s: %+v, %v; want %q", c.name, effect, err, c.says)
		}
	}
	if effect := w.add(m, noon, good); effect != (Effect{News: true}) {
		t.Errorf("a good chain: %+v", effect)
	}
	if effect := w.add(m, noon, good); effect != (Effect{}) {
		t.Errorf("the same again: %+v", effect)
	}
}

func TestNewerReplacesOlder(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierAnchor, 3)
	later := noon.Add(time.Hour)
	for name, c := range map[string]struct{ older, newer, contrary []byte }{
		"chain":     {w.chain(beta), w.chain(w.renewed(beta, later)), nil},
		"list":      {w.revoke(2, noon, Entry{Serial: 1}), w.revoke(3, noon, Entry{Serial: 1}), w.revoke(3, noon, Entry{Serial: 1}, Entry{Serial: 2})},
		"own list":  {w.revokeOwn(beta, 2), w.revokeOwn(beta, 3), w.revokeOwn(beta, 3, Entry{Serial: 2})},
		"policy":    {w.policy(2, nil), w.policy(3, nil), w.policy(3, func(p *Policy) { p.Quorum = 1 })},
		"freshness": {w.freshness(beta, 1, noon), w.freshness(beta, 1, later), w.freshness(beta, 2, later)},
	} {
		m := w.fresh()
		w.add(m, later, c.older)
		if effect := w.add(m, later, c.newer); !effect.News {
			t.Errorf("%s: the newer one is no news", name)
		}
		if effect := w.add(m, later, c.older); effect != (Effect{}) {
			t.Errorf("%s: a replay has effect %+v", name, effect)
		}
		if c.contrary != nil {
			_, err := m.Add(later, c.contrary)
			refused(t, name+" twice in one version", err, ErrContradiction)
		}
		documents, _ := m.After(0, 1<<20)
		if has := func(d []byte) bool {
			return slices.ContainsFunc(documents, func(x []byte) bool { return bytes.Equal(x, d) })
		}; has(c.older) || !has(c.newer) {
			t.Errorf("%s: passed on older %v, newer %v", name, has(c.older), has(c.newer))
		}
	}
}

// Whoever has an organisation's key could otherwise keep all members busy.
func TestWhatComesTooSoonIsNoNews(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierAnchor, 3)
	renewed := beta
	var err error
	if renewed.by, err = (Terms{TierAnchor, 3, 366 * day}).charter(w.root, theFederation, "beta", publicOf(beta.key), noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	after := func(d time.Duration) time.Time { return noon.Add(d) }
	at := after(2 * time.Hour)
	m := w.fresh()
	w.add(m, at, w.chain(beta), w.freshness(beta, 1, noon))
	for _, c := range []struct {
		name     string
		document []byte
		news     bool
	}{
		{"chain within the hour", w.chain(w.renewed(beta, after(chainEvery-time.Second))), false},
		{"chain under a renewed certificate", w.chain(w.renewed(renewed, after(2*time.Minute))), true},
		{"chain under the former one, again", w.chain(w.renewed(beta, after(3*time.Minute))), false},
		{"chain under the renewed one, again", w.chain(w.renewed(renewed, after(4*time.Minute))), false},
		{"chain after an hour", w.chain(w.renewed(renewed, after(chainEvery+2*time.Minute))), true},
		{"statement within ten minutes", w.freshness(beta, 2, after(stateAtMost-time.Second)), false},
		{"statement after ten minutes", w.freshness(beta, 1, after(stateAtMost)), true},
	} {
		if effect := w.add(m, at, c.document); effect != (Effect{News: c.news}) {
			t.Errorf("%s: %+v", c.name, effect)
		}
		documents, _ := m.After(0, 1<<20)
		if held := bytes.Equal(documents[len(documents)-1], c.document); held != c.news {
			t.Errorf("%s: passed on: %v", c.name, held)
		}
	}
}

// A list must not end with the certificate that its issuer had when it signed.
func TestListUnderRenewedCertificate(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierMember, 3)
	m := w.fresh()
	old := w.revokeOwn(beta, 1)
	w.add(m, noon, old)
	renewed, err := Terms{TierMember, 3, 366 * day}.charter(w.root, theFederation, "beta", publicOf(beta.key), noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	beta.by = renewed
	again := w.revokeOwn(beta, 1)
	if effect := w.add(m, noon.Add(time.Hour), again); effect != (Effect{News: true}) {
		t.Errorf("effect %+v", effect)
	}
	if effect := w.add(m, noon.Add(time.Hour), old); effect != (Effect{}) {
		t.Errorf("the former one has effect %+v", effect)
	}
}

// An admission redeemed for two keys shows a dishonest delegate.
func TestTwoKeysOfOneAdmission(t *testing.T) {
	w := newWorld(t)
	admission, delegate, err := Terms{TierMember, 3, day}.admit(w.root, theFederation, "beta", noon)
	if err != nil {
		t.Fatal(err)
	}
	var parties []party
	for range 2 {
		key := newKey(t)
		by, err := grant(w.public(), theFederation, admission, delegate, publicOf(key))
		if err != nil {
			t.Fatal(err)
		}
		parties = append(parties, w.node(party{key: key, by: by}, noon))
	}
	m := w.fresh()
	w.add(m, noon, w.chain(parties[0]))
	_, err = m.Add(noon, w.chain(parties[1]))
	refused(t, "chain by the second key", err, ErrContradiction)
	_, err = m.Add(noon, w.document(KindOrganisation, parties[1].by.form))
	refused(t, "certificate of the second key", err, ErrContradiction)
}

// state is all that follows from the documents.
func state(m *Member, now time.Time) string {
	age, err := m.Fresh(now)
	text := fmt.Sprintf("%+v\n%v %v\n%+v\n", m.Summary(now), age, err, m.Policy())
	for _, info := range m.Members(now) {
		text += fmt.Sprintf("%+v\n", info)
	}
	for _, l := range m.Revocations() {
		text += fmt.Sprintf("%+v\n", l)
	}
	documents, _ := m.After(0, 1<<30)
	slices.SortFunc(documents, bytes.Compare)
	for _, d := range documents {
		text += fmt.Sprintf("%x\n", sha256.Sum256(d))
	}
	return text
}

func TestOrderOfDocumentsDoesNotMatter(t *testing.T) {
	w := newWorld(t)
	later := noon.Add(time.Hour)
	documents := append(slices.Clone(w.documents),
		w.policy(2, nil), w.freshness(w.first, 3, noon), w.freshness(w.first, 3, later))
	var parties []party
	for i, tier := range []Tier{TierAnchor, TierMember, TierMember, TierProbation, TierMember} {
		p := w.admit(fmt.Sprint("org-", i), tier, 10)
		q := w.node(p, noon)
		parties = append(parties, p, q)
		documents = append(documents, w.chain(p), w.chain(q), w.chain(w.renewed(p, later)))
	}
	renewed, err := RenewOrganisation(w.root, parties[6].by.form, Terms{TierMember, 3, day}, later)
	if err != nil {
		t.Fatal(err)
	}
	teller := w.fresh()
	w.add(teller, noon, w.chain(parties[4]))
	documents = append(documents, renewed,
		w.revoke(2, noon, Entry{Key: parties[2].by.keyName}),
		w.revoke(3, noon, Entry{Key: parties[2].by.keyName}, Entry{Key: parties[9].id}),
		w.revokeOwn(parties[0], 1, Entry{Key: parties[1].id}),
		w.freshness(parties[0], 2, noon),
		w.fault(teller, parties[4]))
	random := rand.New(rand.NewPCG(1, 2))
	var want string
	for range 40 {
		random.Shuffle(len(documents), func(i, j int) { documents[i], documents[j] = documents[j], documents[i] })
		m := w.member(w.first, newDrawer(), noon)
		w.add(m, later, documents...)
		got := state(m, later)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("one order ends in\n%s\nanother in\n%s", want, got)
		}
	}
}

func TestNeighboursPullWhatIsNew(t *testing.T) {
	w := newWorld(t)
	a, b := w.fresh(), w.member(w.admit("beta", TierMember, 3), newDrawer(), noon)
	for i := range 20 {
		w.add(a, noon, w.chain(w.admit(fmt.Sprint("org-", i), TierMember, 1)))
	}
	var seq uint64
	pulls := 0
	for ; ; pulls++ {
		documents, next := a.After(seq, 4096)
		if len(documents) == 0 {
			break
		}
		size := 0
		for _, d := range documents {
			size += len(d)
		}
		if size > 4096 {
			t.Errorf("a pull of %d bytes", size)
		}
		w.add(b, noon, documents...)
		seq = next
	}
	if got := b.Summary(noon).Members; pulls < 2 || got != 22 {
		t.Errorf("%d members after %d pulls, want 22", got, pulls)
	}
	if documents, _ := a.After(0, 1); len(documents) != 1 {
		t.Errorf("%d documents for one byte, want one: the pull must go on", len(documents))
	}
	restarted := w.member(w.first, newDrawer(), noon.Add(time.Minute))
	w.add(restarted, noon, w.documents...)
	if documents, _ := restarted.After(seq, 1<<20); len(documents) != 3 {
		t.Errorf("after a restart %d documents for who had all before, want all 3", len(documents))
	}
	back := w.member(w.first, newDrawer(), noon.Add(-time.Hour))
	if documents, _ := back.After(seq, 1<<20); len(documents) != 1 {
		t.Errorf("after the clock was set back %d documents, want 1", len(documents))
	}
}

// Members with the same documents know it, in whatever order they came.
func TestDigest(t *testing.T) {
	w := newWorld(t)
	a, b := w.fresh(), w.fresh()
	chains := [][]byte{w.chain(w.admit("beta", TierMember, 3)), w.chain(w.admit("gamma", TierMember, 3))}
	digest := func(m *Member) [32]byte { sum, _ := m.Digest(); return sum }
	w.add(a, noon, chains[0])
	if digest(a) == digest(b) {
		t.Error("alike, with one document more")
	}
	w.add(a, noon, chains[1])
	w.add(b, noon, chains[1], chains[0])
	if digest(a) != digest(b) {
		t.Error("not alike, with the same documents")
	}
	if _, seq := a.Digest(); seq == 0 {
		t.Error("no number to go on from")
	} else if documents, _ := a.After(seq, 1<<20); len(documents) > 0 {
		t.Errorf("%d documents after the last one", len(documents))
	}
}

func TestRetry(t *testing.T) {
	for _, err := range []error{ErrEarly, ErrQuota, ErrFull} {
		if !Retry(fmt.Errorf("document: %w", err)) {
			t.Errorf("%v: never again", err)
		}
	}
	for _, err := range []error{nil, ErrSignature, ErrExpired, ErrRevoked, ErrContradiction, errors.New("garbled")} {
		if Retry(err) {
			t.Errorf("%v: again", err)
		}
	}
}

func FuzzDocument(f *testing.F) {
	w := newWorld(f)
	m := w.fresh()
	beta := w.admit("beta", TierAnchor, 3)
	w.add(m, noon, w.chain(beta))
	for _, d := range [][]byte{w.chain(beta), w.document(KindOrganisation, beta.by.form), w.revoke(1, noon, Entry{Serial: 1}),
		w.freshness(beta, 1, noon), w.policy(1, nil), w.fault(m, beta)} {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		effect, err := m.Add(noon, data)
		if err != nil && effect != (Effect{}) {
			t.Errorf("%v, and an effect %+v", err, effect)
		}
		var d Document
		if err == nil && event.Decode(data, &d) != nil {
			t.Error("taken without being a document")
		}
		for _, sentinel := range []error{ErrUnknown, ErrFaulty} {
			if errors.Is(err, sentinel) {
				t.Errorf("%v: a document verifies by itself", err)
			}
		}
	})
}

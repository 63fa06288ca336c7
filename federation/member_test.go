package federation

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func TestVerify(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	beta := w.admit("beta", TierMember, 5)
	s := w.report(beta, 1, 1)
	refused(t, "unknown", m.Verify(noon, s), ErrUnknown)
	w.add(m, noon, w.chain(beta))
	for range 2 { // the second time it is remembered
		if err := m.Verify(noon, s); err != nil {
			t.Fatal(err)
		}
	}
	for name, forge := range map[string]func(*event.Sealed){
		"other words": func(s *event.Sealed) { s.Body = append([]byte{}, s.Body[1:]...) },
		"shifted":     func(s *event.Sealed) { s.Signature, s.Body = append(s.Signature, s.Body[0]), s.Body[1:] },
		"another":     func(s *event.Sealed) { s.Signer = m.Member() },
		"unsigned":    func(s *event.Sealed) { s.Signature = nil },
	} {
		forged := s
		forge(&forged)
		refused(t, name, m.Verify(noon, forged), ErrSignature)
	}
	refused(t, "expired", m.Verify(noon.Add(8*day), s), ErrExpired)
	refused(t, "early", m.Verify(noon.Add(-time.Hour), s), ErrEarly)
	own, err := m.Seal([]byte("seen"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(noon, own); err != nil {
		t.Error(err)
	}
	for i := range verifiedKept + 10 {
		m.verified.add(event.Sealed{Signer: fmt.Sprint(i)})
	}
	if n := len(m.verified.young) + len(m.verified.aged); n > verifiedKept {
		t.Errorf("%d signatures remembered, want up to %d", n, verifiedKept)
	}
}

func TestGreetings(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	beta, stranger := w.admit("beta", TierProbation, 5), newWorld(t)
	later := noon.Add(6 * day)
	renewed := w.renewed(beta, later)
	for _, c := range []struct {
		name   string
		now    time.Time
		from   string
		said   []byte
		before []byte // what was known
		is     error  // nil and admitted: welcome
		in     bool
	}{
		{"member", noon, beta.id, w.chain(beta), nil, nil, true},
		{"another's chain", later, m.Member(), w.chain(beta), nil, nil, false},
		{"another federation", noon, stranger.first.id, stranger.chain(stranger.first), nil, ErrSignature, false},
		{"expired", noon.Add(8 * day), beta.id, w.chain(beta), nil, ErrExpired, false},
		{"expired, and renewed by its organisation", noon.Add(8 * day), beta.id, w.chain(beta), w.chain(renewed), nil, true},
		{"policy", noon, beta.id, w.policy(2, nil), nil, nil, false},
		{"nothing", noon, beta.id, nil, nil, nil, false},
		{"too much", noon, beta.id, make([]byte, MaxGreeting+1), nil, nil, false},
	} {
		m := w.member(w.renewed(w.first, later), newDrawer(), later)
		if c.before != nil {
			w.add(m, later, c.before)
		}
		reply, admitted, err := m.Welcome(c.now, c.from, c.said)
		if admitted != c.in || (err == nil) != c.in || (reply != nil) != c.in || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: admitted %v, reply %v, %v", c.name, admitted, reply != nil, err)
		}
		if err := m.Meet(c.now, c.from, c.said); (err == nil) != c.in {
			t.Errorf("%s: met: %v", c.name, err)
		}
		if _, ok := m.Chain(beta.id); c.in && !ok {
			t.Errorf("%s: its chain is not kept", c.name)
		}
	}
}

func TestQuota(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	a := w.admit("beta", TierMember, 2)
	b, c := w.node(a, noon), w.node(a, noon)
	w.add(m, noon, w.chain(a), w.chain(b))
	_, err := m.Add(noon, w.chain(c))
	refused(t, "the third of two", err, ErrQuota)
	w.add(m, noon.Add(time.Hour), w.chain(w.renewed(a, noon.Add(time.Hour))))
	w.add(m, noon, w.revokeOwn(a, 1, Entry{Key: b.id}))
	w.add(m, noon, w.chain(c))
	d := w.node(a, noon.Add(day))
	_, err = m.Add(noon.Add(day), w.chain(d))
	refused(t, "the third again", err, ErrQuota)
	d.chain = w.renewed(d, noon.Add(8*day)).chain
	w.add(m, noon.Add(8*day), w.chain(d)) // the others have expired

	fewer, err := RenewOrganisation(w.root, w.first.by.form, Terms{TierAnchor, 1, 300 * day}, noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	m = w.fresh()
	second := w.node(w.first, noon)
	w.add(m, noon, w.chain(second), fewer)
	w.add(m, noon.Add(time.Hour), w.chain(w.renewed(second, noon.Add(time.Hour))))
	_, err = m.Add(noon, w.chain(w.node(w.first, noon))) // counted by the newest certificate
	refused(t, "a new one after the quota was lowered", err, ErrQuota)
}

func TestBounds(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierMember, 5)
	known, err := beta.chain.open(w.public(), theFederation)
	if err != nil {
		t.Fatal(err)
	}
	m := w.fresh()
	fill := func(change func(*papers)) {
		for i := range MaxMembers {
			p := known
			p.ID, p.Node.Organisation = fmt.Sprint(i), "crowd"
			change(&p)
			m.nodes[p.ID] = p
		}
	}
	fill(func(*papers) {})
	_, err = m.Add(noon, w.chain(beta))
	refused(t, "a member too many", err, ErrFull)
	fill(func(p *papers) { p.NotAfter = noon.Unix() })
	w.add(m, noon, w.chain(beta))
	if n := len(m.nodes); n != 2 || !m.Admitted(noon, w.first.id) {
		t.Errorf("%d nodes, want the own one and the new: the expired ones have to make room", n)
	}

	for i := range maxFaults {
		m.faults[fmt.Sprint(i)] = fault{by: known}
	}
	_, err = m.Add(noon, w.fault(m, beta))
	refused(t, "a faulty node too many of one organisation", err, ErrFull)
	for i := range MaxOrganisations {
		m.organisations[fmt.Sprint(i)] = charter{}
	}
	_, err = m.Add(noon, w.chain(w.admit("gamma", TierMember, 1)))
	refused(t, "an organisation too many", err, ErrFull)
	m.desk.deposits = map[string]deposit{}
	for i := range maxDeposits {
		m.desk.deposits[fmt.Sprint(i)] = deposit{}
	}
	o, _, err := InviteNode("alpha", day, noon)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "an invitation too many", m.Deposit(noon, o), ErrFull)
	m.Sweep(noon)
	if err := m.Deposit(noon, o); err != nil {
		t.Errorf("after the expired ones were swept: %v", err)
	}
}

func TestCollectorsOfLargeFederations(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	for i := range largeFederation - 2 {
		w.add(m, noon, w.chain(w.admit(fmt.Sprint("org-", i), TierMember, 1)))
	}
	if org, collects := m.Standing(noon, w.first.id); org != "alpha" || !collects {
		t.Errorf("in a small federation %s collects: %v", org, collects)
	}
	w.add(m, noon, w.chain(w.admit("last", TierMember, 1)))
	midnight := noon.Add(12 * time.Hour)
	for _, c := range []struct {
		now  time.Time
		want bool
	}{{noon, false}, {midnight, false}, {midnight.Add(day - time.Second), false}, {midnight.Add(day), true}} {
		if _, collects := m.Standing(c.now, w.first.id); collects != c.want {
			t.Errorf("at %v collects: %v", c.now, collects)
		}
	}
	backdated := w.node(w.first, noon)
	own, err := backdated.chain.open(w.public(), theFederation)
	if err != nil {
		t.Fatal(err)
	}
	own.Since -= 100 * 86400
	backdated.chain = w.issue(backdated, own.Node, noon)
	for i, c := range []struct {
		came time.Duration
		want bool
	}{{settling - time.Second, true}, {settling, false}} {
		keep := newDrawer()
		documents, _ := m.After(0, 1<<20)
		m := w.member(w.first, keep, noon)
		w.add(m, noon, documents...)
		w.add(m, noon.Add(c.came), w.chain(backdated))
		check := func(m *Member, what string) {
			t.Helper()
			if _, collects := m.Standing(midnight.Add(time.Hour), backdated.id); collects != c.want {
				t.Errorf("%d: %s: one that says it was here for long collects: %v", i, what, collects)
			}
		}
		check(m, "at first")
		if err := m.Keep(); err != nil {
			t.Fatal(err)
		}
		check(w.member(w.first, keep, midnight), "after a restart")
	}
	if _, collects := m.Standing(noon.Add(8*day), w.first.id); collects {
		t.Error("an expired node collects")
	}
	if org, collects := m.Standing(noon, "nobody"); org != "" || collects {
		t.Error("a stranger collects")
	}
}

func TestDue(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	other := w.admit("beta", TierMember, 5)
	awake, asleep, gone, faulty := w.node(w.first, noon), w.node(w.first, noon), w.node(w.first, noon), w.node(w.first, noon)
	w.add(m, noon, w.chain(other), w.chain(awake), w.chain(asleep), w.chain(gone), w.chain(faulty))
	w.add(m, noon, w.revokeOwn(w.first, 1, Entry{Key: gone.id}), w.fault(m, faulty))
	alive := func(id string) bool { return m.Admitted(noon, id) && id != asleep.id } // asks, as it may
	due := func(now time.Time) map[Kind]int {
		t.Helper()
		documents, err := m.Due(now, alive)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[Kind]int{}
		witness := w.member(other, newDrawer(), noon)
		for _, d := range documents {
			kind, _, err := openDocument(w.public(), theFederation, d)
			if err != nil {
				t.Fatal(err)
			}
			kinds[kind]++
			w.add(witness, now, d)
		}
		return kinds
	}
	if got := due(noon); !reflect.DeepEqual(got, map[Kind]int{KindFreshness: 1}) {
		t.Errorf("at first %v is due", got)
	}
	if got := due(noon.Add(59 * time.Minute)); len(got) != 0 {
		t.Errorf("within the hour %v is due", got)
	}
	w.add(m, noon, w.revoke(2, noon, Entry{Serial: 9}))
	if got := due(noon.Add(9 * time.Minute)); len(got) != 0 {
		t.Errorf("with a new list right after a statement %v is due, which nobody would take", got)
	}
	if got := due(noon.Add(10 * time.Minute)); got[KindFreshness] != 1 {
		t.Errorf("with a new list %v is due", got)
	}
	twoThirds := noon.Add(7 * day * 2 / 3)
	due(twoThirds.Add(-time.Hour))
	if got := due(twoThirds); !reflect.DeepEqual(got, map[Kind]int{KindChain: 2, KindFreshness: 1}) {
		t.Errorf("at two thirds %v is due", got)
	}
	if got := due(twoThirds); len(got) != 0 {
		t.Errorf("at once again %v is due", got)
	}
	after := noon.Add(8 * day)
	for p, want := range map[*party]bool{&w.first: true, &awake: true, &asleep: false, &gone: false, &faulty: false} {
		if m.Admitted(after, p.id) != want {
			t.Errorf("after its first certificate ended, node is admitted: %v", !want)
		}
	}
	if n, _, err := m.Membership().Chain.Check(w.public(), theFederation, after); err != nil || n.Since != noon.Unix() {
		t.Errorf("the own chain: since %v, %v", n.Since, err)
	}
	if due(after); !m.Admitted(after, asleep.id) || m.Admitted(after, gone.id) || m.Admitted(after, faulty.id) {
		t.Error("a node that was away is not renewed after its certificate has ended, or one that is out is")
	}

	renewed, err := RenewOrganisation(w.root, w.first.by.form, Terms{TierAnchor, 100, 365 * day}, after)
	if err != nil {
		t.Fatal(err)
	}
	w.add(m, after, renewed)
	if got := due(after); got[KindRevocations] != 1 {
		t.Errorf("with a renewed certificate %v is due, not the list under it", got)
	}
	_, err = m.Due(noon.Add(500*day), alive)
	refused(t, "certificates of an expired organisation", err, ErrExpired)
}

// A node that was away beyond its certificate's end is renewed by its
// organisation, is let in by those who know of that, and learns of it itself.
func TestReturn(t *testing.T) {
	w := newWorld(t)
	issuer := w.fresh()
	away := w.node(w.first, noon)
	ms := Membership{Federation: theFederation, Root: w.public(), Chain: away.chain}
	node, err := NewMember(ms, away.identity, nil, newDrawer(), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	w.add(issuer, noon, w.chain(away))
	back := noon.Add(20 * day)
	old := node.Hello()
	if _, _, err := issuer.Welcome(back, away.id, old); !errors.Is(err, ErrExpired) {
		t.Errorf("before it is renewed: %v", err)
	}
	if _, err := issuer.Due(back, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	reply, admitted, err := issuer.Welcome(back, away.id, old)
	if err != nil || !admitted {
		t.Fatalf("admitted: %v, %v", admitted, err)
	}
	if err := node.Meet(back, issuer.Member(), reply); err != nil {
		t.Fatal(err)
	}
	documents, _ := issuer.After(0, MaxDocument)
	w.add(node, back, documents...)
	if renewed, _ := issuer.Chain(away.id); !node.Admitted(back, away.id) || string(node.Hello()) != string(renewed) || string(renewed) == string(old) {
		t.Error("the node has not learnt of its new chain")
	}
}

// A node in whose place another has come does not get it back, and nobody is
// bothered with that each minute.
func TestReturnWithoutRoom(t *testing.T) {
	w := newWorld(t)
	issuer := w.admit("beta", TierMember, 2)
	m := w.member(issuer, newDrawer(), noon)
	away := w.node(issuer, noon)
	w.add(m, noon, w.chain(away))
	later := noon.Add(8 * day)
	if _, err := m.Add(later, w.chain(w.renewed(issuer, later))); err != nil {
		t.Fatal(err)
	}
	w.add(m, later, w.chain(w.node(issuer, later)))
	if documents, err := m.Due(later, nil); err != nil || len(documents) != 0 || m.Admitted(later, away.id) {
		t.Errorf("%d documents, %v", len(documents), err)
	}
}

// Who is gone for good is not renewed for good, restarts of the issuer or not.
func TestAbsenceEnds(t *testing.T) {
	w := newWorld(t)
	keep := newDrawer()
	m := w.member(w.first, keep, noon)
	gone := w.node(w.first, noon)
	w.add(m, noon, w.chain(gone))
	var renewed []int // days
	daily := func(from, to int, alive bool) {
		t.Helper()
		for d := from; d < to; d++ {
			now := noon.Add(time.Duration(d) * day)
			before, _ := m.Chain(gone.id)
			if _, err := m.Due(now, func(string) bool { return alive }); err != nil {
				t.Fatal(err)
			}
			if after, _ := m.Chain(gone.id); string(after) != string(before) {
				renewed = append(renewed, d)
			}
			if err := m.Keep(); err != nil {
				t.Fatal(err)
			}
			m.Sweep(now)
			if d%5 == 0 {
				m = w.member(party{key: w.first.key, identity: w.first.identity, chain: m.Membership().Chain}, keep, now)
			}
		}
	}
	daily(0, 15, false)
	daily(15, 20, true) // it was back
	daily(20, 100, false)
	if want := []int{7, 14, 19, 26, 33, 40, 47, 54}; !reflect.DeepEqual(renewed[:min(len(renewed), len(want))], want) || len(renewed) > len(want)+1 {
		t.Errorf("renewed on days %v, want %v, and its being forgotten", renewed, want)
	}
	if _, known := m.Chain(gone.id); known || len(m.sightings) != 1 {
		t.Errorf("it is still known, and %d sightings", len(m.sightings))
	}
}

// Near the end of the organisation's certificate a new one would run no longer.
func TestNothingIsRenewedForNothing(t *testing.T) {
	w := newWorld(t)
	key := newKey(t)
	by, err := Terms{TierMember, 3, 8 * day}.charter(w.root, theFederation, "beta", publicOf(key), noon)
	if err != nil {
		t.Fatal(err)
	}
	m := w.member(w.node(party{key: key, by: by}, noon), newDrawer(), noon)
	for _, c := range []struct {
		now  time.Time
		want int
	}{{noon.Add(5 * day), 1}, {noon.Add(8*day - time.Hour), 0}} {
		if documents, err := m.Due(c.now, nil); err != nil || len(documents) != c.want {
			t.Errorf("at %v %d documents are due, want %d: %v", c.now, len(documents), c.want, err)
		}
	}
}

func TestDocumentsSurviveARestart(t *testing.T) {
	w := newWorld(t)
	keep := newDrawer()
	m := w.member(w.first, keep, noon)
	full, half := w.admit("beta", TierMember, 2), w.admit("gamma", TierProbation, 2)
	gone := w.node(full, noon)
	more := w.node(full, noon)
	w.add(m, noon, w.documents...)
	w.add(m, noon, w.chain(full), w.chain(gone), w.chain(half), w.revokeOwn(full, 1, Entry{Key: gone.id}), w.chain(more),
		w.freshness(w.first, 1, noon))
	w.add(m, noon, w.fault(m, half))
	keep.full = errors.New("no space left")
	if err := m.Keep(); !errors.Is(err, keep.full) {
		t.Errorf("a full disk: %v", err)
	}
	keep.full = nil
	if err := m.Keep(); err != nil {
		t.Fatal(err)
	}
	want := state(m, noon)
	again := w.member(w.first, keep, noon)
	if got := state(again, noon); got != want {
		t.Errorf("before\n%s\nafter the restart\n%s", want, got)
	}
	if n := len(again.pool.unkept); n != 0 {
		t.Errorf("%d documents are to be written anew", n)
	}

	again.Sweep(noon.Add(8 * day))
	if documents, _ := again.After(0, 1<<20); len(documents) != 4 { // two lists, the policy, the fault
		t.Errorf("%d documents are passed on when the chains have expired, want 4", len(documents))
	}
	if _, ok := again.Chain(full.id); !ok {
		t.Error("an expired chain is forgotten at once: its organisation could not renew it")
	}
	again.Sweep(noon.Add(38 * day))
	if err := again.Keep(); err != nil {
		t.Fatal(err)
	}
	chains := 0
	for key := range keep.records {
		if kindOf(key) == KindChain {
			chains++
		}
	}
	if chains != 1 {
		t.Errorf("%d chains kept after 38 days, want the own one", chains)
	}
	keep.records[documentPrefix+"policy/"] = []byte("torn")
	if m := w.member(w.first, keep, noon); m.Policy().Version != 0 {
		t.Error("a policy from nothing")
	}
}

func TestNodeAdoptsItsRenewedChain(t *testing.T) {
	w := newWorld(t)
	later := noon.Add(day)
	node := w.node(w.first, noon)
	var saved []Membership
	var fail error
	m, err := NewMember(Membership{Federation: theFederation, Root: w.public(), Chain: node.chain, Bootstrap: []string{"x"}}, node.identity, nil, newDrawer(),
		func(ms Membership) error { saved = append(saved, ms); return fail }, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Keep(); err != nil || len(saved) != 0 {
		t.Errorf("%d memberships saved without a change, %v", len(saved), err)
	}
	renewed := w.renewed(node, later)
	w.add(m, later, w.chain(renewed))
	fail = errors.New("no space left")
	refused(t, "a full disk", m.Keep(), fail)
	fail = nil
	if err := m.Keep(); err != nil {
		t.Fatal(err)
	}
	if len(saved) != 2 || !reflect.DeepEqual(saved[1].Chain, renewed.chain) || saved[1].Bootstrap[0] != "x" {
		t.Errorf("saved %+v", saved)
	}
	if string(m.Hello()) != string(w.chain(renewed)) {
		t.Error("the node still shows its old chain")
	}
}

func TestNewMemberRefuses(t *testing.T) {
	w := newWorld(t)
	good := Membership{Federation: theFederation, Root: w.public(), Chain: w.first.chain}
	other := w.admit("beta", TierMember, 1)
	wrongRoot := good
	wrongRoot.Root = nil
	for name, try := range map[string]func() (*Member, error){
		"another identity": func() (*Member, error) { return NewMember(good, other.identity, nil, newDrawer(), nil, noon) },
		"another's key":    func() (*Member, error) { return NewMember(good, w.first.identity, other.key, newDrawer(), nil, noon) },
		"no root":          func() (*Member, error) { return NewMember(wrongRoot, w.first.identity, nil, newDrawer(), nil, noon) },
	} {
		_, err := try()
		refused(t, name, err, nil)
	}
	if m, err := NewMember(good, w.first.identity, w.first.key, newDrawer(), nil, noon.Add(20*day)); err != nil {
		t.Errorf("an expired chain: %v", err)
	} else if documents, err := m.Due(noon.Add(20*day), nil); err != nil || len(documents) != 1 || !m.Admitted(noon.Add(20*day), w.first.id) {
		t.Errorf("an issuer cannot renew its own expired chain: %v", err)
	}
}

func TestMembershipFile(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "state", "membership")
	if _, err := LoadMembership(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	ms := Membership{theFederation, w.public(), w.first.chain, []string{"/ip4/192.0.2.1/tcp/4001"}}
	for range 2 {
		if err := ms.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := LoadMembership(path); err != nil || !reflect.DeepEqual(got, ms) {
		t.Errorf("%+v, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMembership(path); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("half a file: %v", err)
	}
}

func TestSummary(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	check := func(want string) {
		t.Helper()
		if got := m.Summary(noon).Sentence; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check("1 organisation (1 votes), 1 member, quorum 2: no quorum can be met, evidence of others blocks nobody")
	w.add(m, noon, w.chain(w.admit("beta", TierMember, 5)), w.chain(w.admit("gamma", TierProbation, 5)))
	check("3 organisations (2 vote), 3 members, quorum 2: one hostile organisation can block nobody; two together could; with fewer than 5 votes that is weak")
	for i := range 3 {
		p := w.admit(fmt.Sprint("org-", i), TierAnchor, 5)
		w.add(m, noon, w.chain(p), w.chain(w.node(p, noon)))
	}
	check("6 organisations (5 vote), 9 members, quorum 2: one hostile organisation can block nobody; two together could")
	w.add(m, noon, w.policy(2, func(p *Policy) { p.Quorum = 3 }))
	check("6 organisations (5 vote), 9 members, quorum 3: 2 hostile organisations together can block nobody; 3 could")
	if s := m.Summary(noon); s.Anchors != 4 || s.Withstands != 2 || s.Weak {
		t.Errorf("%+v", s)
	}
}

// With -race this shows whether a lock is missing.
func TestConcurrentUse(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	var chains [][]byte
	var reports []event.Sealed
	for i := range 8 {
		p := w.admit(fmt.Sprint("org-", i), TierMember, 2)
		chains, reports = append(chains, w.chain(p)), append(reports, w.report(p, 1, 1))
	}
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i, chain := range chains {
				if _, err := m.Add(noon, chain); err != nil {
					t.Error(err)
				}
				if err := m.Verify(noon, reports[i]); err != nil {
					t.Error(err)
				}
				m.Standing(noon, reports[i].Signer)
				m.Summary(noon)
				m.After(0, 4096)
				if worker == 0 {
					m.Sweep(noon)
				}
				if err := m.Keep(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	m := w.fresh()
	beta := w.admit("beta", TierMember, 5)
	if _, err := m.Add(noon, w.chain(beta)); err != nil {
		b.Fatal(err)
	}
	b.Run("new", func(b *testing.B) {
		key, id, err := signingKey(beta.identity)
		if err != nil {
			b.Fatal(err)
		}
		sealed := make([]event.Sealed, b.N)
		for i := range sealed {
			sealed[i] = seal(ed25519.PrivateKey(key), id, fmt.Appendf(make([]byte, 300), "%d", i))
		}
		b.ResetTimer()
		for _, s := range sealed {
			if err := m.Verify(noon, s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("known", func(b *testing.B) {
		s := w.report(beta, 1, 1)
		for b.Loop() {
			if err := m.Verify(noon, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAddChain(b *testing.B) {
	w := newWorld(b)
	m := w.fresh()
	chain := w.chain(w.admit("beta", TierMember, 5))
	for b.Loop() {
		if _, _, err := openDocument(m.root, m.name, chain); err != nil {
			b.Fatal(err)
		}
	}
}

// A node shows up at the one that certifies it when its certificate is due, and not
// before; that one has nobody to go to.
func TestCertifier(t *testing.T) {
	w := newWorld(t)
	issuer := w.first
	old, err := issuer.chain.open(w.public(), theFederation)
	if err != nil {
		t.Fatal(err)
	}
	old.Node.Issuer = true
	issuer.chain = w.issue(issuer, old.Node, noon.Add(time.Hour)) // renewed a little later than the others
	other := w.admit("beta", TierMember, 5)
	leaf := w.node(w.first, noon)
	m := w.member(leaf, newDrawer(), noon)
	w.add(m, noon.Add(time.Hour), w.chain(other), w.chain(issuer))
	due := noon.Add(7 * day * 2 / 3)
	certifier := func(what string, m *Member, now time.Time, want string, wantEnds time.Time) {
		t.Helper()
		if got, ends := m.Certifier(now); got != want || !ends.Equal(wantEnds) {
			t.Errorf("%s: %q, %s, want %q, %s", what, got, ends, want, wantEnds)
		}
	}
	never := time.Time{}
	certifier("before it is due", m, due.Add(-time.Minute), "", never)
	certifier("when it is due", m, due, issuer.id, noon.Add(7*day))
	certifier("when the one that certifies is out of date", m, due.Add(3*day), "", noon.Add(7*day))
	w.add(m, due, w.chain(w.renewed(leaf, due)))
	certifier("once it is renewed", m, due, "", never)
	certifier("the one that certifies", w.member(issuer, newDrawer(), noon.Add(time.Hour)), due.Add(day), "", never)
}

package federation

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/komondor/komondor/event"
)

// invite deposits an invitation at m.
func (w *world) invite(m *Member, organisation string, founds bool) Invitation {
	w.t.Helper()
	o, token, err := InviteNode(organisation, day, noon)
	if founds {
		o, token, err = Invite(w.root, theFederation, organisation, Terms{TierMember, 3, 90 * day}, day, noon)
	}
	if err == nil {
		err = m.Deposit(noon, o)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return Invitation{Federation: theFederation, Organisation: organisation, Founds: founds, Root: w.public(), Token: token,
		Addresses: []string{"/ip4/192.0.2.1/tcp/4001/p2p/" + m.Member()}, Expires: o.Expires}
}

// apply asks m, and returns the membership.
func apply(m *Member, inv Invitation, identity crypto.PrivKey, key ed25519.PrivateKey, now time.Time) (Membership, [][]byte, error) {
	a, err := NewApplicant(inv, identity, key)
	if err != nil {
		return Membership{}, nil, err
	}
	request, err := a.Request()
	if err != nil {
		return Membership{}, nil, err
	}
	reply, admitted, err := m.Welcome(now, a.id, request)
	if err != nil {
		return Membership{}, nil, err
	}
	if admitted {
		return Membership{}, nil, errors.New("an applicant is admitted")
	}
	return a.Accept(now, reply)
}

func TestInvitationText(t *testing.T) {
	inv := Invitation{Federation: theFederation, Organisation: "beta", Founds: true, Root: make([]byte, 32), Token: make([]byte, 16),
		Addresses: []string{"/ip4/192.0.2.1/tcp/4001"}, Expires: noon.Unix()}
	text := inv.String()
	if !IsInvitation(text) || IsInvitation(inv.Addresses[0]) || strings.ContainsAny(text, " \n=+/") {
		t.Errorf("%q is no word", text)
	}
	for _, copied := range []string{text, "  " + text + "\n", text[:40] + "\r\n " + text[40:]} {
		if got, err := ParseInvitation(copied); err != nil || !reflect.DeepEqual(got, inv) {
			t.Errorf("%q: %+v, %v", copied, got, err)
		}
	}
	if inv.Expired(noon.Add(-time.Second)) || !inv.Expired(noon) {
		t.Error("it expires at another time")
	}
	flipped := []byte(text)
	flipped[60] = map[bool]byte{true: 'B', false: 'A'}[flipped[60] == 'A']
	noAddress := inv
	noAddress.Addresses = nil
	for _, c := range []struct{ text, says string }{
		{"", "does not begin"},
		{"/ip4/192.0.2.1/tcp/4001", "does not begin"},
		{invitationPrefix, "truncated"},
		{text[:len(text)-1], "truncated"},
		{text[:len(text)/2], "truncated"},
		{text + text[20:40], "goes on"},
		{string(flipped), "checksum"},
		{text[:50] + "ä" + text[50:], "damaged at character 51"},
		{strings.Repeat(text, 40), "characters are over"},
		{noAddress.String(), "addresses"},
	} {
		if _, err := ParseInvitation(c.text); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80q: %v, want %q", c.text, err, c.says)
		}
	}
	for cut := range text {
		if _, err := ParseInvitation(text[:cut]); err == nil {
			t.Errorf("the first %d characters are an invitation", cut)
		}
	}
}

func TestNewOrganisationJoins(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	inv := w.invite(m, "beta", true)
	identity, key := newIdentity(t), newKey(t)
	ms, documents, err := apply(m, inv, identity, key, noon)
	if err != nil {
		t.Fatal(err)
	}
	n, a, err := ms.Chain.Check(w.public(), theFederation, noon)
	if err != nil || !n.Issuer || a.Organisation != "beta" || a.Tier != TierMember || a.Quota != 3 || ms.Bootstrap[0] != inv.Addresses[0] {
		t.Errorf("%+v, %+v, %v", n, a, err)
	}
	b, err := NewMember(ms, identity, key, newDrawer(), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	w.add(b, noon, documents...)
	if _, err := b.Fresh(noon); err != nil || b.Policy().Version != 1 {
		t.Errorf("what a new member needs has not come with its certificate: %v, policy %d", err, b.Policy().Version)
	}
	reply, admitted, err := m.Welcome(noon, b.Member(), b.Hello())
	if err != nil || !admitted {
		t.Fatalf("the new member is not welcome: %v", err)
	}
	if err := b.Meet(noon, m.Member(), reply); err != nil {
		t.Fatal(err)
	}
	if !m.Votes(noon, b.Member()) || !b.Votes(noon, m.Member()) {
		t.Error("the members do not count each other's votes")
	}
}

func TestFurtherNodeJoins(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	identity := newIdentity(t)
	inv := w.invite(m, "alpha", false)
	ms, _, err := apply(m, inv, identity, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := ms.Chain.Check(w.public(), theFederation, noon)
	if err != nil || n.Issuer || n.Organisation != "alpha" || !m.Admitted(noon, n.ID) {
		t.Errorf("%+v, %v", n, err)
	}
	if again, _, err := apply(m, inv, identity, nil, noon); err != nil || !reflect.DeepEqual(again, ms) {
		t.Errorf("the answer was lost, and the second differs: %v", err)
	}
}

func TestRedemptionIsOneTime(t *testing.T) {
	w := newWorld(t)
	keep := newDrawer()
	m := w.member(w.first, keep, noon)
	inv := w.invite(m, "beta", true)
	identity, key := newIdentity(t), newKey(t)
	first, _, err := apply(m, inv, identity, key, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			m = w.member(w.first, keep, noon)
		}
		again, _, err := apply(m, inv, identity, key, noon)
		if err != nil || !reflect.DeepEqual(again.Chain.Organisation, first.Chain.Organisation) {
			t.Errorf("restarted %v: the same node and key again: %v", restarted, err)
		}
		for name, stolen := range map[string]struct {
			identity crypto.PrivKey
			key      ed25519.PrivateKey
		}{"another node": {newIdentity(t), key}, "another key": {identity, newKey(t)}, "both others": {newIdentity(t), newKey(t)}} {
			if _, _, err := apply(m, inv, stolen.identity, stolen.key, noon); err == nil || !strings.Contains(err.Error(), "redeemed by another") {
				t.Errorf("restarted %v: %s: %v", restarted, name, err)
			}
		}
	}
	for key, record := range keep.records {
		if bytes.Contains(record, inv.Token) {
			t.Errorf("the token is in record %q", key)
		}
	}
}

// One organisation has one key, however often it is invited, until the root takes that away.
func TestOneKeyAnOrganisation(t *testing.T) {
	w := newWorld(t)
	keep := newDrawer()
	m := w.member(w.first, keep, noon)
	w.add(m, noon, w.documents...)
	elsewhere := w.member(w.node(w.first, noon), newDrawer(), noon)
	w.add(elsewhere, noon, w.documents...)
	old, replaced := w.invite(elsewhere, "beta", true), w.invite(m, "beta", true)
	for range 2 {
		w.invite(m, "alpha", false) // which replaces nothing
	}
	newest := w.invite(m, "beta", true)
	apply := func(at *Member, inv Invitation, identity crypto.PrivKey, key ed25519.PrivateKey) error {
		_, _, err := apply(at, inv, identity, key, noon)
		return err
	}
	wants := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	identity, key := newIdentity(t), newKey(t)
	wants("one that was replaced", apply(m, replaced, newIdentity(t), newKey(t)), "invited once more")
	m = w.member(w.first, keep, noon) // as after a restart
	w.add(m, noon, w.documents...)
	wants("one that was replaced before a restart", apply(m, replaced, newIdentity(t), newKey(t)), "invited once more")
	if err := apply(m, newest, identity, key); err != nil {
		t.Fatal(err)
	}
	again := w.invite(m, "beta", true) // before the new member has shown itself
	wants("another key", apply(m, again, newIdentity(t), newKey(t)), "organisation beta is admitted already")
	if err := apply(m, newest, identity, key); err != nil {
		t.Errorf("the answer was lost: %v", err)
	}
	if err := apply(m, again, newIdentity(t), key); err != nil {
		t.Errorf("the same key again: %v", err)
	}
	certificate, admission, ok := m.Certificate("beta")
	if !ok {
		t.Fatal("the organisation is not known where it was certified")
	}
	w.add(elsewhere, noon, w.document(KindOrganisation, certificate))
	wants("elsewhere", apply(elsewhere, old, newIdentity(t), newKey(t)), "organisation beta is admitted already")
	w.add(elsewhere, noon, w.revoke(2, noon, Entry{Serial: admission.Serial, Key: Fingerprint(publicOf(key))}))
	if err := apply(elsewhere, old, newIdentity(t), newKey(t)); err != nil {
		t.Errorf("a new key after the revocation: %v", err)
	}
}

func TestRedemptionRefuses(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	inv := w.invite(m, "beta", true)
	identity, key := newIdentity(t), newKey(t)
	wrong := inv
	wrong.Token = bytes.Clone(inv.Token)
	wrong.Token[15] ^= 1
	if _, _, err := apply(m, wrong, identity, key, noon); !errors.Is(err, errToken) {
		t.Errorf("a wrong token: %v", err)
	}
	_, _, err := apply(m, inv, identity, key, noon.Add(day))
	if err == nil || !strings.Contains(err.Error(), "expired on 2026-11-23") {
		t.Errorf("too late: %v", err)
	}
	node := inv
	node.Founds = false
	if _, _, err := apply(m, node, identity, nil, noon); err == nil || !strings.Contains(err.Error(), "new organisation") {
		t.Errorf("a node's request for a new organisation: %v", err)
	}
	if _, err := NewApplicant(inv, identity, nil); err == nil {
		t.Error("a new organisation without a key")
	}
	a, err := NewApplicant(inv, identity, key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := a.Request()
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, _ := signingKey(newIdentity(t))
	if reply, _, err := m.Welcome(noon, stranger, request); err != nil || !bytes.Contains(reply, []byte("consent")) {
		t.Errorf("a request carried by another node: %q, %v", reply, err)
	}
	other := inv
	other.Root = publicOf(newKey(t))
	if _, _, err := apply(m, other, identity, key, noon); !errors.Is(err, ErrSignature) {
		t.Errorf("another root than the invitation's: %v", err)
	}
	renamed := w.invite(m, "gamma", true)
	renamed.Organisation = "delta"
	if _, _, err := apply(m, renamed, identity, key, noon); err == nil {
		t.Error("another organisation than the invitation's")
	}

	before := w.node(w.admit("beta", TierMember, 5), noon) // a hostile inviter answers with a certificate of another time
	a, err = NewApplicant(w.invite(m, "alpha", false), before.identity, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]party{"of another organisation": before, "of another node": w.first} {
		reply, err := event.Encode(answer{Certificates: certificates{p.chain.Organisation, &p.chain.Node}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.Accept(noon, reply); err == nil || !strings.Contains(err.Error(), "it is for node") {
			t.Errorf("a certificate %s: %v", name, err)
		}
	}

	disk := newDrawer()
	m = w.member(w.first, disk, noon)
	inv = w.invite(m, "beta", true)
	disk.full = errors.New("no space left")
	if _, _, err := apply(m, inv, identity, key, noon); !errors.Is(err, disk.full) {
		t.Errorf("an answer that could not be kept was given: %v", err)
	}
	disk.full = nil
	if _, _, err := apply(m, inv, newIdentity(t), newKey(t), noon); err != nil {
		t.Errorf("an invitation that nobody got an answer to is used up: %v", err)
	}
}

func TestDepositRefuses(t *testing.T) {
	w := newWorld(t)
	m := w.fresh()
	plain, err := NewMember(Membership{Federation: theFederation, Root: w.public(), Chain: w.first.chain}, w.first.identity, nil, newDrawer(), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	node, _, err := InviteNode("alpha", day, noon)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := InviteNode("beta", day, noon)
	if err != nil {
		t.Fatal(err)
	}
	forged, _, err := Invite(newKey(t), theFederation, "beta", Terms{TierMember, 1, day}, day, noon)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, _, err := Invite(w.root, "other", "beta", Terms{TierMember, 1, day}, day, noon)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"no organisation's key":   plain.Deposit(noon, node),
		"of another organisation": m.Deposit(noon, foreign),
		"by another root":         m.Deposit(noon, forged),
		"of another federation":   m.Deposit(noon, elsewhere),
		"too late":                m.Deposit(noon.Add(2*day), node),
	} {
		refused(t, name, err, nil)
	}
	if err := m.Deposit(noon, node); err != nil {
		t.Error(err)
	}
	refused(t, "the same twice", m.Deposit(noon, node), nil)
	for name, terms := range map[string]Terms{"tier": {"king", 1, day}, "quota": {TierMember, 0, day}, "validity": {TierMember, 1, 800 * day}} {
		if _, _, err := Invite(w.root, theFederation, "beta", terms, day, noon); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzInvitation(f *testing.F) {
	inv := Invitation{Federation: theFederation, Organisation: "beta", Root: make([]byte, 32), Token: make([]byte, 16), Addresses: []string{"/ip4/192.0.2.1/tcp/1"}}
	f.Add(inv.String())
	f.Fuzz(func(t *testing.T, text string) {
		inv, err := ParseInvitation(text)
		if err != nil {
			return
		}
		if again, err := ParseInvitation(inv.String()); err != nil || !reflect.DeepEqual(again, inv) {
			t.Errorf("%+v comes back as %+v, %v", inv, again, err)
		}
	})
}

func FuzzWelcome(f *testing.F) {
	w := newWorld(f)
	m := w.fresh()
	inv := w.invite(m, "beta", true)
	identity := newIdentity(f)
	_, id, _ := signingKey(identity)
	a, err := NewApplicant(inv, identity, newKey(f))
	if err != nil {
		f.Fatal(err)
	}
	request, err := a.Request()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request)
	f.Add(m.Hello())
	f.Fuzz(func(t *testing.T, said []byte) {
		reply, admitted, err := m.Welcome(noon, id, said)
		if admitted || err != nil && reply != nil {
			t.Errorf("admitted %v, %d bytes of answer, %v", admitted, len(reply), err)
		}
	})
}

func FuzzAccept(f *testing.F) {
	inv := Invitation{Federation: theFederation, Organisation: "beta", Root: make([]byte, 32), Token: make([]byte, 16), Addresses: []string{"/ip4/192.0.2.1/tcp/1"}}
	a, err := NewApplicant(inv, newIdentity(f), nil)
	if err != nil {
		f.Fatal(err)
	}
	w := newWorld(f)
	reply, err := event.Encode(answer{Certificates: certificates{w.first.by.form, &w.first.chain.Node}, Documents: w.documents})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reply)
	f.Fuzz(func(t *testing.T, reply []byte) {
		if ms, _, err := a.Accept(noon, reply); err == nil {
			t.Errorf("a membership by no root: %+v", ms)
		}
	})
}

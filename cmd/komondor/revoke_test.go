package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/federation"
)

const lab = "lab.example"

// desk is a node as the commands see it: all but its membership is missing.
type desk struct {
	control.Node
	member *federation.Member
}

func (d desk) Status() control.Status {
	return control.Status{Federation: control.Federation{Name: lab, Organisation: d.member.Organisation(d.member.Member())}}
}

func (d desk) Members() (all []control.Member, err error) {
	for _, m := range d.member.Members(time.Now()) {
		all = append(all, control.Member{ID: m.ID, Organisation: m.Organisation, Serial: m.Serial})
	}
	return all, nil
}

func (d desk) Revocations() (json.RawMessage, error) { return json.Marshal(d.member.Revocations()) }

func (d desk) Organisation(name string) (json.RawMessage, error) {
	certificate, admission, ok := d.member.Certificate(name)
	if !ok {
		return nil, errors.New("unknown")
	}
	return json.Marshal(certified{certificate, admission})
}

func (d desk) Submit(_ context.Context, document []byte) error {
	effect, err := d.member.Add(time.Now(), document)
	if err == nil && !effect.News {
		err = errors.New("nothing new")
	}
	return err
}

// forgetful keeps nothing.
type forgetful struct{}

func (forgetful) Put(map[string][]byte) error           { return nil }
func (forgetful) Delete(...string) error                { return nil }
func (forgetful) Each(func(string, []byte) error) error { return nil }

// bench makes nodes of one federation.
type bench struct {
	t       *testing.T
	founded federation.Foundation
	first   *federation.Member // of the anchor "alpha"
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t}
	identity, _ := b.identity()
	var err error
	b.founded, err = federation.Found(time.Now(), lab, "alpha", identity)
	b.check(err)
	b.first, err = federation.NewMember(b.founded.Membership, identity, b.founded.Organisation, forgetful{}, nil, time.Now())
	b.check(err)
	b.tell(b.first, b.founded.Documents...)
	return b
}

func (b *bench) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) identity() (crypto.PrivKey, string) {
	b.t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	b.check(err)
	id, err := peer.IDFromPrivateKey(key)
	b.check(err)
	return key, id.String()
}

func (b *bench) tell(m *federation.Member, documents ...[]byte) {
	b.t.Helper()
	for _, d := range documents {
		_, err := m.Add(time.Now(), d)
		b.check(err)
	}
}

// join redeems an offer at a member, and runs the new node; the key is that of
// the organisation which it founds, if it does.
func (b *bench) join(at *federation.Member, o federation.Offer, token []byte, key ed25519.PrivateKey) *federation.Member {
	b.t.Helper()
	now := time.Now()
	b.check(at.Deposit(now, o))
	identity, id := b.identity()
	applicant, err := federation.NewApplicant(federation.Invitation{Federation: lab, Organisation: o.Organisation, Founds: key != nil, Root: b.founded.Membership.Root,
		Token: token, Addresses: []string{"/ip4/192.0.2.1/tcp/4001"}, Expires: o.Expires}, identity, key)
	b.check(err)
	request, err := applicant.Request()
	b.check(err)
	reply, _, err := at.Welcome(now, id, request)
	b.check(err)
	ms, documents, err := applicant.Accept(now, reply)
	b.check(err)
	m, err := federation.NewMember(ms, identity, key, forgetful{}, nil, now)
	b.check(err)
	b.tell(m, documents...)
	return m
}

// serve has the first node answer commands, and returns where.
func (b *bench) serve() *place {
	b.t.Helper()
	at := &place{data: b.t.TempDir()}
	l, err := control.Listen(at.socket())
	b.check(err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- control.Serve(ctx, l, control.Local(desk{member: b.first})) }()
	b.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.check(federation.SaveKey(filepath.Join(at.data, "root.key"), b.founded.Root, ""))
	b.check(federation.SaveKey(filepath.Join(at.data, "organisation.key"), b.founded.Organisation, ""))
	return at
}

// An organisation has a certificate for each renewal. All of them have to end.
func TestRevokeAnOrganisationThatWasRenewed(t *testing.T) {
	b := newBench(t)
	terms := federation.Terms{Tier: federation.TierMember, Quota: 5, Validity: 90 * 24 * time.Hour}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	b.check(err)
	o, token, err := federation.Invite(b.founded.Root, lab, "beta", terms, time.Hour, time.Now())
	b.check(err)
	beta := b.join(b.first, o, token, key)
	further := func() *federation.Member {
		t.Helper()
		o, token, err := federation.InviteNode("beta", time.Hour, time.Now())
		b.check(err)
		m := b.join(beta, o, token, nil)
		b.tell(b.first, m.Hello())
		return m
	}
	b.tell(b.first, beta.Hello())
	present, _, _ := b.first.Certificate("beta")
	renewed, err := federation.RenewOrganisation(b.founded.Root, present, terms, time.Now().Add(time.Second))
	b.check(err)
	b.tell(b.first, renewed)
	b.tell(beta, renewed)
	second := further()
	if old, new := beta.Membership().Chain, second.Membership().Chain; bytes.Equal(old.Organisation.Admission.Body, new.Organisation.Admission.Body) {
		t.Fatal("the test's nodes are under one admission")
	}

	_, err = revoke(t.Context(), b.serve(), &keys{}, "beta", "left")
	b.check(err)
	third := further() // beta has not heard of it yet
	for name, m := range map[string]*federation.Member{"under the old admission": beta, "under the new one": second, "certified after that": third} {
		if err := b.first.Refused(time.Now(), m.Member()); !errors.Is(err, federation.ErrRevoked) {
			t.Errorf("a node %s: %v", name, err)
		}
	}
	documents, _ := b.first.After(0, federation.MaxDocument)
	for _, d := range documents {
		_, err := beta.Add(time.Now(), d)
		b.check(err)
	}
	if _, err := beta.Due(time.Now(), nil); !errors.Is(err, federation.ErrRevoked) {
		t.Errorf("the organisation's key still has something to sign: %v", err)
	}
}

func TestRevokeANode(t *testing.T) {
	b := newBench(t)
	at := b.serve()
	for number := range uint64(2) {
		o, token, err := federation.InviteNode("alpha", time.Hour, time.Now())
		b.check(err)
		node := b.join(b.first, o, token, nil)
		_, err = revoke(t.Context(), at, &keys{}, node.Member(), "stolen")
		b.check(err)
		if err := b.first.Refused(time.Now(), node.Member()); !errors.Is(err, federation.ErrRevoked) {
			t.Error(err)
		}
		list, ok := federation.Latest(b.first.Revocations(), public(b.founded.Organisation))
		if !ok || list.Number != number+1 || len(list.Entries) != int(number)+1 {
			t.Errorf("the organisation's list is %+v", list)
		}
	}
}

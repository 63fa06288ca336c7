package federation

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/komondor/komondor/event"
)

// drawer is a Keeper in memory.
type drawer struct {
	mu      sync.Mutex
	records map[string][]byte
	full    error // what Put says
}

func newDrawer() *drawer { return &drawer{records: map[string][]byte{}} }

func (d *drawer) Put(records map[string][]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full == nil {
		maps.Copy(d.records, records)
	}
	return d.full
}

func (d *drawer) Delete(keys ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range keys {
		delete(d.records, k)
	}
	return nil
}

func (d *drawer) Each(fn func(string, []byte) error) error {
	for k, v := range d.records {
		if err := fn(k, v); err != nil {
			return err
		}
	}
	return nil
}

// noon is the time at which the tests' federation is founded.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const theFederation = "lab.example"

// world is a federation with all its keys in one hand.
type world struct {
	t         testing.TB
	root      ed25519.PrivateKey
	documents [][]byte // policy 1 and list 1
	first     party    // of the anchor "alpha"
}

// party is an organisation's key and certificate, and one node of it.
type party struct {
	key      ed25519.PrivateKey
	by       charter
	identity crypto.PrivKey
	id       string
	chain    Chain
}

func newIdentity(t testing.TB) crypto.PrivKey {
	t.Helper()
	identity, err := crypto.UnmarshalEd25519PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func newWorld(t testing.TB) *world {
	t.Helper()
	identity := newIdentity(t)
	f, err := Found(noon, theFederation, "alpha", identity)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, root: f.Root, documents: f.Documents}
	by, err := f.Membership.Chain.Organisation.open(w.public(), theFederation)
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := signingKey(identity)
	w.first = party{f.Organisation, by, identity, id, f.Membership.Chain}
	return w
}

func (w *world) public() ed25519.PublicKey { return publicOf(w.root) }

// admit makes an organisation with one node.
func (w *world) admit(name string, tier Tier, quota int) party {
	w.t.Helper()
	key := newKey(w.t)
	by, err := Terms{tier, quota, 365 * day}.charter(w.root, theFederation, name, publicOf(key), noon)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.node(party{key: key, by: by}, noon)
}

// node makes a further node of an organisation.
func (w *world) node(of party, now time.Time) party {
	w.t.Helper()
	of.identity = newIdentity(w.t)
	key, id, err := signingKey(of.identity)
	if err != nil {
		w.t.Fatal(err)
	}
	of.id = id
	own, err := consents(key, theFederation, of.by.Organisation, id)
	if err != nil {
		w.t.Fatal(err)
	}
	of.chain = w.issue(of, Node{ID: id, Consent: own}, now)
	return of
}

func (w *world) issue(of party, n Node, now time.Time) Chain {
	w.t.Helper()
	chain, err := of.by.issue(of.key, n, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return chain
}

// renewed is another certificate of the party's node.
func (w *world) renewed(p party, now time.Time) party {
	w.t.Helper()
	old, err := p.chain.open(w.public(), theFederation)
	if err != nil {
		w.t.Fatal(err)
	}
	p.chain = w.issue(p, old.Node, now)
	return p
}

// member runs a party's node, as an issuer.
func (w *world) member(p party, keep Keeper, now time.Time) *Member {
	w.t.Helper()
	ms := Membership{Federation: theFederation, Root: w.public(), Chain: p.chain}
	m, err := NewMember(ms, p.identity, p.key, keep, nil, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// fresh is the first node with the federation's first documents.
func (w *world) fresh() *Member {
	w.t.Helper()
	m := w.member(w.first, newDrawer(), noon)
	w.add(m, noon, w.documents...)
	return m
}

func (w *world) add(m *Member, now time.Time, documents ...[]byte) (last Effect) {
	w.t.Helper()
	for _, d := range documents {
		var err error
		if last, err = m.Add(now, d); err != nil {
			w.t.Fatal(err)
		}
	}
	return last
}

func (w *world) document(kind Kind, v any) []byte {
	w.t.Helper()
	d, err := encodeDocument(kind, v)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) chain(p party) []byte { return w.document(KindChain, p.chain) }

// explain fills in what a test has nothing to say on. A key that it leaves out is
// nobody's.
func explain(entries []Entry, reason string) {
	for i := range entries {
		e := &entries[i]
		e.What, e.Reason, e.At = "test", reason, noon.Unix()
		if e.Key == "" {
			e.Key = fmt.Sprintf("nobody's key %d", e.Serial)
		}
	}
}

// revoke is the root's list of that number.
func (w *world) revoke(number uint64, now time.Time, entries ...Entry) []byte {
	w.t.Helper()
	explain(entries, "stolen")
	d, err := SignRevocations(w.root, RevocationList{theFederation, "", number, now.Unix(), entries})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// revokeOwn is a list of the party's organisation.
func (w *world) revokeOwn(by party, number uint64, entries ...Entry) []byte {
	w.t.Helper()
	explain(entries, "lost")
	d, err := SignOwnRevocations(by.key, by.by.form, RevocationList{theFederation, by.by.Organisation, number, noon.Unix(), entries})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) freshness(by party, number uint64, now time.Time) []byte {
	w.t.Helper()
	d, err := signFreshness(by.key, by.by, number, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// policy is the federation's first one, changed.
func (w *world) policy(version uint64, change func(*Policy)) []byte {
	w.t.Helper()
	p := Policy{Federation: theFederation, Version: version, Issued: noon.Unix(), Seed: bytes.Repeat([]byte{byte(version)}, 32), Quorum: 2}
	if change != nil {
		change(&p)
	}
	d, err := SignPolicy(w.root, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// report is a sealed report of the party's node with n observations.
func (w *world) report(p party, version uint64, n uint32) event.Sealed {
	w.t.Helper()
	body, err := event.Encode(event.Report{Federation: theFederation, Member: p.id, Key: event.Key{Selector: event.BySource, Value: "203.0.113.66"},
		Version: version, Tallies: []event.Tally{{Kind: event.SSHUserInvalid, First: noon.Unix(), Last: noon.Unix(), Proven: n}}})
	if err != nil {
		w.t.Fatal(err)
	}
	key, id, err := signingKey(p.identity)
	if err != nil {
		w.t.Fatal(err)
	}
	return seal(key, id, body)
}

func (w *world) fault(m *Member, p party) []byte {
	w.t.Helper()
	d, err := m.Fault(w.report(p, 7, 1), w.report(p, 7, 2))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// refused checks for a sentinel (nil: any error).
func refused(t testing.TB, what string, err, want error) {
	t.Helper()
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

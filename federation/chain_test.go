package federation

import (
	"bytes"
	"crypto/ed25519"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
)

func TestChainVerifies(t *testing.T) {
	w := newWorld(t)
	n, a, err := w.first.chain.Check(w.public(), theFederation, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if n.ID != w.first.id || !n.Issuer || n.Since != noon.Unix() || n.NotAfter != noon.Add(7*day).Unix() || a.Organisation != "alpha" || a.Tier != TierAnchor {
		t.Errorf("%+v of %+v", n, a)
	}
	data, err := event.Encode(w.first.chain)
	if err != nil || len(data) > maxCertificate {
		t.Errorf("a chain takes %d bytes, %v: want less than a certificate's bound", len(data), err)
	}
	if _, _, err := w.first.chain.Check(w.public(), theFederation, noon.Add(-skew)); err != nil {
		t.Errorf("a clock that is two minutes late: %v", err)
	}
}

func TestChainRefuses(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierMember, 2)
	node, err := w.first.chain.open(w.public(), theFederation)
	if err != nil {
		t.Fatal(err)
	}
	// signed changes the node's certificate, and has alpha sign that.
	signed := func(change func(*Node)) Chain {
		n := node.Node
		change(&n)
		c := w.first.chain
		if c.Node, err = nodeDomain.sign(w.first.key, n); err != nil {
			t.Fatal(err)
		}
		return c
	}
	// admitted changes the admission, and has the root sign that.
	admitted := func(change func(*Admission)) Chain {
		a := w.first.by.Admission
		delegate := newKey(t)
		a.Delegate = publicOf(delegate)
		change(&a)
		c := w.first.chain
		if c.Organisation.Admission, err = admissionDomain.sign(w.root, a); err != nil {
			t.Fatal(err)
		}
		if c.Organisation.Grant, err = grantDomain.sign(delegate, Grant{w.first.by.Serial, publicOf(w.first.key)}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, _, err := admitted(func(*Admission) {}).Check(w.public(), theFederation, noon); err != nil {
		t.Fatalf("the test's own certificates: %v", err)
	}
	mixed := beta.chain
	mixed.Node = w.first.chain.Node
	swapped := w.first.chain
	swapped.Organisation.Grant = beta.chain.Organisation.Grant
	otherDomain := w.first.chain
	otherDomain.Node.Signature = ed25519.Sign(w.first.key, freshnessDomain.over(otherDomain.Node.Body))
	padded := w.first.chain
	padded.Node.Body = append(bytes.Clone(padded.Node.Body), 0)
	padded.Node.Signature = ed25519.Sign(w.first.key, nodeDomain.over(padded.Node.Body))
	late := noon.Add(8 * day)
	for _, c := range []struct {
		name  string
		chain Chain
		root  ed25519.PublicKey
		name2 string
		now   time.Time
		is    error
		says  string
	}{
		{"wrong root", w.first.chain, publicOf(newKey(t)), theFederation, noon, ErrSignature, "of this federation"},
		{"root of no length", w.first.chain, w.public()[:31], theFederation, noon, nil, "31 bytes"},
		{"other federation", w.first.chain, w.public(), "other", noon, nil, `this is "other"`},
		{"expired", w.first.chain, w.public(), theFederation, late, ErrExpired, "check the clock (here it is 2026-11-30T12:00:00Z)"},
		{"not yet", w.first.chain, w.public(), theFederation, noon.Add(-skew - time.Second), ErrEarly, "check the clock"},
		{"another's organisation", mixed, w.public(), theFederation, noon, ErrSignature, "beta"},
		{"another's grant", swapped, w.public(), theFederation, noon, ErrSignature, "grant"},
		{"another domain", otherDomain, w.public(), theFederation, noon, ErrSignature, "node"},
		{"trailing byte", padded, w.public(), theFederation, noon, nil, ""},
		{"second form", malleable(w.first.chain), w.public(), theFederation, noon, ErrSignature, "node"},
		{"nothing", Chain{}, w.public(), theFederation, noon, ErrSignature, "admission"},
		{"another's node", signed(func(n *Node) { n.ID = beta.id }), w.public(), theFederation, noon, ErrSignature, "consent"},
		{"id in another spelling", signed(func(n *Node) { n.ID = " " + n.ID }), w.public(), theFederation, noon, nil, "node id"},
		{"federation by the organisation", signed(func(n *Node) { n.Federation = "other" }), w.public(), theFederation, noon, nil, "federation"},
		{"organisation by another", signed(func(n *Node) { n.Organisation = "beta" }), w.public(), theFederation, noon, nil, "signed by"},
		{"eight days", signed(func(n *Node) { n.NotAfter += 86400 }), w.public(), theFederation, noon, nil, "at most 7 days"},
		{"before the organisation", signed(func(n *Node) { n.NotBefore--; n.Since-- }), w.public(), theFederation, noon, nil, "its organisation's"},
		{"since later", signed(func(n *Node) { n.Since++ }), w.public(), theFederation, noon, nil, "since"},
		{"no serial", signed(func(n *Node) { n.Serial = 0 }), w.public(), theFederation, noon, nil, "serial"},
		{"large certificate", signed(func(n *Node) { n.Consent = make([]byte, 2000) }), w.public(), theFederation, noon, nil, "1024 bytes"},
		{"unknown tier", admitted(func(a *Admission) { a.Tier = "king" }), w.public(), theFederation, noon, nil, "tier"},
		{"no quota", admitted(func(a *Admission) { a.Quota = 0 }), w.public(), theFederation, noon, nil, "quota"},
		{"large quota", admitted(func(a *Admission) { a.Quota = 1001 }), w.public(), theFederation, noon, nil, "quota"},
		{"two years", admitted(func(a *Admission) { a.NotAfter += 365 * 86400 }), w.public(), theFederation, noon, nil, "366 days"},
		{"name with a space", admitted(func(a *Admission) { a.Organisation = "al pha" }), w.public(), theFederation, noon, nil, "lower case"},
		{"name with capitals", admitted(func(a *Admission) { a.Organisation = "Alpha" }), w.public(), theFederation, noon, nil, "lower case"},
		{"grant of another admission", admitted(func(a *Admission) { a.Serial++ }), w.public(), theFederation, noon, nil, "for admission"},
	} {
		_, _, err := c.chain.Check(c.root, c.name2, c.now)
		refused(t, c.name, err, c.is)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", c.name, err, c.says)
		}
	}
}

// malleable writes the node's signature in the second form that it has where a
// verifier does not insist on S below the order of the group.
func malleable(c Chain) Chain {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(c.Node.Signature[32:])
	slices.Reverse(s)
	s = new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	c.Node.Signature = slices.Concat(c.Node.Signature[:32], s)
	return c
}

func TestFingerprint(t *testing.T) {
	key := bytes.Repeat([]byte{0xff, 0}, 16)
	text := Fingerprint(key)
	back, err := base32Lower.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || !bytes.Equal(back, key) || len(strings.Split(text, "-")) != 13 {
		t.Errorf("%s stands for %x, %v", text, back, err)
	}
}

func TestRenewOrganisation(t *testing.T) {
	w := newWorld(t)
	beta := w.admit("beta", TierProbation, 1)
	m := w.fresh()
	w.add(m, noon, w.chain(beta))
	if m.Votes(noon, beta.id) {
		t.Error("probation votes")
	}
	later := noon.Add(time.Hour)
	held, _, ok := m.Certificate("beta")
	if !ok {
		t.Fatal("no certificate of beta")
	}
	d, err := RenewOrganisation(w.root, held, Terms{TierMember, 5, 90 * day}, later)
	if err != nil {
		t.Fatal(err)
	}
	w.add(m, later, d)
	if _, a, _ := m.Certificate("beta"); a.Quota != 5 || a.NotAfter != later.Add(90*day).Unix() {
		t.Errorf("renewed to %+v", a)
	}
	if !m.Votes(later, beta.id) {
		t.Error("a member's vote does not count after its promotion")
	}
	_, err = RenewOrganisation(newKey(t), held, Terms{TierMember, 5, 90 * day}, later)
	refused(t, "renewal with another key", err, ErrSignature)
}

// fuzzSign signs whatever it gets: what lies behind a signature is hostile too.
func fuzzSign(d domain, key ed25519.PrivateKey, body []byte) Signed {
	return Signed{body, ed25519.Sign(key, d.over(body))}
}

// FuzzChain has everybody sign what they should not.
func FuzzChain(f *testing.F) {
	w := newWorld(f)
	delegate := newKey(f)
	a := w.first.by.Admission
	a.Delegate = publicOf(delegate)
	admission, err := event.Encode(a)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(admission, w.first.chain.Organisation.Grant.Body, w.first.chain.Node.Body)
	f.Fuzz(func(t *testing.T, admission, grant, node []byte) {
		c := Chain{
			Organisation: Organisation{fuzzSign(admissionDomain, w.root, admission), fuzzSign(grantDomain, delegate, grant)},
			Node:         fuzzSign(nodeDomain, w.first.key, node),
		}
		p, err := c.open(w.public(), theFederation)
		if err != nil {
			return
		}
		if p.ID != w.first.id || p.Federation != theFederation || p.Node.Organisation != p.by.Organisation || p.NotAfter-p.NotBefore > 7*86400 {
			t.Errorf("taken: %+v of %+v", p.Node, p.by.Admission)
		}
	})
}

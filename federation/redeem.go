package federation

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
)

// redemption is what an applicant says.
type redemption struct {
	Token   []byte `cbor:"1,keyasint"`
	Key     []byte `cbor:"2,keyasint,omitempty"` // of a new organisation
	Consent []byte `cbor:"3,keyasint"`           // see Node.Consent
}

// certificates are what an applicant gets: its organisation's, and for a further
// node of an organisation its own.
type certificates struct {
	Organisation Organisation `cbor:"1,keyasint"`
	Node         *Signed      `cbor:"2,keyasint,omitempty"`
}

// answer is the reply to a redemption.
type answer struct {
	Refusal      string       `cbor:"1,keyasint,omitempty"`
	Certificates certificates `cbor:"2,keyasint,omitzero"`
	// Documents are the root's list and the policy, where they find room.
	Documents [][]byte `cbor:"3,keyasint,omitempty"`
}

var errToken = errors.New("no such invitation here")

// redeem answers a redemption. Whoever has no token gets nothing; whoever has
// one is told what is wrong.
func (m *Member) redeem(now time.Time, from string, data []byte) ([]byte, error) {
	var r redemption
	if err := decodeExact(data, &r); err != nil {
		return nil, err
	}
	if len(r.Token) != tokenSize {
		return nil, errToken
	}
	m.desk.mu.Lock()
	defer m.desk.mu.Unlock()
	d, ok := m.desk.find(r.Token)
	if !ok {
		return nil, errToken
	}
	if d.Replaced {
		return event.Encode(answer{Refusal: fmt.Sprintf("organisation %s was invited once more, and that invitation holds in the place of this one: ask for it", d.Offer.Organisation)})
	}
	if d.By == "" {
		given, err := m.certify(now, d.Offer, from, r)
		if err != nil {
			return event.Encode(answer{Refusal: err.Error()})
		}
		d.By, d.Key, d.Given = from, r.Key, given
		d.close()
		if err := m.file(d); err != nil {
			return nil, err
		}
		if d.Offer.founds() {
			err = m.enter(now, given.Organisation)
		}
		if err != nil {
			return nil, err
		}
	}
	if !d.redeemedBy(from, r.Key) {
		return event.Encode(answer{Refusal: "this invitation was redeemed by another node: ask for a new one, and tell who invited you"})
	}
	return m.answer(d.Given)
}

// certify makes what the applicant asks for.
func (m *Member) certify(now time.Time, o Offer, id string, r redemption) (certificates, error) {
	if err := m.mayRedeem(now, o); err != nil {
		return certificates{}, err
	}
	key, err := nodeKey(id)
	if err != nil {
		return certificates{}, err
	}
	if err := checkConsent(key, r.Consent, m.name, o.Organisation, id); err != nil {
		return certificates{}, err
	}
	if !o.founds() {
		return m.certifyNode(now, id, r)
	}
	if len(r.Key) != ed25519.PublicKeySize {
		return certificates{}, errors.New("the invitation is for a new organisation: an organisation's key is needed")
	}
	if m.hasOtherKey(now, o.Organisation, r.Key) {
		return certificates{}, fmt.Errorf("organisation %s is admitted already, with a key of its own: a further node of it is invited on its first node; "+
			"if the key is lost there, the root revokes the organisation before it invites it anew", o.Organisation)
	}
	by, err := grant(m.root, m.name, *o.Admission, o.Delegate, r.Key)
	if err != nil {
		return certificates{}, err
	}
	return certificates{Organisation: by.form}, nil
}

// hasOtherKey says that the organisation is a member's by another key.
func (m *Member) hasOtherKey(now time.Time, organisation string, key []byte) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, known := m.organisations[organisation]
	_, revoked := m.revokedOrganisation(c)
	return known && !revoked && now.Unix() < c.ends() && !bytes.Equal(c.key, key)
}

// enter takes an organisation in before its first node comes: others may have
// invitations for it, and must not get another key.
func (m *Member) enter(now time.Time, o Organisation) error {
	document, err := encodeDocument(KindOrganisation, o)
	if err == nil {
		_, err = m.Add(now, document)
	}
	return err
}

func (m *Member) certifyNode(now time.Time, id string, r redemption) (certificates, error) {
	if len(r.Key) > 0 {
		return certificates{}, errors.New("the invitation is for a further node of an organisation, which needs no organisation's key")
	}
	m.mu.RLock()
	own := m.newest(m.nodes[m.id].by)
	m.mu.RUnlock()
	chain, err := own.issue(m.organisation, Node{ID: id, Consent: r.Consent}, now)
	if err != nil {
		return certificates{}, err
	}
	document, err := encodeDocument(KindChain, chain)
	if err != nil {
		return certificates{}, err
	}
	if _, err := m.Add(now, document); err != nil {
		return certificates{}, err
	}
	return certificates{Organisation: chain.Organisation, Node: &chain.Node}, nil
}

// answer adds what the new member needs first, as far as there is room.
func (m *Member) answer(given certificates) ([]byte, error) {
	a := answer{Certificates: given}
	reply, err := event.Encode(a)
	if err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, key := range []string{
		documentPrefix + string(KindRevocations) + "/" + m.rootName,
		documentPrefix + string(KindPolicy) + "/",
	} {
		r, ok := m.pool.held[key]
		if !ok {
			continue
		}
		more := a
		more.Documents = append(more.Documents, r.document)
		longer, err := event.Encode(more)
		if err != nil {
			return nil, err
		}
		if len(longer) <= MaxGreeting {
			a, reply = more, longer
		}
	}
	return reply, nil
}

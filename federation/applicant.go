package federation

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// Applicant is a node that redeems an invitation.
type Applicant struct {
	invitation   Invitation
	id           string
	organisation ed25519.PrivateKey
	consent      []byte
}

// NewApplicant prepares the redemption of an invitation. The organisation's key
// is needed where the invitation founds an organisation, and must be nil where
// it does not. Both keys must be on disk before the request goes out: the
// invitation is good for no others afterwards. An identity belongs to one
// organisation for good, which keeps its consent: moving takes a new one.
func NewApplicant(inv Invitation, identity crypto.PrivKey, organisation ed25519.PrivateKey) (*Applicant, error) {
	if err := inv.check(); err != nil {
		return nil, fmt.Errorf("invitation: %w", err)
	}
	if inv.Founds != (organisation != nil) {
		return nil, errors.New("an organisation's key belongs to an invitation for a new organisation, and to no other")
	}
	key, id, err := signingKey(identity)
	if err != nil {
		return nil, err
	}
	consent, err := consents(key, inv.Federation, inv.Organisation, id)
	if err != nil {
		return nil, err
	}
	return &Applicant{inv, id, organisation, consent}, nil
}

// Request is what to say to a node of the invitation's addresses.
func (a *Applicant) Request() ([]byte, error) {
	r := redemption{Token: a.invitation.Token, Consent: a.consent}
	if a.organisation != nil {
		r.Key = publicOf(a.organisation)
	}
	return encodeDocument(kindRedemption, r)
}

// Accept checks the reply against the invitation, and completes the chain. It
// returns the membership to save, and documents for Member.Add.
func (a *Applicant) Accept(now time.Time, reply []byte) (Membership, [][]byte, error) {
	fail := func(err error) (Membership, [][]byte, error) {
		return Membership{}, nil, fmt.Errorf("answer to the invitation: %w", err)
	}
	if len(reply) > MaxGreeting {
		return fail(fmt.Errorf("%d bytes are over the %d allowed", len(reply), MaxGreeting))
	}
	var got answer
	if err := decodeExact(reply, &got); err != nil {
		return fail(err)
	}
	if got.Refusal != "" {
		return fail(fmt.Errorf("refused: %.500q", got.Refusal))
	}
	root := ed25519.PublicKey(a.invitation.Root)
	chain := Chain{Organisation: got.Certificates.Organisation}
	if a.organisation != nil {
		by, err := chain.Organisation.open(root, a.invitation.Federation)
		if err != nil {
			return fail(err)
		}
		if !publicOf(a.organisation).Equal(by.key) {
			return fail(errors.New("the certificate is for another key than the organisation's own"))
		}
		if chain, err = by.issue(a.organisation, Node{ID: a.id, Issuer: true, Consent: a.consent}, now); err != nil {
			return fail(err)
		}
	} else if got.Certificates.Node != nil {
		chain.Node = *got.Certificates.Node
	} else {
		return fail(errors.New("this node's certificate is missing"))
	}
	n, _, err := chain.Check(root, a.invitation.Federation, now)
	if err != nil {
		return fail(err)
	}
	if n.ID != a.id || n.Organisation != a.invitation.Organisation {
		return fail(fmt.Errorf("it is for node %s of organisation %s, want %s of %s", n.ID, n.Organisation, a.id, a.invitation.Organisation))
	}
	return Membership{a.invitation.Federation, a.invitation.Root, chain, a.invitation.Addresses}, got.Documents, nil
}

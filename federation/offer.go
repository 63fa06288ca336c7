package federation

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// Offer is the other half of an invitation: what the node that redeems it
// keeps. It does not hold the token.
type Offer struct {
	TokenHash    []byte `cbor:"1,keyasint"`
	Expires      int64  `cbor:"2,keyasint"` // Unix seconds
	Organisation string `cbor:"3,keyasint"`
	// Admission and Delegate (the delegate's private key) are there for a new
	// organisation, and missing for a further node of the own one.
	Admission *Signed `cbor:"4,keyasint,omitempty"`
	Delegate  []byte  `cbor:"5,keyasint,omitempty"`
}

func (o Offer) founds() bool { return o.Admission != nil }

// Invite admits an organisation that has yet to come. The offer goes to a member
// that runs (Deposit), the token into the invitation. Lifetime is the
// invitation's; the organisation's certificate has the terms'.
func Invite(root ed25519.PrivateKey, federation, organisation string, terms Terms, lifetime time.Duration, now time.Time) (o Offer, token []byte, err error) {
	o, token, err = newOffer(organisation, lifetime, now)
	if err != nil {
		return o, nil, err
	}
	admission, delegate, err := terms.admit(root, federation, organisation, now)
	if err != nil {
		return Offer{}, nil, fmt.Errorf("invite: %w", err)
	}
	o.Admission, o.Delegate = &admission, delegate
	return o, token, nil
}

// InviteNode offers a further node's certificate of the own organisation. The
// node that redeems it must hold the organisation's key.
func InviteNode(organisation string, lifetime time.Duration, now time.Time) (o Offer, token []byte, err error) {
	return newOffer(organisation, lifetime, now)
}

func newOffer(organisation string, lifetime time.Duration, now time.Time) (Offer, []byte, error) {
	if lifetime < time.Minute || lifetime > absence {
		return Offer{}, nil, fmt.Errorf("invite: a lifetime of %s: want a minute to %d days", lifetime, absence/day)
	}
	token := make([]byte, tokenSize)
	rand.Read(token) // never fails
	o := Offer{TokenHash: hashToken(token), Expires: now.Add(lifetime).Unix(), Organisation: organisation}
	if err := o.check(); err != nil {
		return Offer{}, nil, fmt.Errorf("invite: %w", err)
	}
	return o, token, nil
}

func (o Offer) check() error {
	if len(o.TokenHash) != sha256.Size {
		return fmt.Errorf("hash of a token of %d bytes, want %d", len(o.TokenHash), sha256.Size)
	}
	if o.founds() && len(o.Delegate) != ed25519.PrivateKeySize {
		return errors.New("an admission without its delegate's key")
	}
	return checkName("organisation", o.Organisation)
}

func hashToken(token []byte) []byte {
	sum := sha256.Sum256([]byte("komondor token 1\x00" + string(token)))
	return sum[:]
}

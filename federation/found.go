package federation

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// Foundation is a new federation with its first organisation and node.
type Foundation struct {
	Root         ed25519.PrivateKey // goes offline
	Organisation ed25519.PrivateKey // stays with the first node
	Membership   Membership
	Documents    [][]byte // policy 1 and the root's list 1, for Member.Add
}

// Found makes a federation with its first organisation, an anchor, and the node
// that holds the identity.
func Found(now time.Time, federation, organisation string, identity crypto.PrivKey) (Foundation, error) {
	f, err := found(now, federation, organisation, identity)
	if err != nil {
		return Foundation{}, fmt.Errorf("found federation %.64q: %w", federation, err)
	}
	return f, nil
}

func found(now time.Time, federation, organisation string, identity crypto.PrivKey) (f Foundation, err error) {
	root, rootKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return f, err
	}
	own, ownKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return f, err
	}
	terms := Terms{Tier: TierAnchor, Quota: 100, Validity: 365 * day}
	by, err := terms.charter(rootKey, federation, organisation, own, now)
	if err != nil {
		return f, err
	}
	node, id, err := signingKey(identity)
	if err != nil {
		return f, err
	}
	consent, err := consents(node, federation, organisation, id)
	if err != nil {
		return f, err
	}
	chain, err := by.issue(ownKey, Node{ID: id, Issuer: true, Consent: consent}, now)
	if err != nil {
		return f, err
	}
	seed := make([]byte, 32)
	rand.Read(seed) // never fails
	policy, err := SignPolicy(rootKey, Policy{Federation: federation, Version: 1, Issued: now.Unix(), Seed: seed, Quorum: DefaultQuorum})
	if err != nil {
		return f, err
	}
	list, err := SignRevocations(rootKey, RevocationList{Federation: federation, Number: 1, Issued: now.Unix()})
	if err != nil {
		return f, err
	}
	return Foundation{rootKey, ownKey, Membership{Federation: federation, Root: root, Chain: chain}, [][]byte{policy, list}}, nil
}

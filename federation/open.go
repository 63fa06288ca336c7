// Package federation says who is a member and of which organisation, and signs
// and verifies what members say. So far there is the open overlay only.
package federation

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
)

// domain keeps a signature under a report from being good for anything else.
const domain = "komondor report 1\x00"

// ErrSignature is what Verify returns, wrapped, for a statement that its signer
// did not make.
var ErrSignature = errors.New("signature does not verify")

// Open is the membership of an open lab overlay: everybody is a member, and
// each node is an organisation of its own. Whoever can start q nodes can
// therefore meet a quorum of q alone.
type Open struct {
	key crypto.PrivKey
	id  string
}

// NewOpen returns the membership of the node that holds key.
func NewOpen(key crypto.PrivKey) (*Open, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("node id of the identity: %w", err)
	}
	return &Open{key: key, id: id.String()}, nil
}

// Name is the federation's name, which enters every key and report.
func (o *Open) Name() string { return "open" }

// Member is this node's peer ID.
func (o *Open) Member() string { return o.id }

// Organisation is who a member votes for: in an open overlay, itself.
func (o *Open) Organisation(member string) string { return member }

// Seal signs body as this node's statement.
func (o *Open) Seal(body []byte) (event.Sealed, error) {
	signature, err := o.key.Sign(append([]byte(domain), body...))
	if err != nil {
		return event.Sealed{}, fmt.Errorf("sign report: %w", err)
	}
	return event.Sealed{Body: body, Signer: o.id, Signature: signature}, nil
}

// Verify checks that the signer made the statement. The key is in the peer ID:
// Ed25519 only, so nothing has to be fetched.
func (o *Open) Verify(s event.Sealed) error {
	id, err := peer.Decode(s.Signer)
	if err != nil {
		return fmt.Errorf("signer %.64q: %w", s.Signer, err)
	}
	if id.String() != s.Signer {
		return fmt.Errorf("signer %.64q: want it written %s: one member has one name", s.Signer, id)
	}
	key, err := id.ExtractPublicKey()
	if err != nil {
		return fmt.Errorf("signer %s: %w", id, err)
	}
	if ok, err := key.Verify(append([]byte(domain), s.Body...), s.Signature); err != nil || !ok {
		return fmt.Errorf("statement of %s: %w", id, ErrSignature)
	}
	return nil
}

// Salts returns the salts that are valid for evidence at t: the day's, and for
// overlap after midnight UTC the day's before as well, so that an attack across
// midnight stays in one place. In an open overlay they come from the date,
// which everybody knows, and protect nobody.
func (o *Open) Salts(t time.Time, overlap time.Duration) [][]byte {
	t = t.UTC()
	salts := [][]byte{[]byte(t.Format(time.DateOnly))}
	if before := t.Add(-overlap); before.YearDay() != t.YearDay() {
		salts = append(salts, []byte(before.Format(time.DateOnly)))
	}
	return salts
}

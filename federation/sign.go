package federation

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
)

// Signed is a statement in canonical encoding with its author's signature over
// a domain and exactly these bytes.
type Signed struct {
	Body      []byte `cbor:"1,keyasint" json:"body"`
	Signature []byte `cbor:"2,keyasint" json:"signature"`
}

// A domain stands before what is signed, so that nothing signed is good for
// anything else. No domain is the beginning of another.
type domain string

const (
	reportDomain     domain = "komondor report 1\x00"
	admissionDomain  domain = "komondor admission 1\x00"
	grantDomain      domain = "komondor grant 1\x00"
	nodeDomain       domain = "komondor node 1\x00"
	consentDomain    domain = "komondor consent 1\x00"
	revocationDomain domain = "komondor revocation 1\x00"
	freshnessDomain  domain = "komondor freshness 1\x00"
	policyDomain     domain = "komondor policy 1\x00"
)

func (d domain) over(body []byte) []byte { return append([]byte(d), body...) }

func (d domain) sign(key ed25519.PrivateKey, v any) (Signed, error) {
	body, err := event.Encode(v)
	if err != nil {
		return Signed{}, err
	}
	return Signed{Body: body, Signature: ed25519.Sign(key, d.over(body))}, nil
}

// open checks the signature and reads the body into v. A body that would be
// encoded otherwise is refused: one statement has one form.
func (d domain) open(key ed25519.PublicKey, s Signed, v any) error {
	if err := d.verify(key, s.Body, s.Signature); err != nil {
		return err
	}
	return decodeExact(s.Body, v)
}

func (d domain) verify(key ed25519.PublicKey, body, signature []byte) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("public key of %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	if !ed25519.Verify(key, d.over(body), signature) {
		return ErrSignature
	}
	return nil
}

// decodeExact reads data into v and refuses every encoding but the canonical
// one, unknown fields included.
func decodeExact(data []byte, v any) error {
	if err := event.Decode(data, v); err != nil {
		return err
	}
	again, err := event.Encode(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return errors.New("not in canonical form, or of a newer version of this program")
	}
	return nil
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Fingerprint writes a public key for people to compare: all of it, in base32
// and groups of four. The fingerprint of the root's key is the federation's.
func Fingerprint(key []byte) string {
	text := base32Lower.EncodeToString(key)
	var groups []string
	for ; len(text) > 4; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(append(groups, text), "-")
}

// nodeKey returns the Ed25519 key that a node's id holds. Only the canonical
// spelling counts: with two names a member would have two votes.
func nodeKey(id string) (ed25519.PublicKey, error) {
	decoded, err := peer.Decode(id)
	if err != nil {
		return nil, fmt.Errorf("node id %.64q: %w", id, err)
	}
	if decoded.String() != id {
		return nil, fmt.Errorf("node id %.64q: want it written %s: one member has one name", id, decoded)
	}
	key, err := decoded.ExtractPublicKey()
	if err != nil {
		return nil, fmt.Errorf("node id %s: %w", id, err)
	}
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("node id %s: key type %s, want Ed25519", id, key.Type())
	}
	return key.Raw()
}

// signingKey returns a node's identity as this package signs with it, and the
// node's id.
func signingKey(identity crypto.PrivKey) (ed25519.PrivateKey, string, error) {
	id, err := peer.IDFromPrivateKey(identity)
	if err != nil {
		return nil, "", fmt.Errorf("node id of the identity: %w", err)
	}
	if identity.Type() != crypto.Ed25519 {
		return nil, "", fmt.Errorf("identity of type %s, want Ed25519", identity.Type())
	}
	raw, err := identity.Raw()
	if err != nil {
		return nil, "", fmt.Errorf("identity: %w", err)
	}
	return raw, id.String(), nil
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

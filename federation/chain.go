package federation

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
)

// Node is an organisation's word that a node is its own.
type Node struct {
	Federation   string `cbor:"1,keyasint"`
	Organisation string `cbor:"2,keyasint"`
	// ID is the node's libp2p peer ID, which holds its key.
	ID string `cbor:"3,keyasint"`
	// Issuer says that this node holds the organisation's key.
	Issuer bool   `cbor:"4,keyasint"`
	Serial uint64 `cbor:"5,keyasint"`
	// Since is when the first certificate of this id began, as its organisation
	// says. NotBefore and NotAfter are at most 7 days apart. All are Unix seconds.
	Since     int64 `cbor:"6,keyasint"`
	NotBefore int64 `cbor:"7,keyasint"`
	NotAfter  int64 `cbor:"8,keyasint"`
	// Consent is the node's own signature that it belongs to the organisation.
	// Without it an organisation could certify the node of another, whose
	// evidence would then count as its own.
	Consent []byte `cbor:"9,keyasint"`
}

// consent is what a node signs once to belong to an organisation; renewals of
// its certificate carry the same signature.
type consent struct {
	Federation   string `cbor:"1,keyasint"`
	Organisation string `cbor:"2,keyasint"`
	ID           string `cbor:"3,keyasint"`
}

// Chain is all that shows a node to be a member.
type Chain struct {
	Organisation Organisation `cbor:"1,keyasint" json:"organisation"`
	Node         Signed       `cbor:"2,keyasint" json:"node"`
}

// Check verifies the chain against the root's key, and its dates, and returns
// what it says.
func (c Chain) Check(root ed25519.PublicKey, federation string, now time.Time) (Node, Admission, error) {
	p, err := c.open(root, federation)
	if err == nil {
		err = p.valid(now)
	}
	return p.Node, p.by.Admission, err
}

// Papers are a chain whose signatures verify.
type papers struct {
	Node
	key   ed25519.PublicKey // the node's
	by    charter
	chain Chain
}

func (c Chain) open(root ed25519.PublicKey, federation string) (papers, error) {
	p := papers{chain: c}
	var err error
	if p.by, err = c.Organisation.open(root, federation); err != nil {
		return p, err
	}
	if len(c.Node.Body) > maxCertificate {
		return p, fmt.Errorf("node's certificate is over the %d bytes allowed", maxCertificate)
	}
	if err := nodeDomain.open(p.by.key, c.Node, &p.Node); err != nil {
		return p, fmt.Errorf("certificate of a node of organisation %s: %w", p.by.Organisation, err)
	}
	if p.key, err = nodeKey(p.ID); err != nil {
		return p, fmt.Errorf("certificate of a node of organisation %s: %w", p.by.Organisation, err)
	}
	if err := p.check(); err != nil {
		return p, fmt.Errorf("certificate of node %s: %w", p.ID, err)
	}
	return p, nil
}

func (p papers) check() error {
	switch {
	case p.Federation != p.by.Federation:
		return fmt.Errorf("federation %.64q, its organisation's is %q", p.Federation, p.by.Federation)
	case p.Node.Organisation != p.by.Organisation:
		return fmt.Errorf("organisation %.64q, signed by %q", p.Node.Organisation, p.by.Organisation)
	case p.Serial == 0:
		return errors.New("serial 0")
	case p.Since < 0 || p.Since > p.NotBefore:
		return fmt.Errorf("a member since %s, after it begins", stamp(p.Since))
	case p.NotBefore < p.by.NotBefore || p.NotAfter > p.by.NotAfter:
		return fmt.Errorf("it runs from %s to %s, its organisation's from %s to %s",
			stamp(p.NotBefore), stamp(p.NotAfter), stamp(p.by.NotBefore), stamp(p.by.NotAfter))
	}
	if err := checkDates(p.NotBefore, p.NotAfter, nodeLife); err != nil {
		return err
	}
	return checkConsent(p.key, p.Consent, p.Federation, p.Node.Organisation, p.ID)
}

func (p papers) valid(now time.Time) error {
	if err := p.by.valid(now); err != nil {
		return err
	}
	return valid(now, fmt.Sprintf("certificate of node %s of organisation %s", p.ID, p.Node.Organisation), p.NotBefore, p.NotAfter)
}

// due says whether two thirds of the certificate's life are over.
func (p papers) due(now time.Time) bool {
	return now.Unix() >= p.NotBefore+(p.NotAfter-p.NotBefore)*2/3
}

// issue signs a node's certificate for nodeLife, within the organisation's own.
// Node needs ID, Issuer, Consent, and Since where it is a renewal.
func (c charter) issue(key ed25519.PrivateKey, n Node, now time.Time) (Chain, error) {
	n.Federation, n.Organisation, n.Serial = c.Federation, c.Organisation, newSerial()
	n.NotBefore = max(now.Unix(), c.NotBefore) // clocks differ
	n.NotAfter = min(now.Add(nodeLife).Unix(), c.NotAfter)
	if n.Since == 0 {
		n.Since = n.NotBefore
	}
	signed, err := nodeDomain.sign(key, n)
	return Chain{Organisation: c.form, Node: signed}, err
}

// consents returns the node's signature that it belongs to the organisation.
func consents(identity ed25519.PrivateKey, federation, organisation, id string) ([]byte, error) {
	signed, err := consentDomain.sign(identity, consent{federation, organisation, id})
	return signed.Signature, err
}

func checkConsent(key ed25519.PublicKey, signature []byte, federation, organisation, id string) error {
	body, err := event.Encode(consent{federation, organisation, id})
	if err != nil {
		return err
	}
	if err := consentDomain.verify(key, body, signature); err != nil {
		return fmt.Errorf("the node's consent to belong to organisation %s: %w", organisation, err)
	}
	return nil
}

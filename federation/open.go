package federation

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/komondor/komondor/event"
)

// Open is the membership of an open lab overlay: everybody is a member, and
// each node is an organisation of its own. Whoever can start q nodes can
// therefore meet a quorum of q alone.
type Open struct {
	key ed25519.PrivateKey
	id  string
}

// openName is the name of every open overlay; no federation may take it.
const openName = "open"

// NewOpen returns the membership of the node that holds the identity.
func NewOpen(identity crypto.PrivKey) (*Open, error) {
	key, id, err := signingKey(identity)
	if err != nil {
		return nil, err
	}
	return &Open{key: key, id: id}, nil
}

// Name is the federation's name, which enters every key and report.
func (o *Open) Name() string { return openName }

// Member is this node's peer ID.
func (o *Open) Member() string { return o.id }

// Organisation is who a member votes for: in an open overlay, itself.
func (o *Open) Organisation(id string) string { return id }

// Votes is true: in an open overlay everybody has a vote.
func (o *Open) Votes(now time.Time, id string) bool { return true }

// Refused is nil for everybody who can sign.
func (o *Open) Refused(now time.Time, id string) error {
	_, err := nodeKey(id)
	return err
}

// Seal signs body as this node's statement.
func (o *Open) Seal(body []byte) (event.Sealed, error) { return seal(o.key, o.id, body), nil }

// Verify checks that the signer made the statement. The key is in the peer ID,
// so nothing has to be fetched.
func (o *Open) Verify(now time.Time, s event.Sealed) error {
	key, err := nodeKey(s.Signer)
	if err != nil {
		return fmt.Errorf("signer: %w", err)
	}
	return verifySealed(key, s)
}

// Salts returns the salts that are valid for evidence at t: the day's, and for
// overlap after midnight UTC the day's before as well, so that an attack across
// midnight stays in one place. In an open overlay they are the date, which
// everybody knows, and protect nobody.
func (o *Open) Salts(t time.Time, overlap time.Duration) [][]byte {
	var salts [][]byte
	for _, date := range dates(t, overlap) {
		salts = append(salts, []byte(date))
	}
	return salts
}

// dates names the day of t, and the day before for overlap after midnight UTC.
func dates(t time.Time, overlap time.Duration) []string {
	t = t.UTC()
	days := []string{t.Format(time.DateOnly)}
	if before := t.Add(-overlap).Format(time.DateOnly); before != days[0] {
		days = append(days, before)
	}
	return days
}

func seal(key ed25519.PrivateKey, id string, body []byte) event.Sealed {
	return event.Sealed{Body: body, Signer: id, Signature: ed25519.Sign(key, reportDomain.over(body))}
}

func verifySealed(key ed25519.PublicKey, s event.Sealed) error {
	if err := reportDomain.verify(key, s.Body, s.Signature); err != nil {
		return fmt.Errorf("statement of %s: %w", s.Signer, err)
	}
	return nil
}

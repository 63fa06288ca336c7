package federation

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"
)

// Tier is what an organisation is trusted with.
type Tier string

const (
	TierAnchor    Tier = "anchor"    // votes, and vouches for the freshness of the root's list
	TierMember    Tier = "member"    // votes
	TierProbation Tier = "probation" // reports and is protected, but has no vote
)

// Admission is the root's word that an organisation belongs to the federation.
// It names a delegate key, which says whose key the organisation's is: so the
// root can stay offline while an invitation is redeemed.
type Admission struct {
	Federation   string `cbor:"1,keyasint"`
	Organisation string `cbor:"2,keyasint"`
	Tier         Tier   `cbor:"3,keyasint"`
	// Quota is how many of its nodes may have a valid certificate at a time.
	Quota    int    `cbor:"4,keyasint"`
	Serial   uint64 `cbor:"5,keyasint"`
	Delegate []byte `cbor:"6,keyasint"`
	// NotBefore and NotAfter are Unix seconds, at most YearAtMost apart.
	NotBefore int64 `cbor:"7,keyasint"`
	NotAfter  int64 `cbor:"8,keyasint"`
}

// Grant is the delegate's word on the organisation's public key. The delegate is
// used once and thrown away.
type Grant struct {
	Serial uint64 `cbor:"1,keyasint"` // of the admission
	Key    []byte `cbor:"2,keyasint"`
}

// Organisation is an organisation's certificate.
type Organisation struct {
	Admission Signed `cbor:"1,keyasint" json:"admission"`
	Grant     Signed `cbor:"2,keyasint" json:"grant"`
}

// Check verifies the certificate against the root's key, and its dates, and
// returns what it says with the organisation's key.
func (o Organisation) Check(root ed25519.PublicKey, federation string, now time.Time) (Admission, ed25519.PublicKey, error) {
	c, err := o.open(root, federation)
	if err == nil {
		err = c.valid(now)
	}
	return c.Admission, c.key, err
}

// A charter is an organisation's certificate whose signatures verify.
type charter struct {
	Admission
	key     ed25519.PublicKey // the organisation's
	keyName string            // its fingerprint
	form    Organisation
}

func (o Organisation) open(root ed25519.PublicKey, federation string) (charter, error) {
	c := charter{form: o}
	if max(len(o.Admission.Body), len(o.Grant.Body)) > maxCertificate {
		return c, fmt.Errorf("organisation's certificate is over the %d bytes allowed", maxCertificate)
	}
	if err := admissionDomain.open(root, o.Admission, &c.Admission); err != nil {
		return c, fmt.Errorf("admission: %w: is it of this federation?", err)
	}
	if err := c.Admission.check(federation); err != nil {
		return c, fmt.Errorf("admission of organisation %.64q: %w", c.Organisation, err)
	}
	var g Grant
	if err := grantDomain.open(c.Delegate, o.Grant, &g); err != nil {
		return c, fmt.Errorf("grant to organisation %s: %w", c.Organisation, err)
	}
	if g.Serial != c.Serial {
		return c, fmt.Errorf("grant to organisation %s is for admission %d, not for %d", c.Organisation, g.Serial, c.Serial)
	}
	if len(g.Key) != ed25519.PublicKeySize {
		return c, fmt.Errorf("grant to organisation %s: key of %d bytes, want %d", c.Organisation, len(g.Key), ed25519.PublicKeySize)
	}
	c.key, c.keyName = g.Key, Fingerprint(g.Key)
	return c, nil
}

// openAny is open for the root's holder, who has one federation a key.
func (o Organisation) openAny(root ed25519.PublicKey) (charter, error) {
	var a Admission
	if err := admissionDomain.open(root, o.Admission, &a); err != nil {
		return charter{}, fmt.Errorf("its admission: %w: is this the root's key?", err)
	}
	return o.open(root, a.Federation)
}

func (a Admission) check(federation string) error {
	if a.Federation != federation {
		return fmt.Errorf("federation %.64q, this is %q", a.Federation, federation)
	}
	if err := checkName("organisation", a.Organisation); err != nil {
		return err
	}
	if err := (Terms{a.Tier, a.Quota, time.Duration(a.NotAfter-a.NotBefore) * time.Second}).check(); err != nil {
		return err
	}
	if a.Serial == 0 {
		return errors.New("serial 0")
	}
	return checkDates(a.NotBefore, a.NotAfter, YearAtMost)
}

func (a Admission) valid(now time.Time) error {
	return valid(now, "certificate of organisation "+a.Organisation, a.NotBefore, a.NotAfter)
}

// Terms are what an organisation is admitted to.
type Terms struct {
	Tier     Tier
	Quota    int           // nodes with a valid certificate at a time, 1 to 1000
	Validity time.Duration // of the organisation's certificate, up to YearAtMost
}

func (t Terms) check() error {
	switch t.Tier {
	case TierAnchor, TierMember, TierProbation:
	default:
		return fmt.Errorf("tier %.64q: want %s, %s or %s", t.Tier, TierAnchor, TierMember, TierProbation)
	}
	if t.Quota < 1 || t.Quota > 1000 {
		return fmt.Errorf("quota of %d nodes: want 1 to 1000", t.Quota)
	}
	if t.Validity < time.Second || t.Validity > YearAtMost {
		return fmt.Errorf("validity of %s: want up to %d days", t.Validity, YearAtMost/day)
	}
	return nil
}

// admit signs an admission, and returns the delegate's key with it.
func (t Terms) admit(root ed25519.PrivateKey, federation, organisation string, now time.Time) (Signed, ed25519.PrivateKey, error) {
	delegate, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Signed{}, nil, err
	}
	a := Admission{
		Federation: federation, Organisation: organisation, Tier: t.Tier, Quota: t.Quota, Serial: newSerial(), Delegate: delegate,
		NotBefore: now.Unix(), NotAfter: now.Add(t.Validity).Unix(),
	}
	if err := errors.Join(checkFederation(federation), a.check(federation)); err != nil {
		return Signed{}, nil, fmt.Errorf("admit organisation %.64q: %w", organisation, err)
	}
	signed, err := admissionDomain.sign(root, a)
	return signed, private, err
}

// grant completes an organisation's certificate with its key.
func grant(root ed25519.PublicKey, federation string, admission Signed, delegate ed25519.PrivateKey, key ed25519.PublicKey) (charter, error) {
	var a Admission
	if err := admissionDomain.open(root, admission, &a); err != nil {
		return charter{}, err
	}
	signed, err := grantDomain.sign(delegate, Grant{Serial: a.Serial, Key: key})
	if err != nil {
		return charter{}, err
	}
	return Organisation{Admission: admission, Grant: signed}.open(root, federation)
}

// charter admits an organisation whose key is known.
func (t Terms) charter(root ed25519.PrivateKey, federation, organisation string, key ed25519.PublicKey, now time.Time) (charter, error) {
	admission, delegate, err := t.admit(root, federation, organisation, now)
	if err != nil {
		return charter{}, err
	}
	return grant(publicOf(root), federation, admission, delegate, key)
}

// RenewOrganisation signs a new certificate for the organisation's same key, as
// a document; nothing is needed of the organisation. The terms may differ.
func RenewOrganisation(root ed25519.PrivateKey, old Organisation, terms Terms, now time.Time) ([]byte, error) {
	present, err := old.openAny(publicOf(root))
	if err != nil {
		return nil, fmt.Errorf("renew organisation: %w", err)
	}
	begins := time.Unix(max(now.Unix(), present.NotBefore+1), 0) // the later one holds
	renewed, err := terms.charter(root, present.Federation, present.Organisation, present.key, begins)
	if err != nil {
		return nil, fmt.Errorf("renew: %w", err)
	}
	return encodeDocument(KindOrganisation, renewed.form)
}

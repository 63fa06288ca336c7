package federation

import (
	"crypto/ed25519"
	"fmt"
	"time"
)

// Freshness is an anchor organisation's word that it knows of no root's
// revocation list newer than Number at the time At. The root itself is offline.
type Freshness struct {
	Federation   string `cbor:"1,keyasint"`
	Organisation string `cbor:"2,keyasint"`
	Number       uint64 `cbor:"3,keyasint"`
	At           int64  `cbor:"4,keyasint"` // Unix seconds
}

type freshness struct {
	Freshness
	by   charter
	form witnessed
}

func signFreshness(key ed25519.PrivateKey, by charter, number uint64, now time.Time) ([]byte, error) {
	signed, err := freshnessDomain.sign(key, Freshness{by.Federation, by.Organisation, number, now.Unix()})
	if err != nil {
		return nil, fmt.Errorf("sign freshness: %w", err)
	}
	return encodeDocument(KindFreshness, witnessed{&by.form, signed})
}

func openFreshness(w witnessed, root ed25519.PublicKey, federation string) (freshness, error) {
	f := freshness{form: w}
	if w.Organisation == nil {
		return f, fmt.Errorf("freshness without the certificate of who states it")
	}
	var err error
	if f.by, err = w.Organisation.open(root, federation); err != nil {
		return f, err
	}
	if err := freshnessDomain.open(f.by.key, w.Statement, &f.Freshness); err != nil {
		return f, fmt.Errorf("freshness stated by organisation %s: %w", f.by.Organisation, err)
	}
	switch {
	case f.Federation != federation:
		return f, fmt.Errorf("freshness in federation %.64q, this is %q", f.Federation, federation)
	case f.Organisation != f.by.Organisation:
		return f, fmt.Errorf("freshness of organisation %.64q signed by %q", f.Organisation, f.by.Organisation)
	case f.by.Tier != TierAnchor:
		return f, fmt.Errorf("freshness stated by organisation %s: its tier is %s, only an anchor's word counts", f.Organisation, f.by.Tier)
	case f.At < 0 || f.At > endOfTime:
		return f, fmt.Errorf("freshness stated by organisation %s at %d: want Unix seconds", f.Organisation, f.At)
	}
	return f, nil
}

func (f freshness) identity() string { return f.Organisation }
func (f freshness) version() version { return version{major: uint64(f.At)} }
func (f freshness) signed() []byte   { return f.form.Statement.Body }
func (f freshness) ends() int64      { return min(f.At+int64(freshFor/time.Second), f.by.NotAfter) }

func (f freshness) valid(now time.Time) error {
	if err := f.by.valid(now); err != nil {
		return err
	}
	return valid(now, "freshness stated by organisation "+f.Organisation, f.At, f.ends())
}

// Fresh says how old the newest word on the root's revocation list is, and what
// is wrong where it is too old: evidence from the network must then block
// nobody. The word is the list's own, or that of an anchor which knows of the
// same list. Anchors that know of a newer one show that this node is behind,
// where they are more than those that do not; so one that lies stops nobody.
func (m *Member) Fresh(now time.Time) (age time.Duration, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list, ok := m.lists[m.rootName]
	if !ok {
		return 0, fmt.Errorf("no revocation list of the root has arrived yet: evidence from the network blocks nobody until it has; " +
			"is there a connection to another member?")
	}
	word, agree, ahead := list.Issued, 0, 0
	var newest uint64
	for _, f := range m.freshness {
		by := m.newest(f.by)
		if _, revoked := m.revokedOrganisation(f.by); revoked || by.Tier != TierAnchor || f.valid(now) != nil {
			continue
		}
		switch {
		case f.Number == list.Number:
			word = max(word, f.At)
			agree++
		case f.Number > list.Number:
			newest = max(newest, f.Number)
			ahead++
		}
	}
	age = max(0, now.Sub(time.Unix(word, 0)))
	switch {
	case ahead > agree:
		return age, fmt.Errorf("the root's revocation list here is number %d, and anchors know of number %d: evidence from the network blocks nobody until it arrives; "+
			"is there a connection to other members?", list.Number, newest)
	case age > freshFor:
		return age, fmt.Errorf("the last word on the root's revocation list (number %d) is %s old, %s are allowed: evidence from the network blocks nobody "+
			"until the node of an anchor organisation that holds its key runs again, or the root signs a new list", list.Number, age.Round(time.Minute), freshFor)
	}
	return age, nil
}

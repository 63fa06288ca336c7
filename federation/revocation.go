package federation

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// RevocationList is all that one issuer has revoked. A later list holds
// everything of the earlier one, but for entries older than any certificate can
// be; a list that drops others is refused. It has as many entries as find room in
// MaxDocument: some 300 with a few words of reason each.
type RevocationList struct {
	Federation string `cbor:"1,keyasint"`
	// Issuer is empty for the root, else the organisation's name. An organisation
	// revokes its own nodes only, the root organisations and nodes.
	Issuer  string  `cbor:"2,keyasint"`
	Number  uint64  `cbor:"3,keyasint"` // only grows, from 1
	Issued  int64   `cbor:"4,keyasint"` // Unix seconds
	Entries []Entry `cbor:"5,keyasint"`
}

// Entry revokes every certificate of a key, those that were renewed too; and by
// its serial an admission, whatever key it was redeemed for. The serial may be
// missing, the key may not: that of one certificate leaves the others in force.
// Never is a certificate revoked by its hash or signature, of which there can be
// a second form.
type Entry struct {
	Serial uint64 `cbor:"1,keyasint,omitempty"`
	Key    string `cbor:"2,keyasint"` // a node's id, or an organisation's key as Fingerprint writes it
	What   string `cbor:"3,keyasint"` // for people: the organisation's or node's name
	Reason string `cbor:"4,keyasint"` // for people
	At     int64  `cbor:"5,keyasint"` // Unix seconds
}

// RevokeOrganisation is the entry that puts an organisation out with all its
// nodes, under all certificates that its key has had. The certificate may be any
// of these.
func RevokeOrganisation(root ed25519.PublicKey, o Organisation, reason string, at time.Time) (Entry, error) {
	c, err := o.openAny(root)
	if err != nil {
		return Entry{}, fmt.Errorf("revoke organisation: %w", err)
	}
	return Entry{Serial: c.Serial, Key: c.keyName, What: c.Organisation, Reason: reason, At: at.Unix()}, nil
}

// RevokeNode is the entry that puts a node out. The serial is that of any of its
// certificates.
func RevokeNode(id string, serial uint64, reason string, at time.Time) Entry {
	return Entry{Serial: serial, Key: id, What: id, Reason: reason, At: at.Unix()}
}

// IssuedList is a list with the key that has signed it, as Fingerprint writes it.
// An organisation that has had several has a list of each.
type IssuedList struct {
	RevocationList
	Key string
}

// Latest returns the newest list of a key, from which the next one is made. Never
// look for one by its issuer's name: whoever has stolen an organisation's former
// key still signs in that.
func Latest(lists []IssuedList, key ed25519.PublicKey) (RevocationList, bool) {
	name := Fingerprint(key)
	i := slices.IndexFunc(lists, func(l IssuedList) bool { return l.Key == name })
	if i < 0 {
		return RevocationList{}, false
	}
	return lists[i].RevocationList, true
}

// Next returns the list that follows, with more entries. Without any it says
// that the list is still the newest.
func (l RevocationList) Next(now time.Time, more ...Entry) RevocationList {
	l.Number++
	l.Issued = now.Unix()
	l.Entries = slices.DeleteFunc(slices.Concat(l.Entries, more), func(e Entry) bool { return e.outlived(l.Issued) })
	return l
}

// outlived says that no certificate that the entry could mean is valid any more.
func (e Entry) outlived(at int64) bool { return e.At < at-int64((YearAtMost+absence)/time.Second) }

// SignRevocations returns the list as a document, signed by the root's key.
func SignRevocations(root ed25519.PrivateKey, l RevocationList) ([]byte, error) {
	if l.Issuer != "" {
		return nil, fmt.Errorf("sign revocation list: it is of organisation %s, which signs it itself", l.Issuer)
	}
	return signRevocations(root, nil, l)
}

// SignOwnRevocations returns the list of an organisation as a document.
func SignOwnRevocations(key ed25519.PrivateKey, own Organisation, l RevocationList) ([]byte, error) {
	if l.Issuer == "" {
		return nil, errors.New("sign revocation list: it is the root's, and needs the root's key")
	}
	return signRevocations(key, &own, l)
}

func signRevocations(key ed25519.PrivateKey, own *Organisation, l RevocationList) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("sign revocation list: %w", err)
	}
	signed, err := revocationDomain.sign(key, l)
	if err != nil {
		return nil, fmt.Errorf("sign revocation list: %w", err)
	}
	return encodeDocument(KindRevocations, witnessed{own, signed})
}

func (l RevocationList) check() error {
	if l.Number == 0 {
		return errors.New("number 0: lists are numbered from 1")
	}
	if l.Number == math.MaxUint64 {
		return fmt.Errorf("number %d: none could follow", l.Number)
	}
	if l.Issued < 0 || l.Issued > endOfTime {
		return fmt.Errorf("issued at %d: want Unix seconds", l.Issued)
	}
	for _, e := range l.Entries {
		if e.Key == "" {
			return fmt.Errorf("entry on %.64q names no key: certificates that were or will be renewed would stay in force", e.What)
		}
		if e.At < 0 || e.At > endOfTime {
			return fmt.Errorf("entry on %.64q at %d: want Unix seconds", e.What, e.At)
		}
		if err := errors.Join(checkText(e.Key, 128), checkText(e.What, 128), checkText(e.Reason, 200)); err != nil {
			return err
		}
	}
	return nil
}

// revocations is a list whose signature verifies, with its entries at hand.
type revocations struct {
	RevocationList
	key      ed25519.PublicKey // the issuer's
	by       *charter          // nil for the root
	form     witnessed
	bySerial map[uint64]Entry
	byKey    map[string]Entry
	told     told // how many came before it
}

func openRevocations(w witnessed, root ed25519.PublicKey, federation string) (revocations, error) {
	r := revocations{key: root, form: w, bySerial: map[uint64]Entry{}, byKey: map[string]Entry{}}
	issuer := ""
	if w.Organisation != nil {
		by, err := w.Organisation.open(root, federation)
		if err != nil {
			return r, err
		}
		r.by, r.key, issuer = &by, by.key, by.Organisation
	}
	if err := revocationDomain.open(r.key, w.Statement, &r.RevocationList); err != nil {
		return r, fmt.Errorf("revocation list of %s: %w", issuerName(issuer), err)
	}
	if r.Federation != federation {
		return r, fmt.Errorf("revocation list of federation %.64q, this is %q", r.Federation, federation)
	}
	if r.Issuer != issuer {
		return r, fmt.Errorf("revocation list of %s signed by %s", issuerName(r.Issuer), issuerName(issuer))
	}
	if err := r.check(); err != nil {
		return r, fmt.Errorf("revocation list of %s: %w", issuerName(issuer), err)
	}
	for _, e := range r.Entries {
		if e.Serial != 0 {
			r.bySerial[e.Serial] = e
		}
		r.byKey[e.Key] = e
	}
	return r, nil
}

func issuerName(issuer string) string {
	if issuer == "" {
		return "the root"
	}
	return fmt.Sprintf("organisation %.64q", issuer)
}

// identity is the issuer's key: an organisation that comes back with a new key
// does not have to outdo what a thief signed with the old one.
func (r revocations) identity() string { return Fingerprint(r.key) }
func (r revocations) version() version { return version{major: r.Number} }
func (r revocations) signed() []byte   { return r.form.Statement.Body }

func (r revocations) ends() int64 {
	if r.by == nil {
		return endOfTime
	}
	return r.by.ends()
}

func (r revocations) valid(now time.Time) error {
	if r.by != nil {
		if err := r.by.valid(now); err != nil {
			return err
		}
	}
	return begun(now, fmt.Sprintf("revocation list %d of %s", r.Number, issuerName(r.Issuer)), r.Issued)
}

// names looks a certificate up by serial and by key.
func (r revocations) names(serial uint64, key string) (Entry, bool) {
	if e, ok := r.bySerial[serial]; ok {
		return e, true
	}
	e, ok := r.byKey[key]
	return e, ok
}

package federation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/komondor/komondor/event"
)

// desk is where invitations wait for redemption.
type desk struct {
	mu       sync.Mutex // guards deposits, and is held over a redemption: a token is good once
	deposits map[string]deposit
}

// deposit is an offer, and by whom it was redeemed.
type deposit struct {
	Offer Offer        `cbor:"1,keyasint"`
	By    string       `cbor:"2,keyasint,omitempty"` // node id; empty: not yet
	Key   []byte       `cbor:"3,keyasint,omitempty"` // the new organisation's
	Given certificates `cbor:"4,keyasint,omitzero"`
	// Replaced says that a newer invitation holds in its place.
	Replaced bool `cbor:"5,keyasint,omitempty"`
}

// close throws the delegate's key away, which is used once at most.
func (d *deposit) close() {
	if d.Offer.founds() {
		d.Offer.Delegate = make([]byte, ed25519.PrivateKeySize)
	}
}

const depositPrefix = "deposit/"

func (o Offer) key() string { return depositPrefix + hex.EncodeToString(o.TokenHash) }

func (d *desk) recall(key string, value []byte) error {
	if !strings.HasPrefix(key, depositPrefix) {
		return nil
	}
	var kept deposit
	if err := decodeExact(value, &kept); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if d.deposits == nil {
		d.deposits = map[string]deposit{}
	}
	d.deposits[key] = kept
	return nil
}

// Deposit keeps an offer for redemption here; it is on disk when Deposit returns. One
// to a new organisation replaces those to the same one that nobody has redeemed: an
// organisation has one key.
func (m *Member) Deposit(now time.Time, o Offer) error {
	if err := m.mayRedeem(now, o); err != nil {
		return fmt.Errorf("deposit an invitation: %w", err)
	}
	m.desk.mu.Lock()
	defer m.desk.mu.Unlock()
	if len(m.desk.deposits) >= maxDeposits {
		return fmt.Errorf("deposit an invitation: %w: %d wait for redemption, let some expire", ErrFull, maxDeposits)
	}
	if _, ok := m.desk.deposits[o.key()]; ok {
		return errors.New("deposit an invitation: this one is here already")
	}
	all := []deposit{{Offer: o}}
	for _, d := range m.desk.deposits {
		if o.founds() && d.Offer.founds() && d.Offer.Organisation == o.Organisation && d.By == "" {
			d.Replaced = true
			d.close()
			all = append(all, d)
		}
	}
	return m.file(all...)
}

// mayRedeem says whether this node is able to redeem the offer.
func (m *Member) mayRedeem(now time.Time, o Offer) error {
	if err := o.check(); err != nil {
		return err
	}
	if now.Unix() >= o.Expires {
		return fmt.Errorf("it %w on %s", ErrExpired, stamp(o.Expires))
	}
	if !o.founds() {
		switch own := m.Organisation(m.id); {
		case m.organisation == nil:
			return fmt.Errorf("a further node of organisation %s is certified by a node that holds the organisation's key; this one does not", o.Organisation)
		case own != o.Organisation:
			return fmt.Errorf("this node is of organisation %s and certifies no node of organisation %s", own, o.Organisation)
		}
		return nil
	}
	var a Admission
	if err := admissionDomain.open(m.root, *o.Admission, &a); err != nil {
		return fmt.Errorf("admission: %w: is it of this federation?", err)
	}
	if err := errors.Join(a.check(m.name), a.valid(now)); err != nil {
		return err
	}
	if a.Organisation != o.Organisation {
		return fmt.Errorf("it is for organisation %s, its admission for %s", o.Organisation, a.Organisation)
	}
	return nil
}

// file keeps deposits, all or none, on disk first; desk.mu is held.
func (m *Member) file(all ...deposit) error {
	records := make(map[string][]byte, len(all))
	for _, d := range all {
		record, err := event.Encode(d)
		if err != nil {
			return fmt.Errorf("keep an invitation: %w", err)
		}
		records[d.Offer.key()] = record
	}
	if err := m.keeper.Put(records); err != nil {
		return fmt.Errorf("keep an invitation: %w", err)
	}
	if m.desk.deposits == nil {
		m.desk.deposits = map[string]deposit{}
	}
	for _, d := range all {
		m.desk.deposits[d.Offer.key()] = d
	}
	return nil
}

// find looks a token up without telling by its time how near a guess was.
func (d *desk) find(token []byte) (deposit, bool) {
	hash := hashToken(token)
	var found deposit
	ok := false
	for _, candidate := range d.deposits {
		if subtle.ConstantTimeCompare(hash, candidate.Offer.TokenHash) == 1 {
			found, ok = candidate, true
		}
	}
	return found, ok
}

// sweep forgets invitations a day after they have expired (until then it can say
// so), and returns their keys.
func (d *desk) sweep(now time.Time) (gone []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, kept := range d.deposits {
		if now.Add(-day).Unix() >= kept.Offer.Expires {
			delete(d.deposits, key)
			gone = append(gone, key)
		}
	}
	return gone
}

// redeemedBy says whether it was redeemed by exactly this node and organisation:
// its answer may have been lost.
func (d deposit) redeemedBy(id string, key []byte) bool { return d.By == id && bytes.Equal(d.Key, key) }

package federation

import (
	"fmt"
	"time"
)

// maxJump is by how much a list's number may exceed that of the list before it,
// or 0 where there was none. People sign lists, so honest ones are never near it;
// and whoever has stolen a key cannot take all numbers at once.
const maxJump = 1 << 32

// follows says why a list cannot take the place of the one before it, which has
// no entries and number 0 where there is none.
func (r revocations) follows(before revocations) error {
	if r.Number-before.Number > maxJump { // it is not lower: take has compared
		return fmt.Errorf("revocation list %d of %s: the newest here is number %d, and none is more than %d ahead: its signer is wrong, or was robbed of its key",
			r.Number, issuerName(r.Issuer), before.Number, maxJump)
	}
	held := make(map[Entry]bool, len(r.Entries))
	for _, e := range r.Entries {
		held[e] = true
	}
	for _, e := range before.Entries {
		if !held[e] && !e.outlived(r.Issued) {
			return fmt.Errorf("revocation list %d of %s drops the revocation of %q, which list %d holds: add to the newest list, do not start anew",
				r.Number, issuerName(r.Issuer), e.What, before.Number)
		}
	}
	return nil
}

func (m *Member) takeRevocations(now time.Time, r revocations) (Effect, error) {
	before, known := m.lists[r.identity()]
	if !known && len(m.lists) > MaxOrganisations {
		return Effect{}, fmt.Errorf("revocation list of %s: %w: there are %d", issuerName(r.Issuer), ErrFull, len(m.lists))
	}
	if err := r.follows(before); err != nil {
		return Effect{}, err
	}
	if r.by != nil {
		if err := m.learn(*r.by); err != nil {
			return Effect{}, err
		}
	}
	r.told = before.told.another(now)
	m.lists[r.identity()] = r
	return Effect{News: r.told.count <= maxTold, Quiet: r.told.count > maxTold, Expels: m.expels(r, before)}, nil
}

// expels says whether the list puts somebody out who is known here and whom the
// one before it did not: it may name whom it likes, and has power over few.
func (m *Member) expels(r, before revocations) bool {
	added := func(serial uint64, key string) bool {
		_, now := r.names(serial, key)
		_, then := before.names(serial, key)
		return now && !then
	}
	for _, p := range m.nodes {
		switch {
		case r.by == nil && (added(p.by.Serial, p.by.keyName) || added(p.Serial, p.ID)),
			r.by != nil && p.by.keyName == r.by.keyName && added(p.Serial, p.ID):
			return true
		}
	}
	for _, c := range m.organisations {
		if r.by == nil && added(c.Serial, c.keyName) {
			return true
		}
	}
	return false
}

// maxTold is how many new lists of one issuer are news in an hour. A list is up
// to MaxDocument large, and whoever has an organisation's key could sign them
// without end; further ones are taken in, and neighbours pull the last of them.
const maxTold = 10

// told counts the lists of an issuer that have come in one hour.
type told struct {
	hour  int64 // since 1970
	count int
}

func (t told) another(now time.Time) told {
	if hour := now.Unix() / 3600; hour != t.hour {
		return told{hour, 1}
	}
	return told{t.hour, t.count + 1}
}

package federation

import (
	"fmt"
	"maps"
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

func (m *Member) takeRevocations(r revocations) (expels bool, err error) {
	before, known := m.lists[r.identity()]
	if !known && len(m.lists) > MaxOrganisations {
		return false, fmt.Errorf("revocation list of %s: %w: there are %d", issuerName(r.Issuer), ErrFull, len(m.lists))
	}
	if err := r.follows(before); err != nil {
		return false, err
	}
	if r.by != nil {
		if err := m.learn(*r.by); err != nil {
			return false, err
		}
	}
	m.lists[r.identity()] = r
	return !maps.Equal(r.bySerial, before.bySerial) || !maps.Equal(r.byKey, before.byKey), nil
}

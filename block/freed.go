package block

import (
	"net/netip"
	"time"
)

// Freed says of which prefixes a person has ended the block, and when, where that still holds: only
// evidence from after it blocks them. For others' evidence it is also when a person has rejected what
// that asked for. It is nil where there are none.
func (m *Manager) Freed(now time.Time, others bool, prefixes ...netip.Prefix) map[netip.Prefix]time.Time {
	if !m.freeing.Load() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var freed map[netip.Prefix]time.Time
	for _, prefix := range prefixes {
		p, err := canonical(prefix)
		if err != nil {
			continue // Propose refuses it
		}
		var at time.Time
		if r := m.records[p]; r != nil && r.Removed && !r.live(now) {
			at = r.Until
		}
		if rejected := m.rejected(p); others && rejected.After(at) {
			at = rejected
		}
		if !at.IsZero() {
			if freed == nil {
				freed = map[netip.Prefix]time.Time{}
			}
			freed[prefix] = at
		}
	}
	return freed
}

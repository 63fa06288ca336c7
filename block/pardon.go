package block

import (
	"context"
	"net/netip"
	"time"
)

// Pardon ends what stands on these alerts, this host's own evidence too, because a person says
// that they are false. What a person has asked for goes on. It returns the prefixes that it freed
// or holds for less long now.
func (m *Manager) Pardon(ctx context.Context, now time.Time, alerts ...string) ([]netip.Prefix, error) {
	gone := make(map[string]bool, len(alerts))
	for _, alert := range alerts {
		gone[alert] = alert != ""
	}
	m.mu.Lock()
	for _, r := range m.records {
		if r.live(now) && gone[r.Own.Alert] {
			next := *r
			next.Own = ground{}
			m.put(&next)
		}
	}
	m.mu.Unlock()
	return m.Withdraw(ctx, now, alerts...)
}

package block

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Withdraw ends the blocks that stand on these alerts, because their evidence
// no longer meets the quorum, and forgets what waits on them. A block that this
// host's own evidence or a person asks for too goes on as long as that says.
// Nobody has judged the prefix: later good evidence blocks again, and that is no
// repeat. It returns the prefixes that it freed or holds for less long now; one
// of them may still deserve a block for another alert, if that is proposed again.
func (m *Manager) Withdraw(ctx context.Context, now time.Time, alerts ...string) ([]netip.Prefix, error) {
	freed, err := m.withdraw(ctx, now, alerts)
	return freed, errors.Join(err, m.Keep())
}

func (m *Manager) withdraw(ctx context.Context, now time.Time, alerts []string) ([]netip.Prefix, error) {
	gone := make(map[string]bool, len(alerts))
	for _, alert := range alerts {
		gone[alert] = alert != ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var freed, ending []netip.Prefix
	for p, r := range m.records {
		if !r.live(now) || !gone[r.Alert] || !r.Own.Until.Before(r.Until) {
			continue
		}
		if r.Own.Until.Sub(now) < time.Millisecond {
			ending = append(ending, p)
			continue
		}
		next := *r
		next.Until, next.Reason, next.Alert = r.Own.Until, r.Own.Reason, r.Own.Alert
		if err := m.install(ctx, now, &next); err != nil {
			return freed, fmt.Errorf("withdraw %s: %w", p, err)
		}
		freed = append(freed, p)
	}
	if err := m.backend.Remove(ctx, ending); err != nil {
		return freed, fmt.Errorf("withdraw %d blocks: %w", len(ending), err)
	}
	for _, p := range ending {
		m.records[p].Withdrawn = true
		m.end(now, false, m.records[p])
	}
	freed = append(freed, ending...)
	for p, w := range m.wishes {
		if w.open(now) && gone[w.Alert] {
			m.dropWish(w)
			freed = append(freed, p)
		}
	}
	slices.SortFunc(freed, netip.Prefix.Compare)
	return slices.Compact(freed), nil
}

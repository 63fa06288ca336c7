package block

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// ApplyNever brings blocks and kernel in line with the never-block set, as after
// Never.Watch has seen a change.
func (m *Manager) ApplyNever(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.freshNever(ctx, now)
}

// freshNever looks at this host again if the last look is old, fills the
// backend's never-block set if ours has changed, and ends the blocks that it
// forbids now.
func (m *Manager) freshNever(ctx context.Context, now time.Time) error {
	m.warn(m.never.Fresh(now))
	table := m.never.table.Load()
	if table == m.installed {
		return nil
	}
	if m.installed == nil || !slices.Equal(table.spans, m.installed.spans) {
		if err := m.backend.SetNever(ctx, table.prefixes()); err != nil {
			return err
		}
		if err := m.spare(ctx, now); err != nil {
			return err
		}
	}
	m.installed = table
	return nil
}

// spare ends what the never-block set forbids now.
func (m *Manager) spare(ctx context.Context, now time.Time) error {
	if err := m.spareFlows(ctx); err != nil {
		return err
	}
	var prefixes []netip.Prefix
	var ended []*record
	for p, r := range m.records {
		if _, never := m.never.Check(p); never && r.live(now) {
			prefixes, ended = append(prefixes, p), append(ended, r)
		}
	}
	for p, w := range m.wishes {
		if _, never := m.never.Check(p); never && w.open(now) {
			m.dropWish(w)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	if err := m.backend.Remove(ctx, prefixes); err != nil {
		return err
	}
	m.end(now, false, ended...)
	return nil
}

func (m *Manager) warn(err error) {
	if err != nil {
		m.status.Warning = err.Error()
	}
}

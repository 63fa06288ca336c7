package block

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Approve puts blocks that wait in force, as a person's wish: the caps do not
// hold, the never-block set does. They end when the evidence had them end, and
// fall with it (Withdraw). It returns those that are in force now, also beside an error; a prefix that does
// not wait, or no longer, is left out.
func (m *Manager) Approve(ctx context.Context, now time.Time, prefixes ...netip.Prefix) ([]Block, error) {
	blocks, err := m.approve(ctx, now, prefixes)
	return blocks, errors.Join(err, m.Keep())
}

func (m *Manager) approve(ctx context.Context, now time.Time, prefixes []netip.Prefix) (blocks []Block, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.freshNever(ctx, now); err != nil { // which drops the wishes that may not come true
		return nil, err
	}
	waiting, err := m.waiting(now, prefixes)
	if err != nil {
		return nil, err
	}
	for _, w := range waiting {
		next := record{Block: Block{Prefix: w.Prefix, Repeats: w.Repeats}}
		if old := m.records[w.Prefix]; old != nil && old.live(now) {
			next = *old
		}
		if next.Until.Before(w.Until) {
			next.Until, next.Reason, next.Alert = w.Until, w.Reason, w.Alert
			if err := m.install(ctx, now, &next); err != nil {
				return blocks, fmt.Errorf("approve %s: %w", w.Prefix, err)
			}
		}
		m.settle(next.Block)
		blocks = append(blocks, next.Block)
	}
	return blocks, nil
}

// Reject forgets blocks that wait, as a person's wish: evidence from before now
// does not ask again. It tells how many of the prefixes waited.
func (m *Manager) Reject(ctx context.Context, now time.Time, prefixes ...netip.Prefix) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	waiting, err := m.waiting(now, prefixes)
	for _, w := range waiting {
		m.reject(now, w)
	}
	m.mu.Unlock()
	return len(waiting), errors.Join(err, m.Keep())
}

// waiting returns the wishes of the prefixes that wait for a person, each once.
func (m *Manager) waiting(now time.Time, prefixes []netip.Prefix) ([]*wish, error) {
	var found []*wish
	for _, p := range prefixes {
		p, err := canonical(p)
		if err != nil {
			return nil, err
		}
		if w := m.wishes[p]; w != nil && w.open(now) && w.State == Waiting && !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	return found, nil
}

// forgetWishes drops those whose time is over, and rejections of evidence that
// is too old to ask again. At most half of the room is for rejections.
func (m *Manager) forgetWishes(now time.Time) {
	m.sweptWishes = now
	var rejections []*wish
	for _, w := range m.wishes {
		switch {
		case w.open(now):
		case w.Rejected.IsZero(), now.Sub(w.Rejected) > m.policy.Max:
			m.dropWish(w)
		default:
			rejections = append(rejections, w)
		}
	}
	slices.SortFunc(rejections, func(a, b *wish) int { return b.Rejected.Compare(a.Rejected) })
	for _, w := range rejections[min(len(rejections), m.policy.Total/2):] {
		m.dropWish(w)
	}
}

package block

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Restore reads the kept blocks and puts those that have not ended back into
// the kernel, with the time that is left to them. A record that cannot be read
// is counted (Status.Malformed) and left where it is. It does not resolve the
// names of the allow-list, which may take seconds: call Reconcile afterwards.
func (m *Manager) Restore(ctx context.Context, now time.Time) error {
	return errors.Join(m.restore(ctx, now), m.Keep())
}

func (m *Manager) restore(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.keeper.Each(func(key string, value []byte) error {
		r, w := kept(key, value)
		switch {
		case w != nil:
			m.wishes[w.Prefix] = w
		case r != nil:
			r.State = m.state()
			if r.Since.After(now.Add(-time.Hour)) {
				m.news.add(r.Since)
			}
			m.records[r.Prefix] = r
		default:
			m.status.Malformed++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.backend.Setup(ctx); err != nil {
		return err
	}
	_, err = m.reconcile(ctx, now)
	return err
}

// kept reads what Manager.Keep wrote: a record or a wish, or neither where that
// is not what it is.
func kept(key string, value []byte) (*record, *wish) {
	sound := func(b Block, key string) bool {
		p, err := canonical(b.Prefix)
		return err == nil && p == b.Prefix && p.String() == key && b.Repeats >= 0
	}
	if prefix, ok := strings.CutPrefix(key, wishKey); ok {
		var w wish
		if json.Unmarshal(value, &w) == nil && sound(w.Block, prefix) && (w.State == Waiting || w.State == Observed) {
			return nil, &w
		}
		return nil, nil
	}
	var r record
	if json.Unmarshal(value, &r) == nil && sound(r.Block, key) {
		return &r, nil
	}
	return nil, nil
}

// EndKept ends the live blocks that a keeper holds and rejects what waits, as
// Manager.Flush does, where no Manager runs: a restart will not bring them back.
// It returns how many blocks there were, and whether any was in the kernel.
func EndKept(k Keeper, now time.Time) (ended int, enforced bool, err error) {
	batch := make(map[string][]byte)
	err = k.Each(func(key string, value []byte) error {
		var changed any
		switch r, w := kept(key, value); {
		case w != nil && w.open(now):
			w.Rejected = now.UTC()
			changed = w
		case r != nil && r.live(now):
			ended++
			enforced = enforced || r.State == Blocked
			r.Until, r.Removed = now.UTC(), true
			changed = r
		default:
			return nil // what cannot be read is counted by Restore
		}
		data, err := json.Marshal(changed)
		batch[key] = data
		return err
	})
	if err == nil && len(batch) > 0 {
		err = k.Put(batch)
	}
	return ended, enforced, err
}

// Reconcile looks at this host again, reads what the kernel has counted, puts
// back the blocks that somebody else has flushed (and tells how many), takes
// over those that somebody else has set, and forgets old repeaters.
func (m *Manager) Reconcile(ctx context.Context, now time.Time) (int, error) {
	// Outside the lock: the allow-list's names may take a while to resolve.
	failed := m.never.Refresh(ctx, now)
	m.mu.Lock()
	m.status.Warning = ""
	m.warn(failed)
	restored, err := m.reconcile(ctx, now)
	m.mu.Unlock()
	return restored, errors.Join(err, m.Keep())
}

// ApplyNever brings blocks and kernel in line with the never-block set, as after
// Never.Watch has seen a change. Unlike Reconcile it resolves no names, which
// takes longest just when the network changes.
func (m *Manager) ApplyNever(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	err := m.freshNever(ctx, now)
	m.mu.Unlock()
	return errors.Join(err, m.Keep())
}

func (m *Manager) reconcile(ctx context.Context, now time.Time) (int, error) {
	if err := m.freshNever(ctx, now); err != nil {
		return 0, err
	}
	restored := 0
	if m.backend.Enforcing() {
		var err error
		if restored, err = m.compare(ctx, now); err != nil {
			return restored, err
		}
	}
	m.forget(now)
	m.forgetWishes(now)
	return restored, nil
}

// tolerance is how far the kernel's end of a block may be from ours.
const tolerance = time.Second

// compare makes the kernel hold what the records say.
func (m *Manager) compare(ctx context.Context, now time.Time) (restored int, err error) {
	counters, err := m.backend.Counters(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		err = m.backend.Setup(ctx)
	}
	if err != nil {
		return 0, err
	}
	var missing []Entry
	for p, r := range m.records {
		if !r.live(now) {
			continue
		}
		before, left := *r, r.Until.Sub(now)
		c, there := counters[p]
		if there {
			r.count(c)
		}
		if !there || (c.Remaining-left).Abs() > tolerance {
			r.rebase()
			missing = append(missing, Entry{p, left})
		}
		if *r != before {
			m.changed(r.key(), *r)
		}
	}
	if err := m.backend.Add(ctx, missing); err != nil {
		return 0, err
	}
	return len(missing), m.adopt(ctx, now, counters)
}

// adopt makes records of blocks that we do not know: the process may have died
// between kernel and disk, or a person has used the nft program. It removes
// those of the never-block set. One without an end is a person's business.
func (m *Manager) adopt(ctx context.Context, now time.Time, counters map[netip.Prefix]Counter) error {
	var wrong []netip.Prefix
	for p, c := range counters {
		if old := m.records[p]; old != nil && old.live(now) {
			continue
		}
		if _, never := m.never.Check(p); never {
			wrong = append(wrong, p)
			continue
		}
		if c.Remaining <= tolerance { // about to end, or endless
			continue
		}
		r := &record{Block: Block{
			Prefix: p, Since: now.UTC(), Until: now.Add(c.Remaining).UTC(), State: Blocked, Reason: "found in the kernel",
		}}
		if old := m.records[p]; old != nil {
			r.Repeats = old.Repeats
		}
		r.count(c)
		m.records[p] = r
		m.alive++
		m.changed(r.key(), *r)
	}
	return m.backend.Remove(ctx, wrong)
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

func (m *Manager) warn(err error) {
	if err != nil {
		m.status.Warning = err.Error()
	}
}

// forget deletes ended blocks that are too old or too many to remember.
func (m *Manager) forget(now time.Time) {
	var ended []*record
	for _, r := range m.records {
		if !r.live(now) {
			ended = append(ended, r)
		}
	}
	m.alive, m.swept = len(m.records)-len(ended), now
	slices.SortFunc(ended, func(a, b *record) int { return b.Until.Compare(a.Until) })
	for i, r := range ended {
		if i >= m.policy.Total || now.Sub(r.Until) > m.policy.Memory {
			delete(m.records, r.Prefix)
			m.changed(r.key(), nil)
		}
	}
}

package block

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"time"
)

// Restore reads the kept blocks and puts those that have not ended back into
// the kernel, with the time that is left to them. A record that cannot be read
// is counted (Status.Malformed) and left where it is. It does not resolve the
// names of the allow-list: call Refresh and Reconcile afterwards. It writes
// nothing, so that a full disk does not keep a host without its blocks.
func (m *Manager) Restore(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.keeper.Each(func(key string, value []byte) error {
		r, w, f := kept(key, value)
		switch {
		case f != nil:
			f.State = m.state()
			m.flows[f.Flow] = f
		case w != nil:
			m.wishes[w.Prefix] = w
			m.freeing.CompareAndSwap(false, !w.Rejected.IsZero())
		case r != nil:
			r.State = m.state()
			if r.Since.After(now.Add(-time.Hour)) {
				m.news.add(r.Since)
			}
			m.records[r.Prefix] = r
			m.freeing.CompareAndSwap(false, r.Removed)
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

// Refresh looks at this host again and resolves the names of the allow-list, which
// may take seconds: what is now before it is not now afterwards. Reconcile ends the
// blocks that are forbidden since.
func (m *Manager) Refresh(ctx context.Context, now time.Time) {
	failed := m.never.Refresh(ctx, now)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Warning = ""
	m.warn(failed)
}

// Reconcile reads what the kernel has counted, puts back the blocks that somebody
// else has flushed (and tells how many), takes over those that somebody else has
// set, and forgets old repeaters. It resolves no names.
func (m *Manager) Reconcile(ctx context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reconcile(ctx, now)
}

func (m *Manager) reconcile(ctx context.Context, now time.Time) (int, error) {
	if !m.compared.IsZero() {
		m.shift(now, setBy(m.compared, now))
	}
	m.compared = now
	if err := m.freshNever(ctx, now); err != nil {
		return 0, err
	}
	restored := 0
	if m.backend.Enforcing() {
		var err error
		if restored, err = m.compare(ctx, now); err != nil {
			return restored, err
		}
		flows, err := m.compareFlows(ctx, now)
		if restored += flows; err != nil {
			return restored, err
		}
	}
	m.forget(now)
	m.forgetFlows(now)
	m.forgetWishes(now)
	return restored, nil
}

// setBy is by how much the host's clock has been set between two times, both of
// time.Now.
func setBy(then, now time.Time) time.Duration {
	return now.Round(0).Sub(then.Round(0)) - now.Sub(then) // Sub is by the monotonic clock where there is one
}

// shift keeps all blocks and wishes as long as they were to last where the clock
// was set: the kernel counts their time down by another one. A host that slept is
// such a case too.
func (m *Manager) shift(now time.Time, by time.Duration) {
	if by.Abs() <= tolerance {
		return
	}
	before := now.Add(-by) // what the time would be
	for _, r := range m.records {
		if !r.live(before) {
			continue
		}
		r.Until = r.Until.Add(by)
		if !r.Own.Until.IsZero() {
			r.Own.Until = r.Own.Until.Add(by)
		}
		m.changed(r.key(), *r)
	}
	for _, w := range m.wishes {
		if w.open(before) {
			w.Until = w.Until.Add(by)
			m.putWish(w)
		}
	}
	for _, r := range m.flows {
		if r.live(before) {
			r.Until = r.Until.Add(by)
			m.putFlow(r)
		}
	}
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

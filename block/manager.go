package block

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Status is for people and metrics.
type Status struct {
	Live       int `json:"live"`       // blocks now; none in mode observe
	Waiting    int `json:"waiting"`    // for a person's approval
	Observed   int `json:"observed"`   // only shown: all in mode observe, else by Policy.Network
	Remembered int `json:"remembered"` // ended ones, which make repeaters
	LastHour   int `json:"last_hour"`  // new blocks
	Flows      int `json:"flows"`      // blocked or observed now, beside the prefixes
	// NeverHits counts the proposals that hit the never-block set since the
	// start, NeverLastHour those of others in the last hour. Breaker says that
	// these are too many: somebody has bad evidence, or bad intentions. What
	// others say waits for approval then.
	NeverHits     uint64 `json:"never_hits"`
	NeverLastHour int    `json:"never_last_hour"`
	Breaker       bool   `json:"breaker"`
	Malformed     int    `json:"malformed"`         // kept records that could not be read
	Warning       string `json:"warning,omitempty"` // of the never-block set
}

// Manager decides about proposals, and keeps the blocks in the kernel and on
// disk: first in the kernel. It starts no goroutine; whoever owns it calls
// Restore once, Keep every moment and at the end, and Refresh and Reconcile about
// every minute.
type Manager struct {
	backend Backend
	never   *Never
	keeper  Keeper
	policy  Policy

	// freeing is whether a person has ever freed a prefix: every report asks, and must
	// not wait for the kernel, which is changed under mu.
	freeing atomic.Bool

	writing sync.Mutex // held by who writes to the keeper, and taken before mu

	mu          sync.Mutex // guards all below
	records     map[netip.Prefix]*record
	wishes      map[netip.Prefix]*wish
	flows       map[Flow]*flowRecord
	unkept      map[string]any // what the disk does not have yet: see Keep
	alive       int            // at least as many blocks as are live
	swept       time.Time      // when they were counted last
	compared    time.Time      // when they were compared with the kernel last
	sweptWishes time.Time
	installed   *neverTable // what the backend's never-block set was filled from
	news        hourly
	hits        hourly
	status      Status // its counters
}

// NewManager returns a manager without blocks: see Restore. Its error names
// what is wrong with the policy.
func NewManager(b Backend, n *Never, k Keeper, p Policy) (*Manager, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	return &Manager{
		backend: b, never: n, keeper: k, policy: p,
		records: map[netip.Prefix]*record{}, wishes: map[netip.Prefix]*wish{}, flows: map[Flow]*flowRecord{}, unkept: map[string]any{},
	}, nil
}

// Remove ends blocks, as a person's wish: evidence from before now will not
// bring them back, and what comes later is no repeat. It rejects what waits,
// and tells how many of the prefixes were blocked or waited.
//
// What a person asks for is on disk when the call returns; where only that
// fails, the error says so.
func (m *Manager) Remove(ctx context.Context, now time.Time, prefixes ...netip.Prefix) (int, error) {
	n, err := m.remove(ctx, now, prefixes)
	return n, errors.Join(err, m.Keep())
}

func (m *Manager) remove(ctx context.Context, now time.Time, prefixes []netip.Prefix) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[netip.Prefix]bool{}
	for _, p := range prefixes {
		p, err := canonical(p)
		if err != nil {
			return 0, err
		}
		all[p] = true
	}
	// The kernel is asked about all of them: it may know more than we do.
	if err := m.backend.Remove(ctx, slices.Collect(maps.Keys(all))); err != nil {
		return 0, err
	}
	n := 0
	for p := range all {
		r, w := m.records[p], m.wishes[p]
		blocked, wished := r != nil && r.live(now), w != nil && w.open(now)
		if blocked {
			m.end(now, true, r)
		}
		if wished {
			m.reject(now, w)
		}
		if blocked || wished {
			n++
		}
	}
	return n, nil
}

// Flush ends all blocks like Remove, those of flows as well, rejects all that
// waits, and makes the kernel's table anew. It tells how many blocks it has ended.
func (m *Manager) Flush(ctx context.Context, now time.Time) (int, error) {
	n, err := m.flush(ctx, now)
	return n, errors.Join(err, m.Keep())
}

func (m *Manager) flush(ctx context.Context, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.backend.Flush(ctx); err != nil {
		return 0, err
	}
	var ended []*record
	for _, r := range m.records {
		if r.live(now) {
			ended = append(ended, r)
		}
	}
	m.end(now, true, ended...)
	for _, w := range m.wishes {
		if w.open(now) {
			m.reject(now, w)
		}
	}
	n := len(ended)
	for _, r := range m.flows {
		if r.live(now) {
			n++
		}
		m.dropFlow(r)
	}
	m.installed = nil
	return n, errors.Join(m.backend.Setup(ctx), m.freshNever(ctx, now))
}

// end turns blocks into the memory of them.
func (m *Manager) end(now time.Time, removed bool, records ...*record) {
	if removed {
		m.freeing.Store(true)
	}
	for _, r := range records {
		r.Until, r.Removed = now.UTC(), removed
		m.alive--
		m.changed(r.key(), *r)
	}
}

// List returns the blocks, and what waits or is observed, the latest first. A
// prefix may be there twice: blocked, and waiting for a longer block.
func (m *Manager) List(now time.Time) []Block {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Block
	for _, r := range m.records {
		if r.live(now) {
			list = append(list, r.Block)
		}
	}
	for _, w := range m.wishes {
		if w.open(now) {
			list = append(list, w.Block)
		}
	}
	slices.SortFunc(list, func(a, b Block) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return a.Prefix.Compare(b.Prefix)
	})
	return list
}

// Lookup returns the narrowest block that the address is under.
func (m *Manager) Lookup(now time.Time, addr netip.Addr) (Block, bool) {
	addr = addr.Unmap().WithZone("")
	m.mu.Lock()
	defer m.mu.Unlock()
	for bits := addr.BitLen(); bits >= 0; bits-- {
		if p, err := addr.Prefix(bits); err == nil && m.records[p] != nil && m.records[p].live(now) {
			return m.records[p].Block, true
		}
	}
	return Block{}, false
}

// Status counts.
func (m *Manager) Status(now time.Time) Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recount(now)
	s := m.status
	s.Remembered = len(m.records) - m.alive
	if m.backend.Enforcing() {
		s.Live = m.alive
	} else {
		s.Observed = m.alive
	}
	for _, w := range m.wishes {
		switch {
		case !w.open(now):
		case w.State == Waiting:
			s.Waiting++
		default:
			s.Observed++
		}
	}
	for _, r := range m.flows {
		if r.live(now) {
			s.Flows++
		}
	}
	s.LastHour, s.NeverLastHour = m.news.sum(now), m.hits.sum(now)
	s.Breaker = s.NeverLastHour > m.policy.Breaker
	return s
}

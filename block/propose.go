package block

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Proposal asks for a block.
type Proposal struct {
	Prefix netip.Prefix
	// Evidence is the time of the latest evidence. The block ends so long
	// after it, not after now: so a replay never extends a block. Evidence
	// from the future counts as of now.
	Evidence time.Time
	Reason   string // for people
	Alert    string // the alert's id, if one asks
	// Local says that this host saw the evidence itself: see Policy.MaxLocal
	// and Policy.Network. Fleet says that hosts of the same owner did: it acts
	// alike, and can be withdrawn with the host that said so.
	Local, Fleet bool
	// Manual is a person's wish: it may be wider than the policy, ignores the
	// caps, and lasts exactly Duration from now. The never-block set holds.
	Manual bool
	// Duration of a first block, the policy's where zero.
	Duration time.Duration
	// Hold is why a person has to approve this one even in mode auto, for
	// people; empty for no reason. It stops neither Local nor Manual.
	Hold string
}

// others says that the proposal rests on others' evidence alone.
func (p Proposal) others() bool { return !p.Local && !p.Fleet && !p.Manual }

// Decision tells what became of a proposal.
type Decision struct {
	// Block is the one that was made or extended, or that stands already; only
	// its prefix is set where there is none. Its State tells whether it is in
	// force, waits for a person or is only shown.
	Block Block
	// Applied says that the proposal made or extended the block.
	Applied bool
	// Refused is why there is no block, for people. It is empty where Applied, and
	// where a block that lasts as long stands already.
	Refused string
}

// Propose decides about a proposal and carries it out. The block is on disk
// after the next Keep; a person's is when Propose returns. An error means that
// the proposal could not be carried out; or, where the decision says Applied,
// that a person's block stands but would not survive a restart.
func (m *Manager) Propose(ctx context.Context, now time.Time, p Proposal) (Decision, error) {
	prefix, err := canonical(p.Prefix)
	if err != nil {
		return Decision{Refused: err.Error()}, nil
	}
	p.Prefix = prefix
	decision, err := m.propose(ctx, now, p)
	if p.Manual && decision.Applied {
		err = m.Keep()
	}
	return decision, err
}

func (m *Manager) propose(ctx context.Context, now time.Time, p Proposal) (Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.freshNever(ctx, now); err != nil {
		return Decision{}, err
	}
	old := m.records[p.Prefix]
	next, makes, refused := m.decide(now, p, old)
	if !makes {
		if old != nil && old.live(now) && next.Own != old.Own { // own evidence now holds it too
			m.put(&next)
		}
		return Decision{Block: next.Block, Refused: refused}, nil
	}
	if state, why := m.heldBack(now, p); state != "" {
		return m.wishFor(now, next.Block, state, why), nil
	}
	if full := m.cap(now, p, old); full != "" {
		return Decision{Block: Block{Prefix: p.Prefix}, Refused: full}, nil
	}
	if err := m.install(ctx, now, &next); err != nil {
		return Decision{}, err
	}
	return Decision{Block: next.Block, Applied: true}, nil
}

// decide returns the record that the proposal makes of the old one; or, if it
// makes none, why: for no reason where a block stands that lasts as long.
func (m *Manager) decide(now time.Time, p Proposal, old *record) (next record, makes bool, refused string) {
	live := old != nil && old.live(now)
	next = record{Block: Block{Prefix: p.Prefix}}
	if live {
		next = *old
	}
	if why, never := m.never.Check(p.Prefix); never {
		m.hitNever(now, p)
		return next, false, "never-block set: " + why
	}
	if wide := m.policy.tooWide(p.Prefix); wide != "" && !p.Manual {
		return next, false, wide
	}
	evidence := p.Evidence
	if p.Manual || evidence.After(now) {
		evidence = now
	}
	if rejected := m.rejected(p.Prefix); p.others() && !rejected.IsZero() && !evidence.After(rejected) {
		return next, false, fmt.Sprintf("rejected by hand at %s: only newer evidence counts", rejected.Format(time.RFC3339))
	}
	switch {
	case old == nil || live:
	case old.Removed:
		if !p.Manual && !evidence.After(old.Until) {
			return next, false, fmt.Sprintf("removed by hand at %s: only newer evidence counts", old.Until.Format(time.RFC3339))
		}
	case old.Withdrawn, evidence.Before(old.Until): // never right, or still the attack that it was blocked for
		next.Repeats = old.Repeats
	default:
		next.Repeats = old.Repeats + 1
	}
	until := evidence.Add(m.policy.duration(p, next.Repeats)).UTC()
	if until.Sub(now) < time.Millisecond {
		return next, false, fmt.Sprintf("too old: a block for evidence of %s would have ended at %s", evidence.UTC().Format(time.RFC3339), until.Format(time.RFC3339))
	}
	if p.Manual || p.Local && until.After(next.Own.Until) {
		next.Own = ground{until, p.Reason, p.Alert}
	}
	if live && !p.Manual && !until.After(old.Until) {
		return next, false, ""
	}
	next.Until, next.Reason, next.Alert = until, p.Reason, p.Alert
	return next, true, ""
}

// hitNever counts a proposal that hit the never-block set. A person's mistake
// is no attack, and what this host sees itself opens no breaker against others.
func (m *Manager) hitNever(now time.Time, p Proposal) {
	if !p.Manual {
		m.status.NeverHits++
	}
	if p.others() {
		m.hits.add(now)
	}
}

// cap says why a new block would be one too many, if it would.
func (m *Manager) cap(now time.Time, p Proposal, old *record) string {
	switch {
	case p.Manual, old != nil && old.live(now):
		return ""
	case m.news.sum(now) >= m.policy.PerHour:
		return fmt.Sprintf("cap: %d new blocks in an hour", m.policy.PerHour)
	case m.full(now):
		return fmt.Sprintf("cap: %d blocks at a time", m.policy.Total)
	}
	return ""
}

// install puts a block in force, in the place of the one of its prefix: first
// in the kernel. Its error leaves everything as it was.
func (m *Manager) install(ctx context.Context, now time.Time, next *record) error {
	old := m.records[next.Prefix]
	extends := old != nil && old.live(now)
	if extends && m.backend.Enforcing() { // the kernel's counter begins anew
		if counters, err := m.backend.Counters(ctx, next.Prefix); err == nil {
			next.count(counters[next.Prefix])
		}
		next.rebase()
	}
	if err := m.backend.Add(ctx, []Entry{{next.Prefix, next.Until.Sub(now)}}); err != nil {
		return err
	}
	if !extends {
		next.Since = now.UTC()
		m.alive++
		m.news.add(now)
	}
	next.State = m.state()
	m.put(next)
	m.settle(next.Block)
	return nil
}

func (m *Manager) put(r *record) {
	m.records[r.Prefix] = r
	m.changed(r.key(), *r)
}

func (m *Manager) state() string {
	if m.backend.Enforcing() {
		return Blocked
	}
	return Observed
}

// full counts the blocks when it seems so, but no more than once a second.
func (m *Manager) full(now time.Time) bool {
	if m.alive >= m.policy.Total && now.Sub(m.swept).Abs() >= time.Second {
		m.recount(now)
	}
	return m.alive >= m.policy.Total
}

func (m *Manager) recount(now time.Time) {
	m.alive, m.swept = 0, now
	for _, r := range m.records {
		if r.live(now) {
			m.alive++
		}
	}
}

package block

import (
	"fmt"
	"net/netip"
	"time"
)

// A wish is a block that others' evidence asks for and that is not in force:
// it waits for a person (Waiting), or is only shown (Observed). Wishes are kept
// apart from blocks, since a prefix may have both: a block for what this host
// has seen, and others' wish for a longer one.
type wish struct {
	Block
	// Rejected is when a person has rejected it. It then is the memory of that.
	Rejected time.Time `json:"rejected,omitzero"`
}

// open says that the wish is still of interest.
func (w *wish) open(now time.Time) bool {
	return w.Rejected.IsZero() && w.Until.Sub(now) >= time.Millisecond
}

// heldBack says which state a proposal gets in the place of a block, and what
// for; or none, for one that may block.
func (m *Manager) heldBack(now time.Time, p Proposal) (state, why string) {
	switch hits := m.hits.sum(now); {
	case !p.others():
		return "", ""
	case m.policy.Network == Observe:
		return Observed, ""
	case p.Hold != "":
		return Waiting, p.Hold
	case hits > m.policy.Breaker:
		return Waiting, fmt.Sprintf("the breaker is open: %d proposals of the last hour hit the never-block set", hits)
	case m.policy.Network == Approve:
		return Waiting, "mode approve: a person decides about others' evidence"
	}
	return "", ""
}

// wishFor makes or extends the wish for a block.
func (m *Manager) wishFor(now time.Time, b Block, state, why string) Decision {
	next := wish{Block: Block{
		Prefix: b.Prefix, Since: now.UTC(), Until: b.Until, State: state,
		Reason: b.Reason, Alert: b.Alert, Hold: why, Repeats: b.Repeats,
	}}
	switch old := m.wishes[b.Prefix]; {
	case old != nil && old.open(now):
		if old.State == state && !next.Until.After(old.Until) {
			return Decision{Block: old.Block}
		}
		next.Since = old.Since
	case m.crowded(now):
		return Decision{Block: Block{Prefix: b.Prefix}, Refused: fmt.Sprintf("cap: %d blocks wait or are observed", m.policy.Total)}
	}
	m.putWish(&next)
	return Decision{Block: next.Block, Applied: true}
}

func (m *Manager) putWish(w *wish) {
	m.wishes[w.Prefix] = w
	m.changed(w.key(), *w)
}

func (m *Manager) dropWish(w *wish) {
	delete(m.wishes, w.Prefix)
	m.changed(w.key(), nil)
}

// settle drops the wish that a block fulfils.
func (m *Manager) settle(b Block) {
	if w := m.wishes[b.Prefix]; w != nil && w.Rejected.IsZero() && !w.Until.After(b.Until) {
		m.dropWish(w)
	}
}

// reject makes the memory of a rejection out of a wish.
func (m *Manager) reject(now time.Time, w *wish) {
	w.Rejected = now.UTC()
	m.freeing.Store(true)
	m.putWish(w)
}

// rejected is when a person has last rejected a wish for the prefix.
func (m *Manager) rejected(p netip.Prefix) time.Time {
	if w := m.wishes[p]; w != nil {
		return w.Rejected
	}
	return time.Time{}
}

// crowded counts the open wishes when it seems so, but no more than once a second.
func (m *Manager) crowded(now time.Time) bool {
	if len(m.wishes) >= m.policy.Total && now.Sub(m.sweptWishes).Abs() >= time.Second {
		m.forgetWishes(now)
	}
	return len(m.wishes) >= m.policy.Total
}

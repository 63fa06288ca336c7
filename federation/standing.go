package federation

import (
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
)

// largeFederation is from how many members on a node collects only after a whole
// salt period: where there are fewer, everybody is needed.
const largeFederation = 20

// census is how many members there were at a time; it is taken anew after a
// minute, and when documents come in.
type census struct {
	at      time.Time
	members int
}

// newest is the organisation's newest certificate: its tier and quota hold.
func (m *Member) newest(c charter) charter {
	if known, ok := m.organisations[c.Organisation]; ok {
		return known
	}
	return c
}

func (m *Member) revokedOrganisation(c charter) (Entry, bool) {
	return m.lists[m.rootName].names(c.Serial, c.keyName)
}

// revoked says by which entry a node is out: its own, or its organisation's.
func (m *Member) revoked(p papers) (Entry, bool) {
	if e, ok := m.revokedOrganisation(p.by); ok {
		return e, true
	}
	if e, ok := m.lists[m.rootName].names(p.Serial, p.ID); ok {
		return e, true
	}
	return m.lists[p.by.keyName].names(p.Serial, p.ID)
}

// refuse says why what the node says does not count.
func (m *Member) refuse(now time.Time, p papers) error {
	if e, ok := m.revoked(p); ok {
		return fmt.Errorf("node %s of organisation %s: %w on %s: %s", p.ID, p.Node.Organisation, ErrRevoked, stamp(e.At), e.Reason)
	}
	if _, ok := m.faults[p.ID]; ok {
		return fmt.Errorf("node %s of organisation %s: %w: it has signed two reports that contradict each other; it must join anew, with a new identity",
			p.ID, p.Node.Organisation, ErrFaulty)
	}
	return p.valid(now)
}

// known returns what is known of a node, and why it does not count.
func (m *Member) known(now time.Time, id string) (papers, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.nodes[id]
	if !ok {
		return p, fmt.Errorf("node %.64q: %w", id, ErrUnknown)
	}
	return p, m.refuse(now, p)
}

// Organisation is who a node votes for, and empty for an unknown node.
func (m *Member) Organisation(id string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.nodes[id].Node.Organisation
}

// Admitted says whether the node is a member now.
func (m *Member) Admitted(now time.Time, id string) bool {
	_, err := m.known(now, id)
	return err == nil
}

// Votes says whether what the node reports counts for a quorum.
func (m *Member) Votes(now time.Time, id string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.nodes[id]
	return ok && m.refuse(now, p) == nil && m.newest(p.by).Tier != TierProbation
}

// Standing says for whom a node stands, and whether it may collect the evidence
// of a key: in a federation of 20 members and more only after it has been a
// member for one whole UTC day.
func (m *Member) Standing(now time.Time, id string) (organisation string, collects bool) {
	p, err := m.known(now, id)
	if err != nil {
		return p.Node.Organisation, false
	}
	yesterday := now.UTC().Truncate(day).Add(-day)
	return p.Node.Organisation, p.Since <= yesterday.Unix() || m.members(now) < largeFederation
}

// members is how many there are; what it says may be a minute old.
func (m *Member) members(now time.Time) int {
	m.mu.RLock()
	c := m.census
	m.mu.RUnlock()
	if age := now.Sub(c.at); age >= 0 && age < time.Minute {
		return c.members
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.census = census{at: now}
	for _, p := range m.nodes {
		if m.refuse(now, p) == nil {
			m.census.members++
		}
	}
	return m.census.members
}

// Verify checks that a member made the statement whose word counts now. The error
// is ErrUnknown where the signer's chain has to be fetched first; else
// ErrRevoked, ErrFaulty, ErrExpired, ErrEarly or ErrSignature.
func (m *Member) Verify(now time.Time, s event.Sealed) error {
	p, err := m.known(now, s.Signer)
	if err != nil {
		return fmt.Errorf("statement: %w", err)
	}
	if m.verified.has(s) {
		return nil
	}
	if err := verifySealed(p.key, s); err != nil {
		return err
	}
	m.verified.add(s)
	return nil
}

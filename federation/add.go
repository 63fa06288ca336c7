package federation

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"
)

// Effect is what a document has changed here.
type Effect struct {
	News   bool // it was not known: pass it on
	Quiet  bool // it was not known, but its issuer tells too much: neighbours pull it
	Policy bool // another policy holds
	Expels bool // somebody is out: close connections, judge again
}

// Add verifies a document and takes it in. One that is known, or older than what
// is known, is no error and no news.
//
// One that comes too soon after the one that it would replace is neither, too: it
// is left alone.
//
// A document is taken for what it is worth by itself: the chain of a revoked
// node too, so that the order of arrival does not matter and everybody can tell
// a revoked node from an unknown one. Bounds alone depend on the order: what finds
// no room (ErrQuota, ErrFull) has to be fetched again when there is some.
func (m *Member) Add(now time.Time, document []byte) (Effect, error) {
	hash := sha256.Sum256(document)
	m.mu.RLock()
	known := m.pool.known[hash]
	m.mu.RUnlock()
	if known {
		return Effect{}, nil
	}
	kind, s, err := openDocument(m.root, m.name, document)
	if err != nil {
		return Effect{}, err
	}
	if err := s.valid(now); err != nil {
		return Effect{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.take(now, kind, s, bytes.Clone(document))
}

// take decides on what has been opened; m.mu is held. It asks for nothing that
// depends on the present time, except which nodes use up a quota.
func (m *Member) take(now time.Time, kind Kind, s statement, document []byte) (Effect, error) {
	key := keyOf(kind, s)
	held, ok := m.pool.held[key]
	if ok {
		switch order := s.version().compare(held.statement.version()); {
		case order < 0:
			return Effect{}, nil
		case order == 0 && !bytes.Equal(s.signed(), held.statement.signed()):
			return Effect{}, fmt.Errorf("%s %.80s: %w: its signer has signed two", kind, s.identity(), ErrContradiction)
		case order == 0 && s.ends() <= held.statement.ends(), tooSoon(s, held.statement):
			return Effect{}, nil
		}
	}
	effect := Effect{News: true}
	var err error
	switch s := s.(type) {
	case papers:
		err = m.takeChain(now, s)
	case charter:
		err = m.learn(s)
	case revocations:
		effect, err = m.takeRevocations(now, s)
	case freshness:
		if err = m.learn(s.by); err == nil {
			m.freshness[s.Organisation] = s
		}
	case policy:
		m.policy, effect.Policy = s.Policy, true
	case fault:
		effect.Expels, err = m.takeFault(s)
	}
	if err != nil {
		return Effect{}, err
	}
	m.census = census{}
	m.pool.put(key, s, document)
	return effect, nil
}

// tooSoon says that a statement replaces another of its signer sooner than an
// honest signer has reason to. Whoever has an organisation's key, which is on
// line, could otherwise have all members pass on new statements without end. The
// dates stated count, and not when they came: so the order in which honest
// documents come does not matter.
func tooSoon(s, held statement) bool {
	switch s := s.(type) {
	case papers:
		held := held.(papers)
		renewed := s.by.version().compare(held.by.version()) > 0 // the root limits these
		return !renewed && s.NotBefore-held.NotBefore < int64(chainEvery/time.Second)
	case freshness:
		return s.At-held.(freshness).At < int64(stateAtMost/time.Second)
	}
	return false
}

func (m *Member) takeChain(now time.Time, p papers) error {
	_, known := m.nodes[p.ID]
	if !known && len(m.nodes) >= MaxMembers {
		m.forget(func(p papers) bool { return p.ID != m.id && m.refuse(now, p) != nil })
		if len(m.nodes) >= MaxMembers {
			return fmt.Errorf("node %s of organisation %s: %w: a federation has up to %d members", p.ID, p.Node.Organisation, ErrFull, MaxMembers)
		}
	}
	if err := m.checkQuota(now, p); err != nil {
		return err
	}
	if err := m.learn(p.by); err != nil {
		return err
	}
	if _, seen := m.sightings[p.ID]; !seen {
		if err := m.see(p.ID, sighting{First: now.Unix()}); err != nil {
			return err
		}
	}
	m.nodes[p.ID] = p
	if p.ID == m.id && !bytes.Equal(p.chain.Node.Body, m.membership.Chain.Node.Body) {
		m.membership.Chain, m.unsaved = p.chain, true
	}
	return nil
}

// checkQuota refuses a node too many. A certificate that replaces a valid one of
// the same node is none, also after the root has granted fewer; and one that is
// revoked or expired uses nothing up.
func (m *Member) checkQuota(now time.Time, p papers) error {
	held, known := m.nodes[p.ID]
	replaces := known && held.Node.Organisation == p.Node.Organisation && m.usesQuota(now, held)
	if replaces || !m.usesQuota(now, p) {
		return nil
	}
	quota, used := m.newest(p.by).Quota, 0
	for id, other := range m.nodes {
		if id != p.ID && other.Node.Organisation == p.Node.Organisation && m.usesQuota(now, other) {
			used++
		}
	}
	if used >= quota {
		return fmt.Errorf("node %s of organisation %s: %w: %d nodes have a valid certificate; revoke one, or have the root grant more",
			p.ID, p.Node.Organisation, ErrQuota, used)
	}
	return nil
}

func (m *Member) usesQuota(now time.Time, p papers) bool {
	_, revoked := m.revoked(p)
	return !revoked && p.valid(now) == nil
}

// learn takes in an organisation's certificate, which comes by itself and in
// whatever the organisation has signed.
func (m *Member) learn(c charter) error {
	known, ok := m.organisations[c.Organisation]
	if !ok {
		if len(m.organisations) >= MaxOrganisations {
			return fmt.Errorf("organisation %s: %w: a federation has up to %d organisations", c.Organisation, ErrFull, MaxOrganisations)
		}
		m.organisations[c.Organisation] = c
		return nil
	}
	switch order := c.version().compare(known.version()); {
	case order == 0 && !bytes.Equal(c.signed(), known.signed()):
		return fmt.Errorf("certificate of organisation %s: %w: its admission was redeemed for two keys, have the root revoke it", c.Organisation, ErrContradiction)
	case order > 0:
		m.organisations[c.Organisation] = c
	}
	return nil
}

func (m *Member) takeFault(f fault) (expels bool, err error) {
	_, known := m.faults[f.by.ID]
	if !known {
		others := 0
		for _, other := range m.faults {
			if other.by.by.Organisation == f.by.by.Organisation {
				others++
			}
		}
		if others >= maxFaults || len(m.faults) >= MaxMembers {
			return false, fmt.Errorf("fault of node %s: %w: organisation %s has %d faulty nodes, have the root revoke it",
				f.by.ID, ErrFull, f.by.by.Organisation, others)
		}
	}
	if err := m.learn(f.by.by); err != nil {
		return false, err
	}
	m.faults[f.by.ID] = f
	return !known, nil
}

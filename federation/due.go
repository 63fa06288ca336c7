package federation

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"
)

const (
	// stateEvery is how often an anchor states that the root's list is the newest.
	stateEvery = time.Hour
	// stateAtMost is how often it may, when the root signs new ones.
	stateAtMost = 10 * time.Minute
)

// Due returns what this node, as an issuer of its organisation, has to tell now,
// already added here: renewed certificates of itself and of the nodes of its
// organisation that are alive (once two thirds of their life are over), its
// organisation's statement of freshness, and its revocation list under a renewed
// certificate. A node without the organisation's key has nothing to tell. Call
// it each minute or so; alive may ask this Member.
//
// A node whose certificate has ended is admitted nowhere and so cannot be seen
// alive: for 30 days it is renewed without that, once in each certificate's life,
// so that it finds its new one known when it comes back.
func (m *Member) Due(now time.Time, alive func(id string) bool) ([][]byte, error) {
	if m.organisation == nil {
		return nil, nil
	}
	own, renew, state, list, err := m.due(now)
	if err != nil {
		return nil, fmt.Errorf("this node cannot certify for its organisation: %w", err)
	}
	var documents [][]byte
	var errs []error
	tell := func(document []byte, err error) {
		if err == nil {
			_, err = m.Add(now, document)
		}
		if err != nil {
			errs = append(errs, err)
			return
		}
		documents = append(documents, document)
	}
	for _, p := range renew {
		if p.lost == 0 && p.ID != m.id && !alive(p.ID) {
			continue
		}
		document, err := m.renew(now, own, p)
		switch {
		case p.lost != 0 && errors.Is(err, ErrQuota): // others have taken its place, perhaps for good
		case err != nil:
			errs = append(errs, fmt.Errorf("renew node %s: %w", p.ID, err))
		default:
			documents = append(documents, document)
		}
	}
	if state > 0 {
		tell(signFreshness(m.organisation, own, state, now))
	}
	if list != nil {
		tell(encodeDocument(KindRevocations, witnessed{&own.form, list.form.Statement}))
	}
	return documents, errors.Join(errs...)
}

// Certifier says which node is to renew this node's certificate now, and when that
// ends: a zero time where none has to, or this node does it itself. The node is
// empty where none can. It renews only whom it sees alive, and who has no address at
// which others reach it has to show up.
func (m *Member) Certifier(now time.Time) (id string, ends time.Time) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	own := m.nodes[m.id]
	if own.Issuer || !own.due(now) {
		return "", time.Time{}
	}
	ends = time.Unix(own.NotAfter, 0)
	for _, p := range m.nodes {
		if p.Issuer && p.Node.Organisation == own.Node.Organisation && m.refuse(now, p) == nil {
			return p.ID, ends
		}
	}
	return "", ends
}

// renewal is a node to renew. Lost is when the last certificate ended under which
// it was alive, 0 where that runs.
type renewal struct {
	papers
	lost int64
}

// renew gives a node a new certificate, and takes it in here.
func (m *Member) renew(now time.Time, own charter, r renewal) ([]byte, error) {
	chain, err := own.issue(m.organisation, r.Node, now)
	if err != nil {
		return nil, err
	}
	document, err := encodeDocument(KindChain, chain)
	if err != nil {
		return nil, err
	}
	if _, err := m.Add(now, document); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sightings[r.ID]; s.Lost != r.lost {
		s.Lost = r.lost
		return document, m.see(r.ID, s)
	}
	return document, nil
}

// due finds what there is to do, so that signing holds no lock: the nodes to
// renew, the number of the root's list to state (0: none), the own list to tell
// again.
func (m *Member) due(now time.Time) (own charter, renew []renewal, state uint64, list *revocations, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	own = m.newest(m.nodes[m.id].by)
	if e, revoked := m.revokedOrganisation(own); revoked {
		return own, nil, 0, nil, fmt.Errorf("organisation %s: %w on %s: %s", own.Organisation, ErrRevoked, stamp(e.At), e.Reason)
	}
	if err := own.valid(now); err != nil {
		return own, nil, 0, nil, err
	}
	if !publicOf(m.organisation).Equal(own.key) {
		return own, nil, 0, nil, fmt.Errorf("the root has admitted organisation %s with another key since: "+
			"join again by an invitation of the node that has that key (another --data), or have the root revoke it and invite you anew", own.Organisation)
	}
	for _, p := range m.nodes {
		if longer := min(now.Add(nodeLife).Unix(), own.NotAfter) > p.NotAfter; !longer || !p.due(now) || !bytes.Equal(p.by.key, own.key) {
			continue
		}
		switch err := m.refuse(now, p); {
		case err == nil || errors.Is(err, ErrExpired) && p.ID == m.id:
			renew = append(renew, renewal{p, 0})
		case errors.Is(err, ErrExpired):
			if lost := cmp.Or(m.sightings[p.ID].Lost, p.NotAfter); now.Add(-absence).Unix() < lost {
				renew = append(renew, renewal{p, lost})
			}
		}
	}
	if root, ok := m.lists[m.rootName]; ok && own.Tier == TierAnchor {
		stated := m.freshness[own.Organisation]
		age := now.Sub(time.Unix(stated.At, 0))
		if age >= stateEvery || stated.Number < root.Number && age >= stateAtMost {
			state = root.Number
		}
	}
	if l, ok := m.lists[own.keyName]; ok && l.ends() < own.ends() {
		list = &l
	}
	return own, renew, state, list, nil
}

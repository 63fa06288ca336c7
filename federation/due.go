package federation

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// stateEvery is how often an anchor states that the root's list is the newest.
const stateEvery = time.Hour

// Due returns what this node, as an issuer of its organisation, has to tell now,
// already added here: renewed certificates of itself and of the nodes of its
// organisation that are alive (once two thirds of their life are over), its
// organisation's statement of freshness, and its revocation list under a renewed
// certificate. A node without the organisation's key has nothing to tell. Call
// it each minute or so; alive may ask this Member.
func (m *Member) Due(now time.Time, alive func(id string) bool) ([][]byte, error) {
	if m.organisation == nil {
		return nil, nil
	}
	own, renew, state, list := m.due(now)
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
		if p.ID != m.id && !alive(p.ID) {
			continue
		}
		chain, err := own.issue(m.organisation, p.Node, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("renew node %s: %w", p.ID, err))
			continue
		}
		tell(encodeDocument(KindChain, chain))
	}
	if state > 0 {
		tell(signFreshness(m.organisation, own, state, now))
	}
	if list != nil {
		tell(encodeDocument(KindRevocations, witnessed{&own.form, list.form.Statement}))
	}
	return documents, errors.Join(errs...)
}

// due finds what there is to do, so that signing holds no lock: the nodes to
// renew, the number of the root's list to state (0: none), the own list to tell
// again.
func (m *Member) due(now time.Time) (own charter, renew []papers, state uint64, list *revocations) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	own = m.newest(m.nodes[m.id].by)
	if _, revoked := m.revokedOrganisation(own); revoked || own.valid(now) != nil || !bytes.Equal(own.key, publicOf(m.organisation)) {
		return own, nil, 0, nil
	}
	for _, p := range m.nodes {
		longer := min(now.Add(nodeLife).Unix(), own.NotAfter) > p.NotAfter
		if err := m.refuse(now, p); bytes.Equal(p.by.key, own.key) && p.due(now) && longer && (err == nil || errors.Is(err, ErrExpired)) {
			renew = append(renew, p)
		}
	}
	if root, ok := m.lists[m.rootName]; ok && own.Tier == TierAnchor {
		stated := m.freshness[own.Organisation]
		if stated.Number < root.Number || now.Sub(time.Unix(stated.At, 0)) >= stateEvery {
			state = root.Number
		}
	}
	if l, ok := m.lists[own.keyName]; ok && l.ends() < own.ends() {
		list = &l
	}
	return own, renew, state, list
}

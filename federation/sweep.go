package federation

import "time"

// Sweep forgets what is over: expired documents are no longer passed on, and
// after 30 days no longer known. Call it each minute or so.
func (m *Member) Sweep(now time.Time) {
	gone := m.desk.sweep(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range gone {
		m.pool.unkept[key] = nil
	}
	for _, r := range m.pool.held {
		if now.Unix() >= r.statement.ends() {
			m.pool.retire(r)
		}
	}
	over := func(s statement) bool { return now.Add(-absence).Unix() >= s.ends() }
	m.forget(func(p papers) bool { return p.ID != m.id && over(p) })
	forget(m, KindFreshness, m.freshness, func(f freshness) bool { return now.Unix() >= f.ends() })
	forget(m, KindRevocations, m.lists, func(r revocations) bool { return over(r) })
	forget(m, KindFault, m.faults, func(f fault) bool { return over(f) })
	forget(m, KindOrganisation, m.organisations, func(c charter) bool { return over(c) })
	m.census = census{}
}

// forget drops the nodes that match, with their documents; m.mu is held.
func (m *Member) forget(match func(papers) bool) {
	forget(m, KindChain, m.nodes, func(p papers) bool {
		gone := match(p)
		if gone {
			m.unsee(p.ID)
		}
		return gone
	})
}

func forget[S statement](m *Member, kind Kind, from map[string]S, match func(S) bool) {
	for name, s := range from {
		if match(s) {
			delete(from, name)
			m.pool.drop(keyOf(kind, s))
		}
	}
}

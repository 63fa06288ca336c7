package node

import (
	"net/netip"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// merger takes the events of one node that belong together for one, before they are evidence:
// the lines of a login attempt, and what relations say. What comes from one's own networks is no
// evidence, but may confirm what is.
type merger struct {
	own      []netip.Prefix
	attempts correlate.Attempts
	links    *correlate.Links
	chains   *correlate.Chains
}

func newMerger(rules correlate.Rules, own []netip.Prefix) *merger {
	return &merger{own: own, links: correlate.NewLinks(rules), chains: correlate.NewChains(rules)}
}

// changes calls fn for all that an event changes of the evidence.
func (m *merger) changes(e event.Event, fn func(correlate.Change)) {
	changes := []correlate.Change{{Event: e, Delta: +1}}
	if !within(m.own, e.Source.Addr) {
		changes = m.attempts.Add(e)
	}
	for _, c := range changes {
		for _, c := range m.links.Add(c) {
			if !within(m.own, c.Event.Source.Addr) {
				fn(c)
			}
		}
	}
}

package federation

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Summary says how safe the federation is at present.
type Summary struct {
	Organisations int // that have a node whose certificate counts
	Voting        int // of these
	Anchors       int // of these
	Members       int // nodes
	Quorum        int
	// Withstands is how many organisations may be hostile together without being
	// able to have anybody blocked.
	Withstands int
	Weak       bool   // fewer than five organisations vote
	Sentence   string // all of it, for people
}

const fewVotes = 5

// Summary counts the members at a time.
func (m *Member) Summary(now time.Time) Summary {
	tiers := map[string]Tier{}
	var s Summary
	m.mu.RLock()
	for _, p := range m.nodes {
		if m.refuse(now, p) == nil {
			s.Members++
			tiers[p.Node.Organisation] = m.newest(p.by).Tier
		}
	}
	s.Quorum = cmp.Or(m.policy.Quorum, DefaultQuorum)
	m.mu.RUnlock()
	s.Organisations, s.Withstands = len(tiers), s.Quorum-1
	for _, tier := range tiers {
		if tier != TierProbation {
			s.Voting++
		}
		if tier == TierAnchor {
			s.Anchors++
		}
	}
	s.Weak = s.Voting < fewVotes
	s.Sentence = s.sentence()
	return s
}

func (s Summary) sentence() string {
	votes := fmt.Sprintf("%d vote", s.Voting)
	if s.Voting == 1 {
		votes = "1 votes"
	}
	text := fmt.Sprintf("%s (%s), %s, quorum %d: ", count(s.Organisations, "organisation"), votes, count(s.Members, "member"), s.Quorum)
	switch {
	case s.Voting < s.Quorum:
		text += "no quorum can be met, evidence of others blocks nobody"
	case s.Withstands == 0:
		text += "a single hostile organisation can have anybody blocked"
	case s.Withstands == 1:
		text += "one hostile organisation can block nobody; two together could"
	default:
		text += fmt.Sprintf("%d hostile organisations together can block nobody; %d could", s.Withstands, s.Withstands+1)
	}
	if s.Weak && s.Voting >= s.Quorum {
		text += fmt.Sprintf("; with fewer than %d votes that is weak", fewVotes)
	}
	return text
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// MemberInfo is what is known of one node.
type MemberInfo struct {
	Node
	Tier  Tier
	Key   string // the organisation's, as a revocation names it
	Votes bool
	// Refused says why nothing that the node says counts; nil for a member.
	Refused error
}

// Members lists all nodes that are known, those that are out too, by
// organisation and id.
func (m *Member) Members(now time.Time) []MemberInfo {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var list []MemberInfo
	for _, p := range m.nodes {
		tier, refused := m.newest(p.by).Tier, m.refuse(now, p)
		list = append(list, MemberInfo{Node: p.Node, Tier: tier, Key: p.by.keyName, Votes: refused == nil && tier != TierProbation, Refused: refused})
	}
	slices.SortFunc(list, func(a, b MemberInfo) int {
		return cmp.Or(cmp.Compare(a.Organisation, b.Organisation), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Certificate returns an organisation's newest certificate, for RenewOrganisation
// and SignOwnRevocations, and what it says.
func (m *Member) Certificate(organisation string) (Organisation, Admission, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, ok := m.organisations[organisation]
	return c.form, c.Admission, ok
}

// Revocations returns the newest list of every key, the root's first. They must
// not be changed.
func (m *Member) Revocations() []IssuedList {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var lists []IssuedList
	for key, r := range m.lists {
		lists = append(lists, IssuedList{r.RevocationList, key})
	}
	slices.SortFunc(lists, func(a, b IssuedList) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(b.Number, a.Number), cmp.Compare(a.Key, b.Key))
	})
	return lists
}

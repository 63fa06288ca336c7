package correlate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// maxMembers bounds the reports gathered under one key.
const maxMembers = 1024

// Errors of Collector.Put.
var (
	// ErrContradiction: a member signed two different reports of one version. It
	// has proved its own fault; its evidence under the key no longer counts.
	ErrContradiction = errors.New("two different reports of one version")
	// ErrTooMany: the key has reports of as many members as are kept.
	ErrTooMany = fmt.Errorf("reports of %d members gathered already", maxMembers)
)

// Collector gathers what members say about the keys that this node is near to.
// Memory is bounded by the number of reports. The keys that fewest organisations
// speak of go first: no number that one of them claims outweighs another's word.
type Collector struct {
	rules   Rules
	limit   int
	reports int
	budget  budget
	keys    map[event.Key]map[string]*statement
}

type statement struct {
	version   uint64
	testimony Testimony
	faulty    bool
}

// NewCollector returns a collector of at most limit reports, or of those under
// one key where they alone are more.
func NewCollector(rules Rules, limit int) *Collector {
	return &Collector{rules: rules, limit: limit, keys: make(map[event.Key]map[string]*statement)}
}

// Put takes a report that has been verified to be signed by its member. It returns false for
// one that is not newer than what is known, which does no harm: reports are
// cumulative.
func (c *Collector) Put(r event.Report, organisation string, sealed event.Sealed) (bool, error) {
	members := c.keys[r.Key]
	if members == nil {
		members = make(map[string]*statement)
		c.keys[r.Key] = members
	}
	old := members[r.Member]
	switch {
	case old == nil && len(members) >= maxMembers:
		return false, fmt.Errorf("key %q: %w", r.Key, ErrTooMany)
	case old != nil && (old.faulty || r.Version < old.version):
		return false, nil
	case old != nil && r.Version == old.version:
		if bytes.Equal(old.testimony.Sealed.Body, sealed.Body) {
			return false, nil
		}
		old.faulty = true
		return false, fmt.Errorf("key %q, version %d of member %q: %w", r.Key, r.Version, r.Member, ErrContradiction)
	}
	members[r.Member] = &statement{version: r.Version, testimony: Testimony{
		Organisation: organisation, Member: r.Member, Tallies: r.Tallies, Sealed: sealed,
	}}
	if old == nil {
		c.reports++
	}
	organisations := map[string]bool{}
	for _, s := range members {
		organisations[s.testimony.Organisation] = true
	}
	c.budget.touch(r.Key, len(organisations))
	for c.reports > c.limit {
		gone, ok := c.budget.evict(r.Key)
		if !ok {
			break
		}
		c.reports -= len(c.keys[gone])
		delete(c.keys, gone)
	}
	return true, nil
}

// Testimonies returns what counts under a key, by member.
func (c *Collector) Testimonies(key event.Key) []Testimony {
	var said []Testimony
	for _, s := range c.keys[key] {
		if !s.faulty {
			said = append(said, s.testimony)
		}
	}
	slices.SortFunc(said, func(a, b Testimony) int { return cmp.Compare(a.Member, b.Member) })
	return said
}

// Finding is a verdict with the testimonies that prove it. The verdict is that of
// these testimonies alone: what every receiver of the alert will find.
type Finding struct {
	Verdict
	Evidence []Testimony
}

// Judge judges a key over the federation, and for each organisation alone by
// the condition that it would apply at home: its own members act on that, and
// others are warned. A rule that the federation's evidence meets is not judged
// again by organisation; one organisation's finding says nothing about another's.
func (c *Collector) Judge(key event.Key) []Finding {
	said := c.Testimonies(key)
	var findings []Finding
	federated := map[string]bool{}
	judge := func(scope Scope, said []Testimony) {
		for _, v := range c.rules.Judge(scope, key, said) {
			if federated[v.Rule.Name] {
				continue
			}
			evidence := c.rules.Smallest(v, said)
			if proven, ok := c.rules.judge(v.Rule, scope, key, evidence); ok {
				federated[v.Rule.Name] = scope == Federation
				findings = append(findings, Finding{proven, evidence})
			}
		}
	}
	judge(Federation, said)
	byOrganisation := map[string][]Testimony{}
	for _, t := range said {
		byOrganisation[t.Organisation] = append(byOrganisation[t.Organisation], t)
	}
	for _, t := range said {
		if own := byOrganisation[t.Organisation]; own != nil {
			judge(Home, own)
			delete(byOrganisation, t.Organisation)
		}
	}
	return findings
}

// Sweep drops what no rule can reach any more at now.
func (c *Collector) Sweep(now time.Time) {
	before := now.Add(-c.rules.Longest() - slot).Unix()
	for key, members := range c.keys {
		for member, s := range members {
			if !slices.ContainsFunc(s.testimony.Tallies, func(t event.Tally) bool { return t.Last >= before }) {
				delete(members, member)
				c.reports--
			}
		}
		if len(members) == 0 {
			delete(c.keys, key)
			c.budget.drop(key)
		}
	}
}

// Len is the number of keys gathered.
func (c *Collector) Len() int { return len(c.keys) }

// Evicted is how many keys were lost to the bound on memory.
func (c *Collector) Evicted() uint64 { return c.budget.evicted }

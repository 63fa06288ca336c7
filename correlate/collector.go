package correlate

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// maxMembers bounds the reports gathered under one key.
const maxMembers = 1024

// ErrTooMany is Collector.Put's for a key with reports of as many members as are kept.
var ErrTooMany = fmt.Errorf("reports of %d members gathered already", maxMembers)

// Contradiction is Collector.Put's for two different reports of one version: the
// member that signed both has proved its own fault, and its evidence under the
// key no longer counts.
type Contradiction struct{ First, Second event.Sealed }

func (c *Contradiction) Error() string {
	return fmt.Sprintf("two different reports of one version, both signed by %q", c.First.Signer)
}

// Collector gathers what members say about the keys that this node is near to.
// Memory is bounded by the number of reports, and the organisations share it:
// one that floods the collector loses its own words and nobody else's.
type Collector struct {
	rules Rules
	limit int
	room  room
	keys  map[event.Key]map[string]*statement // by member
}

type statement struct {
	version   uint64
	testimony Testimony
	faulty    bool
}

// Author is who signed a report, and what its word is worth.
type Author struct {
	Organisation string
	Mute         bool // see Testimony.Mute
}

// NewCollector returns a collector of at most limit reports, and of those of one
// organisation on one key where they alone are more.
func NewCollector(rules Rules, limit int) *Collector {
	return &Collector{rules: rules, limit: limit, keys: make(map[event.Key]map[string]*statement)}
}

// Put takes a report that has been verified to be signed by its member. It returns false for
// one that is not newer than what is known, which does no harm: reports are
// cumulative.
func (c *Collector) Put(r event.Report, by Author, sealed event.Sealed) (bool, error) {
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
		return false, fmt.Errorf("key %q, version %d: %w", r.Key, r.Version, &Contradiction{old.testimony.Sealed, sealed})
	}
	members[r.Member] = &statement{version: r.Version, testimony: Testimony{
		Organisation: by.Organisation, Member: r.Member, Tallies: r.Tallies, Sealed: sealed, Mute: by.Mute,
	}}
	c.room.add(r.Key, by.Organisation)
	if old != nil {
		c.room.remove(r.Key, old.testimony.Organisation, 1)
	}
	for c.room.reports > c.limit {
		key, organisation, ok := c.room.evict()
		if !ok {
			break
		}
		maps.DeleteFunc(c.keys[key], func(_ string, s *statement) bool { return s.testimony.Organisation == organisation })
		if len(c.keys[key]) == 0 {
			delete(c.keys, key)
		}
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

// Version is how new a member's word on a key is.
type Version struct {
	Member  string
	Version uint64
}

// Keys are all keys gathered, in no order.
func (c *Collector) Keys() iter.Seq[event.Key] { return maps.Keys(c.keys) }

// Versions returns what counts under a key, by member.
func (c *Collector) Versions(key event.Key) []Version {
	var versions []Version
	for member, s := range c.keys[key] {
		if !s.faulty {
			versions = append(versions, Version{member, s.version})
		}
	}
	slices.SortFunc(versions, func(a, b Version) int { return cmp.Compare(a.Member, b.Member) })
	return versions
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
// Evidence is chosen, which is what takes time, for verdicts only that news says
// are worth telling; the proof that is found may say less than they do.
func (c *Collector) Judge(key event.Key, news func(Verdict) bool) []Finding {
	said := c.Testimonies(key)
	var findings []Finding
	federated := map[string]bool{}
	judge := func(scope Scope, said []Testimony) {
		for _, r := range c.rules.list {
			if r.GroupBy != key.Selector || federated[r.Name] {
				continue
			}
			v, ok := c.rules.judge(r, scope, key, said)
			if !ok {
				continue
			}
			if !news(v) {
				federated[r.Name] = scope == Federation
				continue
			}
			evidence := c.rules.Smallest(v, said)
			if proven, ok := c.rules.judge(r, scope, key, evidence); ok {
				federated[r.Name] = scope == Federation
				findings = append(findings, Finding{proven, evidence})
			}
		}
	}
	judge(Federation, slices.DeleteFunc(slices.Clone(said), func(t Testimony) bool { return t.Mute }))
	slices.SortStableFunc(said, func(a, b Testimony) int { return cmp.Compare(a.Organisation, b.Organisation) })
	for len(said) > 0 {
		n := slices.IndexFunc(said, func(t Testimony) bool { return t.Organisation != said[0].Organisation })
		if n < 0 {
			n = len(said)
		}
		judge(Home, said[:n])
		said = said[n:]
	}
	return findings
}

// Sweep drops what no rule can reach any more at now.
func (c *Collector) Sweep(now time.Time) {
	before := now.Add(-c.rules.Longest() - slot).Unix()
	c.drop(func(t Testimony) bool {
		return !slices.ContainsFunc(t.Tallies, func(t event.Tally) bool { return t.Last >= before })
	})
}

// Expel drops what members have said whose word no longer counts, and returns the
// keys under which others have said something too.
func (c *Collector) Expel(out func(member string) bool) []event.Key {
	return c.drop(func(t Testimony) bool { return out(t.Member) })
}

// drop returns the keys that have lost some testimonies, and not all.
func (c *Collector) drop(which func(Testimony) bool) (poorer []event.Key) {
	for key, members := range c.keys {
		had := len(members)
		for member, s := range members {
			if which(s.testimony) {
				delete(members, member)
				c.room.remove(key, s.testimony.Organisation, 1)
			}
		}
		switch len(members) {
		case had:
		case 0:
			delete(c.keys, key)
		default:
			poorer = append(poorer, key)
		}
	}
	return poorer
}

// Len is the number of keys gathered.
func (c *Collector) Len() int { return len(c.keys) }

// Evicted is how often an organisation's word on a key was lost to the bound on memory.
func (c *Collector) Evicted() uint64 { return c.room.evicted }

package correlate

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// maxMembers bounds the reports gathered under one key.
const maxMembers = 1024

// ErrTooMany is Collector.Put's for a key with reports of as many members as are kept.
var ErrTooMany = fmt.Errorf("reports of %d members gathered already", maxMembers)

// Contradiction is Collector.Put's for two different reports of one version: the
// member that signed both has proved its own fault, and its evidence under the
// key no longer counts. Both signatures have to be verified before anybody is
// accused, unless they are known to be: where one is false, the member itself has
// brought it (see Author), and no more is proved.
type Contradiction struct{ First, Second event.Sealed }

func (c *Contradiction) Error() string {
	return fmt.Sprintf("two different reports of one version, both signed by %q", c.First.Signer)
}

// Collector gathers what members say about the keys that this node is near to:
// the sealed reports as they came, and what is needed to find them. Memory is
// bounded in bytes, and the organisations share it: one that floods the collector
// loses its own words and nobody else's.
type Collector struct {
	rules   Rules
	limit   int
	room    room
	keys    map[event.Key]*gathered
	members map[string]*member
	decoded decoded
	reach   reach // room for within
	desk    desk  // and for judge
}

// gathered is what is said about one key, organisation by organisation.
type gathered struct {
	key   event.Key
	words *words // of the first organisation, which leads to the others
}

// statement is a member's newest report on a key, as it came: the tallies are
// decoded when the key is judged.
type statement struct {
	by       *member
	version  uint64
	last     int64  // the newest tally's
	sealed   []byte // the body, and the signature after it; nil of who is faulty
	body     int32  // its length
	mute     bool
	faulty   bool
	verified bool
	decoded  *decoding // nil unless it is remembered
}

// member is a name that many statements share.
type member struct {
	id         string
	statements int
}

// Author is who signed a report, and what its word is worth.
type Author struct {
	Organisation string
	Mute         bool // see Testimony.Mute
	// Verified says that the signature has been verified. Where it has not been, the
	// report must have come from its author's own hands: others have to be kept from
	// taking its place.
	Verified bool
}

// NewCollector returns a collector that keeps reports in at most limit bytes, and
// those of one organisation on one key where they alone are more.
func NewCollector(rules Rules, limit int) *Collector {
	return &Collector{rules: rules, limit: limit, keys: make(map[event.Key]*gathered), members: make(map[string]*member)}
}

// Put takes a report. It returns false for one that is not newer than what is
// known, which does no harm: reports are cumulative.
func (c *Collector) Put(r event.Report, by Author, sealed event.Sealed) (bool, error) {
	on := c.keys[r.Key]
	w, old := on.find(c.members[r.Member])
	switch {
	case old == nil && on.statements() >= maxMembers:
		return false, fmt.Errorf("key %q: %w", r.Key, ErrTooMany)
	case old != nil && (old.faulty || r.Version < old.version):
		return false, nil
	case old != nil && r.Version == old.version:
		first := old.unseal()
		if bytes.Equal(first.Body, sealed.Body) {
			if by.Verified && !old.verified { // its author may have brought another signature
				c.room.count(w, len(sealed.Signature)-len(first.Signature))
				old.sealed, old.verified = slices.Concat(sealed.Body, sealed.Signature), true
			}
			return false, nil
		}
		c.convict(w, old)
		return false, fmt.Errorf("key %q, version %d: %w", r.Key, r.Version, &Contradiction{first, sealed})
	}
	if on == nil {
		on = &gathered{key: event.Key{Selector: r.Key.Selector.Canonical(), Value: strings.Clone(r.Key.Value)}}
		c.keys[on.key] = on
	}
	s := &statement{by: c.member(r.Member), version: r.Version, body: int32(len(sealed.Body)),
		sealed: slices.Concat(sealed.Body, sealed.Signature), mute: by.Mute, verified: by.Verified}
	for _, t := range r.Tallies {
		s.last = max(s.last, t.Last)
	}
	c.decoded.put(s, r.Tallies)
	c.room.add(on, by.Organisation, s)
	if old != nil {
		c.remove(w, old)
	}
	for c.room.bytes > c.limit {
		w := c.room.evict()
		if w == nil {
			break
		}
		for _, s := range slices.Clone(w.statements) {
			c.remove(w, s)
		}
	}
	return true, nil
}

// member returns the name that statements share, with one statement more.
func (c *Collector) member(id string) *member {
	m := c.members[id]
	if m == nil {
		m = &member{id: strings.Clone(id)}
		c.members[m.id] = m
	}
	m.statements++
	return m
}

// remove forgets a statement.
func (c *Collector) remove(w *words, s *statement) {
	c.decoded.drop(s)
	if s.by.statements--; s.by.statements == 0 {
		delete(c.members, s.by.id)
	}
	on := w.on
	if c.room.remove(w, s); on.words == nil {
		delete(c.keys, on.key)
	}
}

// convict keeps of a statement only that its author is not to be heard any more.
func (c *Collector) convict(w *words, s *statement) {
	c.decoded.drop(s)
	c.room.count(w, -len(s.sealed))
	s.faulty, s.sealed, s.body = true, nil, 0
}

// find returns a member's statement and the words that it is among.
func (g *gathered) find(m *member) (*words, *statement) {
	for w, s := range g.all() {
		if s.by == m {
			return w, s
		}
	}
	return nil, nil
}

// all are the statements on a key; of nil there are none.
func (g *gathered) all() iter.Seq2[*words, *statement] {
	return func(yield func(*words, *statement) bool) {
		if g == nil {
			return
		}
		for w := g.words; w != nil; w = w.next {
			for _, s := range w.statements {
				if !yield(w, s) {
					return
				}
			}
		}
	}
}

func (g *gathered) statements() (n int) {
	if g == nil {
		return 0
	}
	for w := g.words; w != nil; w = w.next {
		n += len(w.statements)
	}
	return n
}

func (s *statement) unseal() event.Sealed {
	return event.Sealed{Body: s.sealed[:s.body:s.body], Signer: s.by.id, Signature: s.sealed[s.body:]}
}

// Testimonies returns what counts under a key, by member.
func (c *Collector) Testimonies(key event.Key) []Testimony {
	on := c.keys[key]
	said := slices.Grow([]Testimony(nil), on.statements()) // nil of none
	for w, s := range on.all() {
		if !s.faulty {
			said = append(said, Testimony{Organisation: w.by.organisation, Member: s.by.id, Version: s.version,
				Tallies: c.decoded.tallies(s), Sealed: s.unseal(), Mute: s.mute, Unverified: !s.verified})
		}
	}
	slices.SortFunc(said, func(a, b Testimony) int { return cmp.Compare(a.Member, b.Member) })
	return said
}

// Keys are all keys gathered, in no order.
func (c *Collector) Keys() iter.Seq[event.Key] { return maps.Keys(c.keys) }

// Version is how new a member's word on a key is.
type Version struct {
	Member  string
	Version uint64
}

// Versions is which reports count under a key, by member.
func (c *Collector) Versions(key event.Key) []Version {
	var all []Version
	for _, s := range c.keys[key].all() {
		if !s.faulty {
			all = append(all, Version{s.by.id, s.version})
		}
	}
	slices.SortFunc(all, func(a, b Version) int { return cmp.Compare(a.Member, b.Member) })
	return all
}

// Settle notes what verifying the signature of a testimony has shown. Who has brought
// a false one is not heard again on the key, whatever it has brought since. One whose
// author's word does not count now is dropped.
func (c *Collector) Settle(key event.Key, t Testimony, verdict Signature) {
	w, s := c.keys[key].find(c.members[t.Member])
	switch {
	case s == nil || s.faulty:
	case verdict == False:
		c.convict(w, s)
	case s.version != t.Version: // another report has taken its place
	case verdict == Good:
		s.verified = true
	default:
		c.remove(w, s)
	}
}

// Signature is what verifying one has shown.
type Signature int

const (
	Good  Signature = iota
	False           // the author never signed that
	Void            // the author's word does not count now
)

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
	rules := c.within(c.keys[key])
	if len(rules) == 0 {
		return nil
	}
	said := c.Testimonies(key)
	var findings []Finding
	federated := map[string]bool{}
	judge := func(scope Scope, said []Testimony) {
		for _, r := range rules {
			if federated[r.Name] {
				continue
			}
			v, ok := c.rules.judge(&c.desk, *r, scope, key, said)
			if !ok {
				continue
			}
			if !news(v) {
				federated[r.Name] = scope == Federation
				continue
			}
			evidence := c.rules.Smallest(v, said)
			if proven, ok := c.rules.judge(&c.desk, *r, scope, key, evidence); ok {
				federated[r.Name] = scope == Federation
				findings = append(findings, Finding{proven, evidence})
			}
		}
	}
	judge(Federation, voting(said))
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

// voting are the testimonies of those who have a vote.
func voting(said []Testimony) []Testimony {
	mute := func(t Testimony) bool { return t.Mute }
	if !slices.ContainsFunc(said, mute) {
		return said
	}
	return slices.DeleteFunc(slices.Clone(said), mute)
}

// Sweep drops what no rule can reach any more at now.
func (c *Collector) Sweep(now time.Time) {
	before := now.Add(-c.rules.Longest() - slot).Unix()
	c.drop(func(s *statement) bool { return s.last < before })
}

// Expel drops what members have said whose word no longer counts, and returns the
// keys under which others have said something too.
func (c *Collector) Expel(out func(member string) bool) []event.Key {
	return c.drop(func(s *statement) bool { return out(s.by.id) })
}

// drop returns the keys that have lost some statements, and not all.
func (c *Collector) drop(which func(*statement) bool) (poorer []event.Key) {
	type place struct {
		in *words
		s  *statement
	}
	var gone []place
	for key, on := range c.keys {
		gone = gone[:0]
		for w, s := range on.all() {
			if which(s) {
				gone = append(gone, place{w, s})
			}
		}
		for _, p := range gone {
			c.remove(p.in, p.s)
		}
		if len(gone) > 0 && on.words != nil {
			poorer = append(poorer, key)
		}
	}
	return poorer
}

// Len is the number of keys gathered.
func (c *Collector) Len() int { return len(c.keys) }

// Bytes is how much the reports take, as they are counted for the limit.
func (c *Collector) Bytes() int { return c.room.bytes }

// Evicted is how often an organisation's word on a key was lost to the bound on memory.
func (c *Collector) Evicted() uint64 { return c.room.evicted }

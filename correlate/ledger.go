package correlate

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

const (
	slot     = time.Minute     // of event time; a tally never spans two
	lateness = 2 * time.Minute // of events that come out of order: what they may be judged with is kept so long
	// maxNamed bounds the tallies of one key that name a source: sources beyond
	// them share tallies without a name. The oldest go beyond maxTallies, which
	// takes a sensor whose clock runs wild.
	maxNamed   = 256
	maxTallies = 4 * maxNamed
)

// Ledger is a node's own evidence: all it has seen, by key, as far back as the
// longest timespan of any rule. Memory is bounded by the number of tallies, each
// of some 100 bytes, and at the most one key of some 300 for each.
type Ledger struct {
	limit   int
	held    int // tallies
	rules   Rules
	longest time.Duration
	hash    func(value string) uint32
	budget  budget
	pages   map[event.Key]*page
	cut     int64 // see Cut
}

type page struct {
	key     event.Key
	place   place
	tallies []event.Tally // slot by slot
	points  int           // of what proves its source: what can be faked must not outweigh it
	shed    uint64
}

// NewLedger returns an empty ledger of at most limit tallies. hash is the keyed
// hash under which targets enter the sketches that leave the host.
func NewLedger(rules Rules, limit int, hash func(value string) uint32) *Ledger {
	return &Ledger{limit: limit, rules: rules, longest: rules.Longest(), hash: hash, pages: make(map[event.Key]*page)}
}

// Cut has no tally hold observations from before the end of the second of at and from after it: a person
// has decided then, and what comes later is looked at by itself. Only the last cut holds for what comes late.
func (l *Ledger) Cut(at time.Time) { l.cut = at.Unix() + 1 }

// CutAt is the first second after the last cut, as Unix time; zero where there was none.
func (l *Ledger) CutAt() int64 { return l.cut }

// slotOf is the seconds that share a tally with a time: from the first one to before the other.
func (l *Ledger) slotOf(t time.Time) (from, to int64) {
	from, at := t.Truncate(slot).Unix(), t.Unix()
	to = from + int64(slot/time.Second)
	if at < l.cut {
		return from, min(to, l.cut)
	}
	return max(from, l.cut), to
}

// Add enters a change of the evidence under a key.
func (l *Ledger) Add(key event.Key, c Change) {
	p := l.pages[key]
	if p == nil {
		if c.Delta < 0 {
			return
		}
		p = &page{key: key}
		l.pages[key] = p
	}
	e := c.Event
	before := len(p.tallies)
	l.forget(p, e.Time)
	n := uint32(min(max(e.Count, 1), maxCount))
	from, to := l.slotOf(e.Time)
	if c.Delta < 0 {
		n = p.takeBack(key.Selector, e, from, to, n)
	} else {
		t := p.tally(key.Selector, e, from, to)
		counter := counter(t, e.Proof)
		n = min(n, math.MaxUint32-*counter)
		*counter += n
		if hash, ok := l.hashed(l.rules.field(key.Selector, e.Kind), t, e); ok {
			t.Values = t.Values.Add(hash)
		}
	}
	if e.Proof == event.Handshake {
		p.points += c.Delta * int(n) * l.rules.severity(e.Kind)
	}
	if len(p.tallies) > maxTallies {
		l.drop(p, &p.tallies[0])
		p.shed += p.tallies[0].Count()
		p.tallies = slices.Delete(p.tallies, 0, 1)
	}
	l.held += len(p.tallies) - before
	l.budget.touch(p, p.points)
	for l.held > l.limit {
		gone := l.budget.evict(p)
		if gone == nil {
			break
		}
		l.held -= len(gone.tallies)
		delete(l.pages, gone.key)
	}
}

// hashed is what the event adds to the sketch of its tally, of distinct values of the field. A
// tally that names its source is one value of that field by itself.
func (l *Ledger) hashed(f Field, t *event.Tally, e event.Event) (hash uint32, ok bool) {
	if f == FieldSource {
		return sourceHash(event.SourcePrefix(e.Source.Addr)), !t.Source.IsValid() && e.Source.Addr.IsValid()
	}
	v := f.value(e)
	if v == "" {
		return 0, false
	}
	return l.hash(v), true
}

func counter(t *event.Tally, proof event.Proof) *uint32 {
	if proof == event.Handshake {
		return &t.Proven
	}
	return &t.Spoofable
}

// find returns the index of the tally of the event's kind, proof and slot, which is from some second to before
// another, or -1.
// Proven and spoofable evidence are tallied apart, so that the values of one are
// not taken for the other's. Nearly all events belong to one of the newest
// tallies, so the search begins there.
func (p *page) find(source netip.Prefix, e event.Event, from, to int64) int {
	for i := len(p.tallies) - 1; i >= 0; i-- {
		t := &p.tallies[i]
		if t.Kind == e.Kind && t.Source == source && t.First >= from && t.First < to && *counter(t, e.Proof) > 0 {
			return i
		}
	}
	return -1
}

// tally finds or makes the tally that the event belongs to.
func (p *page) tally(by event.Selector, e event.Event, from, to int64) *event.Tally {
	source := named(by, e)
	i := p.find(source, e, from, to)
	if i < 0 && source.IsValid() && len(p.tallies) >= maxNamed {
		source = netip.Prefix{}
		i = p.find(source, e, from, to)
	}
	at := e.Time.Unix()
	if i >= 0 {
		t := &p.tallies[i]
		t.First, t.Last = min(t.First, at), max(t.Last, at)
		return t
	}
	i, _ = slices.BinarySearchFunc(p.tallies, at, func(t event.Tally, at int64) int {
		if t.First <= at {
			return -1
		}
		return 1
	})
	p.tallies = slices.Insert(p.tallies, i, event.Tally{Kind: e.Kind, Source: source, First: at, Last: at})
	return &p.tallies[i]
}

// takeBack takes up to n observations out again and returns how many there were.
func (p *page) takeBack(by event.Selector, e event.Event, from, to int64, n uint32) uint32 {
	i := p.find(named(by, e), e, from, to)
	if i < 0 {
		i = p.find(netip.Prefix{}, e, from, to)
	}
	if i < 0 {
		return 0 // forgotten already
	}
	t := &p.tallies[i]
	counter := counter(t, e.Proof)
	n = min(n, *counter)
	*counter -= n
	if t.Count() == 0 {
		p.tallies = slices.Delete(p.tallies, i, i+1)
	}
	return n
}

// named is the source that the event's tally names: none under a key that does, nor of
// an event that has none.
func named(by event.Selector, e event.Event) netip.Prefix {
	if by.Has(event.BySource) || !e.Source.Addr.IsValid() {
		return netip.Prefix{}
	}
	return event.SourcePrefix(e.Source.Addr)
}

// forget drops what no rule can reach any more.
func (l *Ledger) forget(p *page, now time.Time) {
	before := now.Add(-l.longest - slot - lateness).Unix()
	if len(p.tallies) == 0 || p.tallies[0].Last >= before {
		return
	}
	p.tallies = slices.DeleteFunc(p.tallies, func(t event.Tally) bool {
		if t.Last < before {
			l.drop(p, &t)
			return true
		}
		return false
	})
}

func (l *Ledger) drop(p *page, t *event.Tally) { p.points -= int(t.Proven) * l.rules.severity(t.Kind) }

// Tallies returns the evidence under a key, to be read before the next Add.
func (l *Ledger) Tallies(key event.Key) []event.Tally {
	if p := l.pages[key]; p != nil {
		return p.tallies
	}
	return nil
}

// Shed is how many observations under a key were lost to the bound on its tallies.
func (l *Ledger) Shed(key event.Key) uint64 {
	if p := l.pages[key]; p != nil {
		return p.shed
	}
	return 0
}

// Sweep drops the keys without evidence that any rule can reach at now.
func (l *Ledger) Sweep(now time.Time) {
	for key, p := range l.pages {
		before := len(p.tallies)
		l.forget(p, now)
		l.held += len(p.tallies) - before
		if len(p.tallies) == 0 {
			delete(l.pages, key)
			l.budget.drop(p)
		}
	}
}

// Has reports whether there is evidence under key.
func (l *Ledger) Has(key event.Key) bool { return l.pages[key] != nil }

// Keys returns the keys with evidence, in no order.
func (l *Ledger) Keys() []event.Key {
	keys := make([]event.Key, 0, len(l.pages))
	for key := range l.pages {
		keys = append(keys, key)
	}
	return keys
}

// Evicted is how many keys were lost to the bound on memory.
func (l *Ledger) Evicted() uint64 { return l.budget.evicted }

// sourceHash is a source's hash in sketches of sources. Attackers are named in
// reports anyway, so it needs no key, and all members' hashes agree.
func sourceHash(source netip.Prefix) uint32 {
	return event.Hash32("", nil, event.SourceValue(source))
}

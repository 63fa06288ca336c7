package correlate

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

const (
	slot = time.Minute // of event time; a tally never spans two
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
	limit    int
	held     int // tallies
	longest  time.Duration
	severity func(event.Kind) int
	hash     func(value string) uint32
	budget   budget
	pages    map[event.Key]*page
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
	return &Ledger{limit: limit, longest: rules.Longest(), severity: rules.severity, hash: hash, pages: make(map[event.Key]*page)}
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
	if c.Delta < 0 {
		n = p.takeBack(key.Selector, e, n)
	} else {
		t := p.tally(key.Selector, e)
		counter := counter(t, e.Proof)
		n = min(n, math.MaxUint32-*counter)
		*counter += n
		if v := value(key.Selector, e); v != "" {
			t.Values = t.Values.Add(l.hash(v))
		}
		if key.Selector == event.BySubnet && !t.Source.IsValid() {
			t.Values = t.Values.Add(sourceHash(event.SourcePrefix(e.Source.Addr)))
		}
	}
	if e.Proof == event.Handshake {
		p.points += c.Delta * int(n) * l.severity(e.Kind)
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

func counter(t *event.Tally, proof event.Proof) *uint32 {
	if proof == event.Handshake {
		return &t.Proven
	}
	return &t.Spoofable
}

// find returns the index of the tally of the event's kind, proof and slot, or -1.
// Proven and spoofable evidence are tallied apart, so that the values of one are
// not taken for the other's. Nearly all events belong to one of the newest
// tallies, so the search begins there.
func (p *page) find(source netip.Prefix, e event.Event) int {
	start := e.Time.Truncate(slot).Unix()
	end := start + int64(slot/time.Second)
	for i := len(p.tallies) - 1; i >= 0; i-- {
		t := &p.tallies[i]
		if t.Kind == e.Kind && t.Source == source && t.First >= start && t.First < end && *counter(t, e.Proof) > 0 {
			return i
		}
	}
	return -1
}

// tally finds or makes the tally that the event belongs to.
func (p *page) tally(by event.Selector, e event.Event) *event.Tally {
	source := named(by, e)
	i := p.find(source, e)
	if i < 0 && source.IsValid() && len(p.tallies) >= maxNamed {
		source = netip.Prefix{}
		i = p.find(source, e)
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
func (p *page) takeBack(by event.Selector, e event.Event, n uint32) uint32 {
	i := p.find(named(by, e), e)
	if i < 0 {
		i = p.find(netip.Prefix{}, e)
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

// named is the source that the event's tally names, none under a key that does.
func named(by event.Selector, e event.Event) netip.Prefix {
	if by == event.BySource {
		return netip.Prefix{}
	}
	return event.SourcePrefix(e.Source.Addr)
}

// forget drops what no rule can reach any more.
func (l *Ledger) forget(p *page, now time.Time) {
	before := now.Add(-l.longest - slot).Unix()
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

func (l *Ledger) drop(p *page, t *event.Tally) { p.points -= int(t.Proven) * l.severity(t.Kind) }

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

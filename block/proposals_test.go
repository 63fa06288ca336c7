package block

import (
	"context"
	"encoding/binary"
	"flag"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var proposals = flag.Int("proposals", 50_000, "how many hostile proposals TestHostileProposals makes; the figure is of 1000000")

// witness is a backend that compares what it is to block with the never-block
// set, by asking every prefix of that.
type witness struct {
	Observer
	never   []netip.Prefix
	hits    []netip.Prefix
	blocked int
}

func (w *witness) touches(p netip.Prefix) bool { return slices.ContainsFunc(w.never, p.Overlaps) }

func (w *witness) Add(_ context.Context, entries []Entry) error {
	for _, e := range entries {
		if w.blocked++; w.touches(e.Prefix) {
			w.hits = append(w.hits, e.Prefix)
		}
	}
	return nil
}

// splitmix is a source of numbers that are the same on every run.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *splitmix) below(n int) int { return int(s.next() % uint64(n)) }

// hostile returns a prefix that is chosen to slip by: one of the set, its
// neighbours, something wider or narrower, an IPv4 one in an IPv6 coat with or
// without the bits of the host, or anything at all.
func (s *splitmix) hostile(never []netip.Prefix) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], s.next())
	binary.BigEndian.PutUint64(b[8:], s.next())
	addr := netip.AddrFrom16(b)
	if s.below(2) == 0 {
		addr = netip.AddrFrom4([4]byte(b[:4]))
	}
	bits := addr.BitLen()
	switch s.below(5) {
	case 0:
		known := spanOf(never[s.below(len(never))])
		near := []netip.Addr{known.from, known.to, known.from.Prev(), known.to.Next()}[s.below(4)]
		if near.IsValid() {
			addr = near
		}
		bits = max(0, addr.BitLen()-s.below(5))
	case 1: // one of the set, wider or narrower
		p := never[s.below(len(never))]
		addr = p.Addr()
		bits = min(addr.BitLen(), max(0, p.Bits()+s.below(17)-8))
	case 2:
		bits = s.below(addr.BitLen() + 1)
	case 3:
		if addr.Is6() {
			bits = 64
		}
	}
	if addr.Is4() && s.below(4) == 0 {
		addr, bits = netip.AddrFrom16(addr.As16()), bits+96
	}
	return netip.PrefixFrom(addr, bits)
}

// TestHostileProposals is a figure of the design: a million proposals, and none
// of them blocks an address of the never-block set, whoever makes it.
func TestHostileProposals(t *testing.T) {
	f := newFixture(t, func(p *Policy) {
		p.PerHour, p.Total, p.Breaker, p.Memory = 1<<30, 1<<30, 1<<30, 0
		p.MaxBits4, p.MaxBits6 = 0, 0
	})
	f.admin = exemptions([]netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:5::10")}, "the administrator's SSH session")
	f.now = f.now.Add(freshness)
	if err := f.ApplyNever(t.Context(), f.now); err != nil {
		t.Fatal(err)
	}
	w := &witness{never: []netip.Prefix{netip.MustParsePrefix("203.0.113.128/25")}} // the fixture's allow-list
	for _, e := range append(fixed(false), f.admin...) {
		w.never = append(w.never, e.prefix)
	}
	f.backend = w

	random, refused, wrongly := splitmix(1), 0, 0
	for i := range *proposals {
		p := random.hostile(w.never)
		proposal := Proposal{Prefix: p, Evidence: f.now, Manual: random.below(4) == 0, Local: random.below(4) == 0}
		d, err := f.Propose(t.Context(), f.now, proposal)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := canonical(p)
		if err != nil || w.touches(plain) {
			if refused++; d.Refused == "" {
				t.Errorf("%s: %+v", p, d)
			}
		} else if d.Refused != "" {
			wrongly++
		}
		if i%5000 == 4999 { // blocks end and are forgotten, so that memory is not what is measured
			f.now = f.now.Add(48 * time.Hour)
			if _, err := f.Reconcile(t.Context(), f.now); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range w.hits[:min(len(w.hits), 10)] {
		t.Errorf("%s is blocked", p)
	}
	if wrongly > 0 || refused < *proposals/4 || w.blocked < *proposals/4 {
		t.Errorf("%d refused rightly, %d wrongly, %d blocked: the test asks too little, or the set holds too much", refused, wrongly, w.blocked)
	}
	// make faults gathers this row.
	t.Logf("fault | hits on the never-block set of %d proposals, %d of them hostile | 0 | %d", *proposals, refused, len(w.hits))
}

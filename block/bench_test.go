package block

import (
	"net/netip"
	"testing"
	"time"
)

func benchFirewall(b *testing.B) *Firewall {
	newLab(b)
	f, err := NewFirewall(Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	if err := f.Setup(b.Context()); err != nil {
		b.Fatal(err)
	}
	return f
}

func manyEntries(n int) []Entry {
	entries := make([]Entry, n)
	addr := netip.MustParseAddr("203.0.113.0")
	for i := range entries {
		addr = addr.Next()
		entries[i] = Entry{netip.PrefixFrom(addr, 32), time.Hour}
	}
	return entries
}

func BenchmarkAddOne(b *testing.B) {
	f := benchFirewall(b)
	addr := netip.MustParseAddr("203.0.113.0")
	for b.Loop() {
		addr = addr.Next()
		if err := f.Add(b.Context(), []Entry{{netip.PrefixFrom(addr, 32), time.Hour}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddOnePrefix(b *testing.B) {
	f := benchFirewall(b)
	addr := netip.MustParseAddr("203.0.113.0")
	for b.Loop() {
		addr = addr.Next()
		p := netip.PrefixFrom(addr, 30).Masked()
		if err := f.Add(b.Context(), []Entry{{p, time.Hour}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdd10000(b *testing.B) {
	f := benchFirewall(b)
	entries := manyEntries(10_000)
	for b.Loop() {
		if err := f.Add(b.Context(), entries); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCounters10000(b *testing.B) {
	f := benchFirewall(b)
	if err := f.Add(b.Context(), manyEntries(10_000)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if c, err := f.Counters(b.Context()); err != nil || len(c) != 10_000 {
			b.Fatal(len(c), err)
		}
	}
}

func BenchmarkRestore10000(b *testing.B) {
	f := benchFirewall(b)
	keeper := &fakeKeeper{kept: map[string][]byte{}}
	never, err := NewNever(NeverOptions{})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	m, err := NewManager(f, never, keeper, DefaultPolicy())
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range manyEntries(10_000) {
		if _, err := m.Propose(b.Context(), now, Proposal{Prefix: e.Prefix, Manual: true, Duration: time.Hour}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := f.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		if m, err = NewManager(f, never, keeper, DefaultPolicy()); err != nil {
			b.Fatal(err)
		}
		if err := m.Restore(b.Context(), now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPropose is the whole way from a proposal to the kernel, at 10,000 blocks.
func BenchmarkPropose(b *testing.B) {
	f := benchFirewall(b)
	never, err := NewNever(NeverOptions{})
	if err != nil {
		b.Fatal(err)
	}
	policy := DefaultPolicy()
	policy.PerHour, policy.Total = 1<<30, 1<<30
	m, err := NewManager(f, never, &fakeKeeper{kept: map[string][]byte{}}, policy)
	if err != nil {
		b.Fatal(err)
	}
	addr, now := netip.MustParseAddr("203.0.113.0"), time.Now()
	for b.Loop() {
		addr = addr.Next()
		if d, err := m.Propose(b.Context(), now, Proposal{Prefix: netip.PrefixFrom(addr, 32), Evidence: now}); err != nil || d.Refused != "" && d.Refused[:5] != "never" {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkNeverCheck(b *testing.B) {
	n, err := NewNever(NeverOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for name, prefix := range map[string]string{"pass4": "198.51.100.7/32", "pass6": "2001:db8:1:2::/64", "hit": "10.0.0.1/32"} {
		p := netip.MustParsePrefix(prefix)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n.Check(p)
			}
		})
	}
}

func BenchmarkNeverLook(b *testing.B) {
	n, err := NewNever(NeverOptions{})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for b.Loop() {
		now = now.Add(freshness)
		if err := n.Fresh(now); err != nil {
			b.Fatal(err)
		}
	}
}

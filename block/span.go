package block

import (
	"net/netip"
	"slices"
)

// span is a closed range of addresses of one family.
type span struct{ from, to netip.Addr }

func spanOf(p netip.Prefix) span {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	to, _ := netip.AddrFromSlice(last) // as long as the slice came
	return span{p.Addr(), to}
}

// merge returns the addresses of all prefixes as sorted, disjoint and not
// adjacent spans, the IPv4 ones first.
func merge(prefixes []netip.Prefix) []span {
	all := make([]span, 0, len(prefixes))
	for _, p := range prefixes {
		all = append(all, spanOf(p))
	}
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && merged[n-1].reaches(s.from) {
			if merged[n-1].to.Less(s.to) {
				merged[n-1].to = s.to
			}
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// reaches says whether addr, which is not before the span, lies in it or right behind it.
func (s span) reaches(addr netip.Addr) bool {
	return addr.BitLen() == s.to.BitLen() && (!s.to.Less(addr) || s.to.Next() == addr)
}

// overlapping says whether any of the merged spans shares an address with s.
func overlapping(merged []span, s span) bool {
	// The first span that does not end before s begins is the only candidate.
	i, _ := slices.BinarySearchFunc(merged, s.from, func(m span, from netip.Addr) int { return m.to.Compare(from) })
	return i < len(merged) && !s.to.Less(merged[i].from)
}

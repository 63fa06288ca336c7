package correlate

import (
	"math/bits"
	"net/netip"
	"slices"
	"sort"
)

// crowd is what a rule asks of many sources of one prefix together: its condition, and that as
// many as sources have part in it. Sources are bounded like organisations are: none counts for
// more than threshold / sources, and one that reaches as much by itself is left to its own rule.
// So a loud source and its innocent neighbours are no crowd.
type crowd struct {
	condition Condition
	sources   int
}

// neighbour is a source with the points that are proven against it: those of each organisation that
// has any, and what they count for together. None of them is more than a source's share.
type neighbour struct {
	source netip.Prefix
	points each[int]
	counts int
}

// neighbour caps the points that organisations have against a source, each more than none. The
// source is loud where it reaches its share by itself, on the word of the quorum.
func (c crowd) neighbour(source netip.Prefix, points each[int]) (n neighbour, loud bool) {
	sum, capped, share := 0, 0, c.share()
	ofOne := Condition{AtLeast: share, Quorum: c.condition.Quorum}.share()
	for i := range points {
		own := &points[i].value
		*own = min(*own, share)
		sum += *own
		capped += min(*own, ofOne)
	}
	return neighbour{source, points, min(sum, share)}, capped >= share && len(points) >= c.condition.Quorum
}

// cell is a prefix that explains evidence, and the sources whose evidence that is.
type cell struct {
	prefix  netip.Prefix
	sources []netip.Prefix
}

// cells returns the smallest prefixes that explain the evidence against neighbours, who are of one
// family, sorted, and none of them loud: those that cross by themselves, without what a smaller one
// explains (in the literature: hierarchical heavy hitters). An IPv6 prefix is widened to what
// customers are given, a /56 or a /48. The neighbours are in another order afterwards.
//
// What does not cross as a whole holds no prefix that does, and costs one look. Else all evidence
// is looked at once for each length of prefix, at the most: that is 16 times.
func (c crowd) cells(of []neighbour) []cell {
	x := explainer{crowd: c}
	if !x.crosses(of) {
		return nil
	}
	x.explain(of)
	slices.SortStableFunc(x.found, func(a, b cell) int { return a.prefix.Compare(b.prefix) })
	merged := x.found[:0]
	for _, f := range x.found { // that were widened to the same
		if n := len(merged); n > 0 && merged[n-1].prefix == f.prefix {
			merged[n-1].sources = append(merged[n-1].sources, f.sources...)
		} else {
			merged = append(merged, f)
		}
	}
	return merged
}

// explainer finds the prefixes.
type explainer struct {
	crowd
	found []cell
	sums  each[int] // room for agreed
}

// explain walks the prefix tree over the sources from its leaves up, and returns those that no prefix
// explains, moved to the front.
func (x *explainer) explain(of []neighbour) []neighbour {
	if len(of) == 1 {
		return of
	}
	first := of[0].source
	length := common(first, of[len(of)-1].source)
	half := sort.Search(len(of), func(i int) bool { return common(first, of[i].source) == length })
	left, right := x.explain(of[:half]), x.explain(of[half:])
	both := append(left, right...) // in place: right lies behind left
	// Fewer organisations than the quorum must not make a prefix wider than it is: each half is a
	// matter of as many as that.
	if !x.crosses(both) || !x.heard(both[:len(left)]) || !x.heard(both[len(left):]) {
		return both
	}
	f := cell{prefix: widened(first, length)}
	for _, n := range both {
		f.sources = append(f.sources, n.source)
	}
	x.found = append(x.found, f)
	return both[:0]
}

// crosses reports whether sources cross the threshold together, none of them for more than its
// share, and no organisation for more than its own: neither of the points nor of the sources.
func (x *explainer) crosses(of []neighbour) bool {
	bySource := 0
	for _, n := range of {
		bySource += n.counts
	}
	return len(of) >= x.sources && bySource >= x.condition.AtLeast && x.agreed(of) && x.enough(of)
}

// agreed reports whether the organisations' points cross the threshold. As each adds a point at the
// least, sums grow no longer than the threshold.
func (x *explainer) agreed(of []neighbour) bool {
	total, share := 0, x.condition.share()
	x.sums = x.sums[:0]
	for _, n := range of {
		for _, p := range n.points {
			own := x.sums.of(p.voice)
			total += min(p.value, share-*own)
			*own = min(*own+p.value, share)
			if total >= x.condition.AtLeast {
				return true
			}
		}
	}
	return false
}

// heard reports whether the quorum has evidence.
func (x *explainer) heard(of []neighbour) bool {
	var voices []int
	for _, n := range of {
		for _, p := range n.points {
			if slices.Contains(voices, p.voice) {
				continue
			}
			if voices = append(voices, p.voice); len(voices) >= x.condition.Quorum {
				return true
			}
		}
	}
	return false
}

// enough reports whether as many sources are credited to organisations as the rule asks for,
// each to one that has evidence against it, and to none more than its share of them. It is a
// matching, found by augmenting paths. Organisations that have been tried in vain are not tried
// again before another source is credited.
func (x *explainer) enough(of []neighbour) bool {
	share := Condition{AtLeast: x.sources, Quorum: x.condition.Quorum}.share()
	credited := map[int][]int{} // the sources of an organisation
	var tried []int             // organisations, no more than the quorum: so many are never full
	var credit func(source int) bool
	credit = func(source int) bool {
		for _, p := range of[source].points {
			if slices.Contains(tried, p.voice) {
				continue
			}
			tried = append(tried, p.voice)
			own := credited[p.voice]
			if len(own) < share {
				credited[p.voice] = append(own, source)
				return true
			}
			for i, other := range own {
				if credit(other) {
					own[i] = source
					return true
				}
			}
		}
		return false
	}
	for source, n := 0, 0; source < len(of); source++ {
		if !credit(source) {
			continue
		}
		if n++; n >= x.sources {
			return true
		}
		tried = tried[:0]
	}
	return false
}

// share is the most that one source counts for.
func (c crowd) share() int { return (c.condition.AtLeast + c.sources - 1) / c.sources }

// common is how many leading bits two prefixes of one family have in common.
func common(a, b netip.Prefix) int {
	x, y := a.Addr().As16(), b.Addr().As16()
	for i := range x {
		if differ := x[i] ^ y[i]; differ != 0 {
			return 8*i + bits.LeadingZeros8(differ) - (128 - a.Addr().BitLen())
		}
	}
	return a.Bits()
}

// widened is the prefix of that length, for IPv6 the smallest at or above it that a
// customer may have.
func widened(p netip.Prefix, length int) netip.Prefix {
	if p.Addr().Is6() {
		switch {
		case length >= 56:
			length = 56
		case length >= 48:
			length = 48
		}
	}
	wide, _ := p.Addr().Prefix(length) // it fits the family
	return wide
}

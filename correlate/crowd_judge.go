package correlate

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

// maxWindows is in how many windows a crowd is looked for, the newest first: what is older was
// judged when it was new, and a report may not cost what a tree for each of its tallies would.
const maxWindows = 32

// Crowds reports whether the rule blocks prefixes for what their sources do together.
func (r Rule) Crowds() bool { return r.Blocks && r.GroupBy.Has(event.BySourceSubnet) }

func (r Rule) crowd(c Condition) crowd { return crowd{c, r.Sources} }

// judgeCrowd is judge for a rule that blocks prefixes: it is met in the newest window in which
// one is found. What single sources do there is no evidence, however much it is.
func (rs Rules) judgeCrowd(on *desk, r Rule, scope Scope, key event.Key, said []Testimony) (Verdict, bool) {
	c := r.condition(scope)
	exhibits := againstNeighbours(key, rs.exhibits(on, r, c, key, said, c.AtLeast))
	if len(exhibits) < r.Sources {
		return Verdict{}, false
	}
	all := newLineup(exhibits)
	for _, to := range newestEnds(exhibits) {
		w := window{to: to, span: c.seconds()}
		if cells := all.cells(r.crowd(c), w); len(cells) > 0 {
			return w.verdictOn(r, scope, key, exhibits, cells), true
		}
	}
	return Verdict{}, false
}

// againstNeighbours are the exhibits with proof of a source in the key's subnet.
func againstNeighbours(key event.Key, all []exhibit) []exhibit {
	subnet, err := key.SourceSubnet()
	if err != nil {
		return nil // a key that names no subnet accuses nobody
	}
	proven := all[:0]
	for _, e := range all {
		if e = e.provenBy(e.source); e.counts() && subnet.Contains(e.source.Addr()) {
			proven = append(proven, e)
		}
	}
	return proven
}

// newestEnds are the ends of the windows to judge, the newest first.
func newestEnds(exhibits []exhibit) []int64 {
	ends := make([]int64, 0, len(exhibits))
	for _, e := range exhibits {
		ends = append(ends, e.tally.Last)
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	slices.Reverse(ends)
	return ends[:min(len(ends), maxWindows)]
}

// lineup is the sources that may be part of a crowd, sorted, each by its exhibits, organisation by
// organisation: a window is one pass over those, and costs what there is of evidence and
// not what organisations could have of each source.
type lineup struct {
	suspects [][]exhibit
	quiet    []neighbour // room for those of one window
	points   each[int]   // likewise
}

// newLineup sorts the exhibits.
func newLineup(exhibits []exhibit) *lineup {
	slices.SortFunc(exhibits, func(a, b exhibit) int {
		if by := a.source.Addr().Compare(b.source.Addr()); by != 0 { // all are of one length
			return by
		}
		return cmp.Compare(a.voice, b.voice)
	})
	l := new(lineup)
	begins := 0
	for i := range exhibits {
		if i+1 == len(exhibits) || exhibits[i+1].source != exhibits[i].source {
			l.suspects = append(l.suspects, exhibits[begins:i+1])
			begins = i + 1
		}
	}
	return l
}

// cells are the prefixes that explain the evidence in the window. A source that is loud in it is left
// to its own rule from then on: in an older one, in which it had only begun, it is no part of a
// crowd either.
func (l *lineup) cells(c crowd, w window) []cell {
	l.quiet, l.points = l.quiet[:0], l.points[:0]
	still := l.suspects[:0]
	for _, of := range l.suspects {
		n, loud := c.neighbour(of[0].source, l.proven(of, w))
		if loud {
			continue
		}
		still = append(still, of)
		if n.counts > 0 {
			l.quiet = append(l.quiet, n)
		}
	}
	l.suspects = still
	return c.cells(l.quiet)
}

// proven is what a source's exhibits in the window are worth, of each organisation that has any.
func (l *lineup) proven(of []exhibit, w window) each[int] {
	begin := len(l.points)
	var own worth
	for i := range of {
		if e := &of[i]; w.holds(*e) {
			own = own.plus(e.worth(), +1)
		}
		if i+1 < len(of) && of[i+1].voice == of[i].voice {
			continue
		}
		if points := own.points(); points > 0 {
			l.points = append(l.points, voiced[int]{of[i].voice, points})
		}
		own = worth{}
	}
	return l.points[begin:]
}

// explainers says which prefix explains a source's evidence.
func explainers(cells []cell) map[netip.Prefix]netip.Prefix {
	by := map[netip.Prefix]netip.Prefix{}
	for _, c := range cells {
		for _, source := range c.sources {
			by[source] = c.prefix
		}
	}
	return by
}

// verdictOn is the verdict on prefixes, by the evidence that they explain.
func (w window) verdictOn(r Rule, scope Scope, key event.Key, exhibits []exhibit, cells []cell) Verdict {
	by := explainers(cells)
	var explained []exhibit
	newest := map[netip.Prefix]*latest{}
	for _, e := range exhibits {
		prefix, ok := by[e.source]
		if !ok || !w.holds(e) {
			continue
		}
		explained = append(explained, e)
		if newest[prefix] == nil {
			newest[prefix] = new(latest)
		}
		newest[prefix].note(e)
	}
	v := w.summary(r, scope, key, explained)
	v.Agreed = time.Time{}
	for _, c := range cells {
		v.accuse(c.prefix, newest[c.prefix].of(r.condition(scope).Quorum))
	}
	slices.SortFunc(v.Offenders, netip.Prefix.Compare)
	return v
}

package correlate

import (
	"slices"
	"time"
)

// latest is each organisation's newest evidence, in Unix seconds.
type latest map[string]int64

// note takes an exhibit in, if it counts for anything.
func (l latest) note(e exhibit) {
	if old, known := l[e.by.Organisation]; e.counts() && (!known || e.tally.Last > old) {
		l[e.by.Organisation] = e.tally.Last
	}
}

// of is the time up to which a number of organisations have evidence: that many
// less one cannot put it off. It is zero where there are not so many.
func (l latest) of(organisations int) time.Time {
	if organisations > len(l) {
		return time.Time{}
	}
	times := make([]int64, 0, len(l))
	for _, t := range l {
		times = append(times, t)
	}
	slices.Sort(times)
	return time.Unix(times[len(times)-organisations], 0).UTC()
}

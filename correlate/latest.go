package correlate

import (
	"slices"
	"time"
)

// latest is each organisation's newest evidence.
type latest struct{ marks each[mark] }

// mark is a time in Unix seconds, if there is one.
type mark struct {
	known bool
	at    int64
}

// note takes an exhibit in, if it counts by itself.
func (l *latest) note(e exhibit) {
	if !e.counts() || e.unusual {
		return
	}
	if m := l.marks.of(e.voice); !m.known || e.tally.Last > m.at {
		*m = mark{true, e.tally.Last}
	}
}

// before reports whether an organisation has nothing as new as a time.
func (l *latest) before(voice int, at int64) bool {
	return l.marks.of(voice).at < at
}

// of is the time up to which a number of organisations have evidence: that many
// less one cannot put it off. It is zero where there are not so many.
func (l *latest) of(organisations int) time.Time {
	times := make([]int64, 0, len(l.marks))
	for _, m := range l.marks {
		if m.value.known {
			times = append(times, m.value.at)
		}
	}
	if organisations > len(times) {
		return time.Time{}
	}
	slices.Sort(times)
	return time.Unix(times[len(times)-organisations], 0).UTC()
}

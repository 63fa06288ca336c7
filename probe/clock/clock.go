// Package clock finds out by how much a sensor's clock is off, and corrects the times
// of its records: Debar and Wespi (paper 003) have timestamps checked, and adjusted if
// needed, before anything is correlated.
//
// A record that is read as it is written bears nearly the time at which it comes: the
// difference is the clock's offset, less what the record took to get here. One
// difference tells little. Writers that gather lines and write many at a time make old
// ones of new ones, and a log may hold several hosts' lines. So an offset is believed
// only when nearly all differences agree on it for a while, and a record is corrected
// only where that brings it nearer to its arrival.
//
// It is pure: the caller brings the times. It is not safe for concurrent use.
package clock

import (
	"fmt"
	"slices"
	"time"
)

const (
	samplesKept = 64
	// every is how far two samples are apart at least: a burst is not taken for a while,
	// and those that are kept reach back beyond ambiguous.
	every = 90 * time.Second
	// atLeast samples over a while of steady must agree.
	atLeast = 8
	steady  = 10 * time.Minute
	// ambiguous is how long a change by whole hours must last: when summer time ends,
	// times without a zone can be taken wrongly for an hour.
	ambiguous = 75 * time.Minute
	// recent is how long a sample says something about the clock.
	recent = 24 * time.Hour
	// jitter is by how much the middle eight tenths of the samples may differ.
	jitter = time.Minute
)

// Tolerated is an offset that is not corrected: evidence may be as far in the future,
// and what is older by that changes no verdict.
const Tolerated = 2 * time.Minute

// Estimator follows one sensor's clock. The zero value is ready for use.
type Estimator struct {
	samples []sample // oldest first
	offset  time.Duration
	known   bool // samples have agreed on the offset, which may be none
}

type sample struct {
	arrival time.Time
	ahead   time.Duration // of the arrival; behind it where negative
}

// Offset is by how much the clock is ahead, or behind if negative; zero while it is
// right, or not known to be wrong.
func (e *Estimator) Offset() time.Duration { return e.offset }

// Add takes the time of a record and that of its arrival. Only records that are read as
// they are written tell something. It reports whether the offset is another one now.
func (e *Estimator) Add(record, arrival time.Time) (changed bool) {
	if n := len(e.samples); n > 0 && arrival.Sub(e.samples[n-1].arrival) < every {
		return false
	}
	old := slices.IndexFunc(e.samples, func(s sample) bool { return arrival.Sub(s.arrival) < recent })
	switch {
	case old < 0:
		e.samples = e.samples[:0]
	case old == 0 && len(e.samples) == samplesKept:
		old = 1
		fallthrough
	default:
		e.samples = slices.Delete(e.samples, 0, old)
	}
	e.samples = append(e.samples, sample{arrival, record.Sub(arrival)})
	offset, ok := e.estimate()
	e.known = e.known || ok
	if !ok || (offset-e.offset).Abs() <= jitter {
		return false
	}
	e.offset = offset
	return true
}

// estimate is the offset that the latest samples agree on.
func (e *Estimator) estimate() (offset time.Duration, ok bool) {
	for from := range e.samples {
		latest := e.samples[from:]
		if len(latest) < atLeast {
			return 0, false
		}
		offset, ok := agreed(latest)
		if !ok {
			continue // an earlier state of the clock is among them
		}
		lasted := latest[len(latest)-1].arrival.Sub(latest[0].arrival)
		if lasted < steady || e.known && wholeHours(offset-e.offset) != 0 && lasted < ambiguous {
			return 0, false
		}
		return offset, true
	}
	return 0, false
}

// agreed is the median of the samples, if they agree; 0 for a clock that is right.
func agreed(samples []sample) (offset time.Duration, ok bool) {
	var room [samplesKept]time.Duration
	ahead := room[:0]
	for _, s := range samples {
		ahead = append(ahead, s.ahead)
	}
	slices.Sort(ahead)
	n := len(ahead)
	if ahead[n-1-n/10]-ahead[n/10] > jitter {
		return 0, false
	}
	if offset = ahead[n/2]; offset.Abs() <= Tolerated {
		return 0, true
	}
	return offset, true
}

// Correct is the time of a record by a right clock.
func (e *Estimator) Correct(record, arrival time.Time) time.Time {
	corrected := record.Add(-e.offset)
	if corrected.Sub(arrival).Abs() >= record.Sub(arrival).Abs() {
		return record
	}
	return corrected
}

// Note says in words how the clock of a sensor is, with a hint at the likely cause.
func (e *Estimator) Note(sensor string) string {
	off, direction := e.offset.Round(time.Second), "ahead"
	switch {
	case off == 0:
		return "the clock of " + sensor + " is right again"
	case off < 0:
		off, direction = -off, "behind"
	}
	note := fmt.Sprintf("the clock of %s is %s %s: corrected", sensor, off, direction)
	if h := wholeHours(off); h != 0 {
		note += fmt.Sprintf("; is its time zone wrong by %d h?", h)
	}
	return note
}

// wholeHours is how many hours an offset is, if it is whole hours or nearly so, else 0.
func wholeHours(d time.Duration) int {
	h := d.Round(time.Hour)
	if (d - h).Abs() > jitter {
		return 0
	}
	return int(h / time.Hour)
}

package correlate

import (
	"github.com/komondor/komondor/event"
)

// sum is what the organisations' evidence is worth to one condition, none of it
// for more than its share. Evidence can be taken out again, so that a window
// slides over n tallies in n steps, whatever a hostile report holds.
type sum struct {
	condition     Condition
	byValue       bool
	average       bool
	entered       uint                 // exhibits, so far
	total, voters int                  // of shares, and of organisations that have one
	worth         each[worth]          // of an organisation
	counts        each[uint64]         // likewise, of what an average is over
	values        each[map[uint32]int] // likewise: in how many tallies
	union         map[uint32]int       // of all of them
}

func newSum(r Rule, c Condition) *sum {
	s := &sum{condition: c, byValue: r.Type.distinct(), average: r.Type == ValueAverage}
	if s.byValue {
		s.union = make(map[uint32]int)
	}
	return s
}

// enter adds an exhibit, or takes it out again (sign -1).
func (s *sum) enter(e exhibit, sign int) {
	s.entered++
	if s.average {
		n := min(e.tally.Count(), maxCount)
		if sign < 0 {
			n = -n
		}
		*s.counts.of(e.voice) += n
	}
	s.add(e.voice, e.worth(), e.values, sign)
}

// doubled reports whether as many exhibits as before have been entered since it
// was true last: a good time to look whether a growing sum has crossed.
func (s *sum) doubled() bool { return s.entered&(s.entered-1) == 0 }

// add enters a tally's worth, or takes it out again (sign -1).
func (s *sum) add(voice int, w worth, values event.Sketch, sign int) {
	if !s.byValue {
		own := s.worth.of(voice)
		before := own.points()
		*own = own.plus(w, sign)
		s.account(before, own.points())
		return
	}
	own := s.values.of(voice)
	if *own == nil {
		*own = make(map[uint32]int)
	}
	before := len(*own)
	for _, v := range values {
		tally(*own, v, sign)
		tally(s.union, v, sign)
	}
	s.account(before, len(*own))
}

func tally(counts map[uint32]int, v uint32, sign int) {
	if counts[v] += sign; counts[v] == 0 {
		delete(counts, v)
	}
}

func (s *sum) account(before, after int) {
	share := s.condition.share()
	s.total += min(after, share) - min(before, share)
	switch {
	case before == 0 && after > 0:
		s.voters++
	case before > 0 && after == 0:
		s.voters--
	}
}

func (s *sum) crossed() bool {
	if s.average {
		return s.meanEnough() >= s.condition.Quorum
	}
	if s.total < s.condition.AtLeast || s.voters < s.condition.Quorum {
		return false
	}
	return !s.byValue || len(s.union) >= s.condition.AtLeast && s.credited() >= s.condition.AtLeast
}

// meanEnough is how many organisations there are whose events have, each its own, a mean that reaches
// the threshold. A mean over all would let one that exaggerates make up for what the others have not seen.
func (s *sum) meanEnough() (n int) {
	for _, w := range s.worth {
		if count := *s.counts.of(w.voice); count > 0 && float64(w.value.points()) >= float64(count)*float64(s.condition.AtLeast) {
			n++
		}
	}
	return n
}

// credited is how many distinct values count, up to the threshold, when each is
// credited to one of the organisations that have it and none is credited with
// more than its share: organisations that saw the same values share them out.
// It is a maximum matching, found by augmenting paths; a path is no longer than
// the threshold, which is event.SketchSize at the most.
func (s *sum) credited() int {
	to := make(map[uint32]int)
	tried := make(map[uint32]bool)
	var credit func(voice int) bool
	credit = func(voice int) bool {
		for v := range *s.values.of(voice) {
			if tried[v] {
				continue
			}
			tried[v] = true
			if holder, taken := to[v]; !taken || credit(holder) {
				to[v] = voice
				return true
			}
		}
		return false
	}
	for _, own := range s.values {
		for range s.condition.share() {
			clear(tried)
			if !credit(own.voice) {
				break
			}
			if len(to) >= s.condition.AtLeast {
				return len(to)
			}
		}
	}
	return len(to)
}

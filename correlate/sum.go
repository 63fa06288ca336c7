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
	entered       uint                      // exhibits, so far
	total, voters int                       // of shares, and of organisations that have one
	points        map[string]int            // by organisation
	values        map[string]map[uint32]int // of an organisation: in how many tallies
	union         map[uint32]int            // of all of them
}

func newSum(r Rule, c Condition) *sum {
	s := &sum{condition: c, byValue: r.Type == ValueCount}
	if s.byValue {
		s.values, s.union = make(map[string]map[uint32]int), make(map[uint32]int)
	} else {
		s.points = make(map[string]int)
	}
	return s
}

// enter adds an exhibit, or takes it out again (sign -1).
func (s *sum) enter(e exhibit, sign int) {
	s.entered++
	s.add(e.by.Organisation, e.points, e.values, sign)
}

// doubled reports whether as many exhibits as before have been entered since it
// was true last: a good time to look whether a growing sum has crossed.
func (s *sum) doubled() bool { return s.entered&(s.entered-1) == 0 }

// add enters a tally's worth, or takes it out again (sign -1).
func (s *sum) add(organisation string, points int, values event.Sketch, sign int) {
	if !s.byValue {
		before := s.points[organisation]
		s.points[organisation] = before + sign*points
		s.account(before, before+sign*points)
		return
	}
	own := s.values[organisation]
	if own == nil {
		own = make(map[uint32]int)
		s.values[organisation] = own
	}
	before := len(own)
	for _, v := range values {
		tally(own, v, sign)
		tally(s.union, v, sign)
	}
	s.account(before, len(own))
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
	if s.total < s.condition.AtLeast || s.voters < s.condition.Quorum {
		return false
	}
	return !s.byValue || len(s.union) >= s.condition.AtLeast && s.credited() >= s.condition.AtLeast
}

// credited is how many distinct values count, up to the threshold, when each is
// credited to one of the organisations that have it and none is credited with
// more than its share: organisations that saw the same values share them out.
// It is a maximum matching, found by augmenting paths; a path is no longer than
// the threshold, which is event.SketchSize at the most.
func (s *sum) credited() int {
	to := make(map[uint32]string)
	tried := make(map[uint32]bool)
	var credit func(organisation string) bool
	credit = func(organisation string) bool {
		for v := range s.values[organisation] {
			if tried[v] {
				continue
			}
			tried[v] = true
			if holder, taken := to[v]; !taken || credit(holder) {
				to[v] = organisation
				return true
			}
		}
		return false
	}
	for organisation := range s.values {
		for range s.condition.share() {
			clear(tried)
			if !credit(organisation) {
				break
			}
			if len(to) >= s.condition.AtLeast {
				return len(to)
			}
		}
	}
	return len(to)
}

package broadcast

import (
	"cmp"
	"slices"
	"time"
)

const (
	// maxShelf and maxKept bound what is kept for those who have missed it, in bytes
	// and in payloads. What is too much, the oldest, is for others to give.
	maxShelf = 8 << 20
	maxKept  = 4096
	keepTime = time.Hour
)

// shelf keeps the best payload on each topic, in the order in which they came. It has
// no clock and no lock.
type shelf struct {
	keep    time.Duration
	byTopic map[string]*kept
	byID    map[id]*kept
	order   []*kept // as they came, so by number, with some that were dropped
	bytes   int
	came    uint64 // how many have come, so the number of the newest
}

type kept struct {
	id      id
	about   About
	payload []byte
	number  uint64
	at      time.Time
	dropped bool
}

func newShelf(keep time.Duration) shelf {
	if keep <= 0 {
		keep = keepTime
	}
	return shelf{keep: keep, byTopic: map[string]*kept{}, byID: map[id]*kept{}}
}

// over reports whether nobody needs the payload any more.
func (k *kept) over(now time.Time, keep time.Duration) bool {
	return now.Sub(k.at) > keep || !k.about.Until.IsZero() && now.After(k.about.Until)
}

// put keeps a payload, unless one on its topic is as good, and reports whether it does.
func (s *shelf) put(x id, about About, payload []byte, now time.Time) bool {
	if len(payload) > maxAnswer { // no answer could hold it
		return false
	}
	if old := s.byTopic[about.Topic]; old != nil {
		if old.about.Rank >= about.Rank {
			return false
		}
		s.drop(old)
	}
	s.came++
	k := &kept{id: x, about: about, payload: payload, number: s.came, at: now}
	s.byTopic[about.Topic], s.byID[x] = k, k
	s.order = append(s.order, k)
	s.bytes += len(payload)
	for len(s.order) > 0 {
		oldest := s.order[0]
		if !oldest.dropped {
			if s.bytes <= maxShelf && len(s.byTopic) <= maxKept && now.Sub(oldest.at) <= s.keep {
				break
			}
			s.drop(oldest)
		}
		s.order[0] = nil // append moves the rest to a new array in time
		s.order = s.order[1:]
	}
	if len(s.order) > 2*len(s.byTopic) { // so that a topic with ever better payloads costs no room
		s.order = slices.DeleteFunc(s.order, func(k *kept) bool { return k.dropped })
	}
	return true
}

// drop leaves its place in the order, for the numbers of the others.
func (s *shelf) drop(k *kept) {
	delete(s.byTopic, k.about.Topic)
	delete(s.byID, k.id)
	s.bytes -= len(k.payload)
	k.payload, k.dropped = nil, true
}

// after returns up to n of what came after a number, and the number of the last one
// looked at: where to go on.
func (s *shelf) after(number uint64, n int, now time.Time) (ids []id, next uint64) {
	number = min(number, s.came) // of another run, or made up
	first, _ := slices.BinarySearchFunc(s.order, number+1, func(k *kept, number uint64) int { return cmp.Compare(k.number, number) })
	next = number
	for _, k := range s.order[first:] {
		if len(ids) == n {
			return ids, next
		}
		if k.dropped || k.over(now, s.keep) {
			continue
		}
		ids, next = append(ids, k.id), k.number
	}
	return ids, s.came
}

func (s *shelf) get(x id) (payload []byte, ok bool) {
	k := s.byID[x]
	if k == nil {
		return nil, false
	}
	return k.payload, true
}

// holdsBetter reports whether something better is kept on the topic.
func (s *shelf) holdsBetter(than About) bool {
	k := s.byTopic[than.Topic]
	return k != nil && than.Topic != "" && k.about.Rank > than.Rank
}

package broadcast

import "time"

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
	order   []*kept // as they came; nil where a better one has taken the place
	bytes   int
	came    uint64 // how many have come, so the number of the newest
}

type kept struct {
	id      id
	about   About
	payload []byte
	number  uint64
	at      time.Time
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

// put keeps a payload, unless one on its topic is as good.
func (s *shelf) put(x id, about About, payload []byte, now time.Time) {
	if len(payload) > maxAnswer { // no answer could hold it
		return
	}
	if old := s.byTopic[about.Topic]; old != nil {
		if old.about.Rank >= about.Rank {
			return
		}
		s.drop(old)
	}
	s.came++
	k := &kept{x, about, payload, s.came, now}
	s.byTopic[about.Topic], s.byID[x] = k, k
	s.order = append(s.order, k)
	s.bytes += len(payload)
	for len(s.order) > 0 {
		oldest := s.order[0]
		if oldest != nil {
			if s.bytes <= maxShelf && len(s.byTopic) <= maxKept && now.Sub(oldest.at) <= s.keep {
				break
			}
			s.drop(oldest)
		}
		s.order[0] = nil // append moves the rest to a new array in time
		s.order = s.order[1:]
	}
}

// drop leaves a gap in the order, so that places stay in step with numbers.
func (s *shelf) drop(k *kept) {
	delete(s.byTopic, k.about.Topic)
	delete(s.byID, k.id)
	s.bytes -= len(k.payload)
	s.order[s.place(k.number)] = nil
}

// place is where the payload of a number stands in the order.
func (s *shelf) place(number uint64) int { return len(s.order) - 1 - int(s.came-number) }

// after returns up to n of what came after a number, and the number of the last one
// looked at: where to go on.
func (s *shelf) after(number uint64, n int, now time.Time) (ids []id, next uint64) {
	number = min(number, s.came) // of another run, or made up
	first := max(s.place(number)+1, 0)
	next = number
	for _, k := range s.order[first:] {
		if len(ids) == n {
			return ids, next
		}
		if k == nil || k.over(now, s.keep) {
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

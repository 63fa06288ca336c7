package broadcast

import (
	"crypto/sha256"
	"time"

	"github.com/komondor/komondor/broadcast/tree"
)

const (
	maxSeen  = 16384
	seenTime = time.Hour
)

// id names a payload: its SHA-256.
type id [sha256.Size]byte

func idOf(payload []byte) id { return sha256.Sum256(payload) }

// entry is a payload that has come. Its verdict is valid once done is closed.
type entry struct {
	id      id
	done    chan struct{}
	verdict Verdict
	share   tree.Share // what of the tree it has been forwarded to
	leaves  bool       // it has been forwarded to the leaves
	about   About      // zero: nothing can supersede it
	kept    bool       // nothing as good was there
	at      time.Time
}

func (e *entry) verified() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

func (e *entry) settle(v Verdict) {
	e.verdict = v
	close(e.done)
}

// seen remembers verified payloads, the newest maxSeen of the last hour, and
// those under verification. What is forgotten and comes again is verified
// again, and the application knows it. Callers hold the lock.
type seen struct {
	byID  map[id]*entry
	order []*entry // the verified ones, oldest first
}

func (s *seen) get(x id) *entry { return s.byID[x] }

// begin notes a payload under verification.
func (s *seen) begin(x id) *entry {
	e := &entry{id: x, done: make(chan struct{})}
	s.byID[x] = e
	return e
}

// add notes a payload that needs no verification.
func (s *seen) add(x id, now time.Time) *entry {
	e := s.begin(x)
	s.keep(e, now)
	return e
}

// finish ends a verification: an invalid payload is forgotten.
func (s *seen) finish(e *entry, v Verdict, now time.Time) {
	e.settle(v)
	switch current := s.byID[e.id] == e; {
	case !current: // published here meanwhile
	case v == Invalid:
		delete(s.byID, e.id)
	default:
		s.keep(e, now)
	}
}

func (s *seen) keep(e *entry, now time.Time) {
	e.at = now
	s.order = append(s.order, e)
	for len(s.order) > maxSeen || now.Sub(s.order[0].at) > seenTime {
		oldest := s.order[0]
		if s.byID[oldest.id] == oldest {
			delete(s.byID, oldest.id)
		}
		s.order[0] = nil // append moves the rest to a new array in time
		s.order = s.order[1:]
	}
}

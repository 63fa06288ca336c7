package correlate

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/komondor/komondor/event"
)

// Change adds an event to the evidence (Delta 1) or takes one out again that
// was added before (Delta -1).
type Change struct {
	Event event.Event
	Delta int
}

const (
	attemptLife  = time.Hour // process ids are reused: an older attempt is another one
	attemptsKept = 1 << 15   // attempts remembered, at the least
	entriesKept  = 1 << 16   // failures and logins of all users remembered, at the least
	longestUser  = 256       // bytes of a user's name (LOGIN_NAME_MAX); a longer one is nobody's
)

// Attempts merges what sshd and PAM write about one login attempt, several
// lines for each: an attempt counts once, at its most severe line. A login that
// succeeds forgives the latest failures of the same user from the same source.
//
// What all changes add up to does not depend on the order in which the lines come:
// of lines that are equally severe the first by time counts, and which failures are
// forgiven follows from the times, too. That holds as far as is remembered.
//
// Memory is bounded: the oldest half is forgotten when more than 2^16 attempts
// are remembered; a line that comes later then counts for itself. Of one user from one
// source the last 16 failures and logins are remembered, and of all users 2^17 together.
type Attempts struct {
	seen      generations[attemptKey, attempt]
	histories generations[userKey, history]
}

type attempt struct {
	worst    event.Event // the line that counts
	began    moment      // its first line
	port     uint16      // that any line named
	user     string      // likewise; of several the first by name
	forgiven bool
}

type attemptKey struct {
	file, attempt string
	source        netip.Addr
}

type userKey struct {
	user   string
	source netip.Addr
}

// Add takes the next event of a sensor and returns what it changes: nothing for
// a line that adds nothing to its attempt.
func (a *Attempts) Add(e event.Event) []Change {
	if e.Severity < 0 {
		return a.remember(momentOf(e), brief(e))
	}
	if e.Attempt == "" {
		e.Count = min(max(e.Count, 1), maxCount)
		return append([]Change{{e, +1}}, a.remember(momentOf(e), brief(e))...)
	}
	e.Count = 1
	key := attemptKey{e.File, e.Attempt, e.Source.Addr}
	old, known := a.seen.get(key)
	if !known || !sameConnection(old, e) {
		a.seen.put(key, attempt{worst: brief(e), began: momentOf(e), port: e.Source.Port, user: e.User})
		return append([]Change{{e, +1}}, a.remember(momentOf(e), brief(e))...)
	}
	now := old.with(e)
	before, after := old.counts(), now.counts()
	if before == after && old.began == now.began {
		if now != old {
			a.seen.put(key, now) // for lines that are still to come
		}
		return nil
	}
	now.forgiven = false
	a.seen.put(key, now)
	changes := a.recall(old.began, before)
	switch {
	case old.forgiven:
		changes = append(changes, Change{after, +1})
	case before != after:
		changes = append(changes, Change{before, -1}, Change{after, +1})
	}
	return append(changes, a.remember(now.began, after)...)
}

// with is the attempt with one line more.
func (a attempt) with(e event.Event) attempt {
	line := brief(e)
	if line.Severity > a.worst.Severity || line.Severity == a.worst.Severity && line.Compare(a.worst) < 0 {
		a.worst = line
	}
	if at := momentOf(e); at.compare(a.began) < 0 {
		a.began = at
	}
	a.port = cmp.Or(a.port, e.Source.Port)
	if a.user == "" || e.User != "" && e.User < a.user {
		a.user = e.User
	}
	return a
}

// counts is what is counted of the attempt.
func (a attempt) counts() event.Event {
	e := a.worst
	e.Source.Port = cmp.Or(e.Source.Port, a.port)
	e.User = cmp.Or(e.User, a.user)
	return e
}

// brief is what has to be remembered of an event: not what is for people.
func brief(e event.Event) event.Event {
	e.Detail = ""
	return e
}

func sameConnection(a attempt, e event.Event) bool {
	samePort := a.port == e.Source.Port || a.port == 0 || e.Source.Port == 0
	return samePort && e.Time.Sub(a.worst.Time).Abs() < attemptLife
}

// remember enters a failure or a login into its user's history, and returns what
// changes by that.
func (a *Attempts) remember(at moment, e event.Event) []Change {
	if e.User == "" || len(e.User) > longestUser {
		return nil
	}
	return a.revise(e, func(h history) (history, []Change) { return h.with(entry{at: at, event: e}) })
}

// recall drops a failure that its attempt has another place or another worst line for.
func (a *Attempts) recall(at moment, e event.Event) []Change {
	return a.revise(e, func(h history) (history, []Change) { return h.without(at, e) })
}

// revise exchanges the history that an event belongs to.
func (a *Attempts) revise(e event.Event, by func(history) (history, []Change)) []Change {
	if a.histories.weigh == nil {
		a.histories.kept, a.histories.weigh = entriesKept, func(h history) int { return max(1, len(h)) }
	}
	key := userKey{e.User, e.Source.Addr}
	h, known := a.histories.get(key)
	revised, changes := by(h)
	if !known && len(revised) == 0 {
		return nil
	}
	a.histories.put(key, revised)
	for _, c := range changes {
		// What else the process of that attempt writes is forgiven with it.
		attemptOf := attemptKey{c.Event.File, c.Event.Attempt, c.Event.Source.Addr}
		if known, ok := a.seen.get(attemptOf); ok && known.counts() == c.Event {
			known.forgiven = c.Delta < 0
			a.seen.put(attemptOf, known)
		}
	}
	return changes
}

// generations is a map that forgets: when the younger half is full, the older
// half goes. It holds between kept (attemptsKept if 0) and twice as many entries,
// each of the weight that weigh says (1 if nil).
type generations[K comparable, V any] struct {
	kept       int
	weigh      func(V) int
	weight     int // of the young
	young, old map[K]V
}

func (g *generations[K, V]) get(key K) (V, bool) {
	if v, ok := g.young[key]; ok {
		return v, true
	}
	v, ok := g.old[key]
	return v, ok
}

func (g *generations[K, V]) drop(key K) {
	g.lighten(key)
	delete(g.young, key)
	delete(g.old, key)
}

func (g *generations[K, V]) put(key K, v V) {
	if g.kept == 0 {
		g.kept = attemptsKept
	}
	if g.young == nil || g.weight >= g.kept {
		g.young, g.old, g.weight = make(map[K]V), g.young, 0
	}
	g.lighten(key)
	g.young[key] = v
	g.weight += g.weightOf(v)
}

// lighten takes off what the young entry weighs.
func (g *generations[K, V]) lighten(key K) {
	if v, ok := g.young[key]; ok {
		g.weight -= g.weightOf(v)
	}
}

func (g *generations[K, V]) weightOf(v V) int {
	if g.weigh == nil {
		return 1
	}
	return g.weigh(v)
}

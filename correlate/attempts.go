package correlate

import (
	"cmp"
	"net/netip"
	"slices"
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
	failuresKept = 8         // failures remembered of one user from one source
	longestUser  = 256       // bytes of a user's name (LOGIN_NAME_MAX); a longer one is nobody's
)

// Attempts merges what sshd and PAM write about one login attempt, several
// lines for each: an attempt counts once, at its most severe line. A login that
// succeeds forgives the latest failures of the same user from the same source.
//
// Memory is bounded: the oldest half is forgotten when more than 2^16 attempts
// are remembered; a line that comes later then counts for itself.
type Attempts struct {
	seen     generations[attemptKey, attempt]
	failures generations[userKey, []event.Event]
}

type attempt struct {
	worst    event.Event // with the port and the user that any of its lines named
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
		return a.forgive(e)
	}
	if e.Attempt == "" {
		e.Count = min(max(e.Count, 1), maxCount)
		a.remember(e)
		return []Change{{e, +1}}
	}
	e.Count = 1
	key := attemptKey{e.File, e.Attempt, e.Source.Addr}
	known, ok := a.seen.get(key)
	if !ok || !sameConnection(known.worst, e) {
		a.seen.put(key, attempt{worst: brief(e)})
		a.remember(e)
		return []Change{{e, +1}}
	}
	old, worst := known.worst, known.worst
	if e.Severity > old.Severity {
		worst = e
	}
	worst.Source.Port = cmp.Or(worst.Source.Port, old.Source.Port, e.Source.Port)
	worst.User = cmp.Or(worst.User, old.User, e.User)
	if worst == old || known.forgiven {
		return nil
	}
	a.seen.put(key, attempt{worst: brief(worst)})
	a.recall(old)
	a.remember(worst)
	if e.Severity <= old.Severity {
		return nil
	}
	return []Change{{old, -1}, {worst, +1}}
}

// brief is what has to be remembered of an event: not what is for people.
func brief(e event.Event) event.Event {
	e.Detail = ""
	return e
}

func sameConnection(old, e event.Event) bool {
	samePort := old.Source.Port == e.Source.Port || old.Source.Port == 0 || e.Source.Port == 0
	return samePort && e.Time.Sub(old.Time).Abs() < attemptLife
}

// remember keeps a failure, for a login of its user to forgive.
func (a *Attempts) remember(e event.Event) {
	if e.User == "" || len(e.User) > longestUser {
		return
	}
	key := userKey{e.User, e.Source.Addr}
	failures, _ := a.failures.get(key)
	if len(failures) == failuresKept {
		failures = slices.Delete(failures, 0, 1)
	}
	a.failures.put(key, append(failures, brief(e)))
}

// recall drops a failure that another line of its attempt takes the place of.
func (a *Attempts) recall(e event.Event) {
	key := userKey{e.User, e.Source.Addr}
	failures, _ := a.failures.get(key)
	for i, f := range failures {
		if f == brief(e) {
			a.failures.put(key, slices.Delete(failures, i, i+1))
			return
		}
	}
}

func (a *Attempts) forgive(login event.Event) []Change {
	key := userKey{login.User, login.Source.Addr}
	failures, _ := a.failures.get(key)
	credit := -login.Severity
	var changes []Change
	for len(failures) > 0 {
		last := failures[len(failures)-1]
		points := last.Severity * last.Count
		if points > credit || login.Time.Sub(last.Time) > attemptLife {
			break
		}
		credit -= points
		failures = failures[:len(failures)-1]
		changes = append(changes, Change{last, -1})
		// What else the process of that attempt writes is forgiven with it.
		attemptOf := attemptKey{last.File, last.Attempt, last.Source.Addr}
		if known, ok := a.seen.get(attemptOf); ok && known.worst == last {
			a.seen.put(attemptOf, attempt{last, true})
		}
	}
	if len(changes) > 0 {
		a.failures.put(key, failures)
	}
	return changes
}

// generations is a map that forgets: when the younger half is full, the older
// half goes. It holds between kept (attemptsKept if 0) and twice as many entries.
type generations[K comparable, V any] struct {
	kept       int
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
	delete(g.young, key)
	delete(g.old, key)
}

func (g *generations[K, V]) put(key K, v V) {
	if g.kept == 0 {
		g.kept = attemptsKept
	}
	if g.young == nil || len(g.young) >= g.kept {
		g.young, g.old = make(map[K]V), g.young
	}
	g.young[key] = v
}

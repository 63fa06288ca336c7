package node

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// A node has too much to do when what its sources saw waited longer than
	// tooLate for its turn, or when more reports than tooMany for each core were
	// being judged at a time, on average; and that for as long as overloadedFor, so
	// that neither a burst nor a pause of the garbage collector is one.
	tooLate       = 500 * time.Millisecond
	tooMany       = 1.5
	overloadedFor = 3 * time.Second
	// It has little to do again when all is below a fifth of that for calmFor.
	calm    = 5
	calmFor = 10 * time.Second
	// shedFirst is how long it sheds at least: as long as others leave it alone for
	// having said so. Each time that it must do so again within shedAgain of the
	// last it is twice as long, up to shedLast, because what it gives up has to be
	// told to it anew.
	shedFirst = 30 * time.Second
	shedLast  = 8 * time.Minute
	shedAgain = 2 * time.Minute
	lookEvery = time.Second
)

// load decides whether this node collects for others now, by how it gets on with
// its own work. A node that has too much to do sheds collecting first: others can
// collect in its place, and nobody else can observe this host. It keeps no clock.
type load struct {
	cores int

	mu      sync.Mutex
	waited  time.Duration // the longest since the last look; while nothing gets its turn, it grows
	moved   bool          // something has got its turn since
	judging time.Duration // all together since the last look
	looked  time.Time
	high    time.Time // since when there is too much to do; zero: there is not
	low     time.Time // since when there is little; zero: there is not
	shed    bool
	since   time.Time // when shedding began, or ended last
	atLeast time.Duration
	reason  string
	figure  float64 // of the last look: 1 is too much
}

// waitedFor notes how long something seen has waited for the observer.
func (l *load) waitedFor(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.moved {
		l.waited, l.moved = 0, true
	}
	l.waited = max(l.waited, d)
}

// judgedFor notes how long the judging of one report took.
func (l *load) judgedFor(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.judging += d
}

// sheds says whether reports of others are to be turned away now.
func (l *load) sheds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shed
}

// look judges what was noted since the last look, and says whether shedding has
// begun or ended with it. Backlog is how much of what was seen waits for its turn.
func (l *load) look(now time.Time, backlog int) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	elapsed, moved, judging := now.Sub(l.looked), l.moved, l.judging
	first := l.looked.IsZero()
	l.moved, l.judging, l.looked = false, 0, now
	switch {
	case first || elapsed <= 0:
		return false
	case moved:
	case backlog > 0:
		l.waited += elapsed
	default:
		l.waited = 0
	}
	late := l.waited.Seconds() / tooLate.Seconds()
	many := judging.Seconds() / elapsed.Seconds() / float64(l.cores) / tooMany
	l.figure = max(late, many)
	lasting(&l.high, l.figure >= 1, now)
	lasting(&l.low, l.figure < 1./calm, now)
	switch {
	case !l.shed && !l.high.IsZero() && now.Sub(l.high) >= overloadedFor:
		if again := l.atLeast > 0 && now.Sub(l.since) < shedAgain; again {
			l.atLeast = min(2*l.atLeast, shedLast)
		} else {
			l.atLeast = shedFirst
		}
		l.shed, l.since = true, now
		l.reason = fmt.Sprintf("%.1f reports a core were being judged at a time", many*tooMany)
		if late > many {
			l.reason = fmt.Sprintf("what the sources saw waited %s for its turn", l.waited.Round(time.Millisecond))
		}
		return true
	case l.shed && now.Sub(l.since) >= l.atLeast && !l.low.IsZero() && now.Sub(l.low) >= calmFor:
		l.shed, l.since, l.reason = false, now, ""
		return true
	}
	return false
}

// lasting keeps since when something is so.
func lasting(since *time.Time, so bool, now time.Time) {
	switch {
	case !so:
		*since = time.Time{}
	case since.IsZero():
		*since = now
	}
}

// now is what people are shown.
func (l *load) now() (sheds bool, since time.Time, reason string, figure float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shed, l.since, l.reason, l.figure
}

// weigh looks at the load until ctx ends.
func (n *Node) weigh(ctx context.Context) error {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case now := <-again.C:
			if !n.load.look(now, len(n.observer.sightings)) {
				continue
			}
			if sheds, _, reason, _ := n.load.now(); sheds {
				n.config.Log.Warn("too much to do: this node collects for nobody for a while, others do so in its place", "reason", reason)
			} else {
				n.config.Log.Info("this node collects again")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

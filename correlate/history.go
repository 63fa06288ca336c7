package correlate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
)

// historyKept is how many failures and logins of one user from one source are remembered.
const historyKept = 16

// history is what one user did from one source, by time: failures, and logins with their
// credit. Which failures are forgiven follows from it alone, and not from the order in
// which it became known.
type history []entry

type entry struct {
	at       moment
	event    event.Event // with credit, it is a login
	forgiven bool
}

func (e entry) login() bool { return e.event.Severity < 0 }

// moment is when something was written, and where: within a second the place decides.
type moment struct {
	time time.Time
	file string
	line int64
}

func momentOf(e event.Event) moment { return moment{e.Time, e.File, e.Line} }

func (m moment) compare(other moment) int {
	return cmp.Or(m.time.Compare(other.time), strings.Compare(m.file, other.file), cmp.Compare(m.line, other.line))
}

// compare has a login after the failures of the same moment.
func (e entry) compare(other entry) int {
	credit := func(e entry) int { return max(0, -e.event.Severity) }
	return cmp.Or(e.at.compare(other.at), cmp.Compare(credit(e), credit(other)), e.event.Compare(other.event))
}

// with returns the history with one entry more, and what that changes: failures that are
// forgiven now, and those that are no longer because a later one takes their place.
func (h history) with(e entry) (history, []Change) {
	i, _ := slices.BinarySearchFunc(h, e, entry.compare)
	if len(h) == historyKept { // the oldest goes, and what has become of it stays
		if i == 0 {
			return h, nil
		}
		h, i = slices.Delete(h, 0, 1), i-1
	}
	h = slices.Insert(h, i, e)
	return h, h.settle()
}

// without returns the history without a failure, and what that changes.
func (h history) without(at moment, e event.Event) (history, []Change) {
	i := slices.IndexFunc(h, func(other entry) bool { return other.at == at && other.event == e })
	if i < 0 {
		return h, nil
	}
	h = slices.Delete(h, i, i+1)
	return h, h.settle()
}

// settle has each login forgive the latest failures before it, up to its credit.
func (h history) settle() (changes []Change) {
	var forgiven [historyKept]bool
	var room [historyKept]int
	open := room[:0]
	for i := range h {
		if !h[i].login() {
			open = append(open, i)
			continue
		}
		credit := -h[i].event.Severity
		for len(open) > 0 {
			last := open[len(open)-1]
			points := h[last].event.Severity * h[last].event.Count
			if points > credit || h[i].at.time.Sub(h[last].at.time) > attemptLife {
				break
			}
			credit -= points
			forgiven[last], open = true, open[:len(open)-1]
		}
	}
	for i := range h {
		switch e := &h[i]; {
		case e.forgiven == forgiven[i]:
			continue
		case forgiven[i]:
			changes = append(changes, Change{e.event, -1})
		default:
			changes = append(changes, Change{e.event, +1})
		}
		h[i].forgiven = forgiven[i]
	}
	return changes
}

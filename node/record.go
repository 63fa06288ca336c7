package node

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/follow"
)

const examplesKept = 3 // malformed lines shown for each source

// record is what a source says of itself: whether it reads, how much, and what it loses. Every
// source fills one.
type record struct {
	log   *slog.Logger
	mu    sync.Mutex
	state control.Source
}

// account counts a line and what came of it.
func (r *record) account(line follow.Line, e event.Event, ok bool, err error) {
	r.mu.Lock()
	r.state.Lines++
	if line.Truncated {
		r.state.Truncated++
	}
	r.mu.Unlock()
	r.outcome(line, e, ok, err)
}

// outcome counts what came of a line, or of those that were waiting when there were no more.
func (r *record) outcome(line follow.Line, e event.Event, ok bool, err error) {
	if ok {
		r.event(e, false)
	}
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Malformed++
	if len(r.state.Examples) < examplesKept {
		r.state.Examples = append(r.state.Examples, "line "+strconv.FormatInt(line.Number, 10)+": "+err.Error())
		r.log.Warn("malformed line skipped", "line", line.Number, "error", err)
	}
}

// event counts an event, and whether it was dropped.
func (r *record) event(e event.Event, dropped bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Events++
	if e.Time.After(r.state.LastEvent) {
		r.state.LastEvent = e.Time
	}
	if dropped {
		r.state.Dropped++
	}
}

// update changes what else a source says.
func (r *record) update(change func(state *control.Source)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.state)
}

// becomes says that the source waits, reads, has ended or has failed.
func (r *record) becomes(state string) {
	r.update(func(s *control.Source) { s.State = state })
}

// silent says since when nothing has been heard of the source; the zero time that
// nothing is wrong.
func (r *record) silent(since time.Time) {
	r.update(func(s *control.Source) { s.SilentSince = since })
}

func (r *record) notice(text string) {
	r.log.Warn(text)
	r.update(func(s *control.Source) { s.Notice = text })
}

// over takes back a notice whose state has passed, unless there is a newer one.
func (r *record) over(text string) {
	r.log.Info("this is over", "notice", text)
	r.update(func(s *control.Source) {
		if s.Notice == text {
			s.Notice = ""
		}
	})
}

func (r *record) status() control.Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.state
	state.Examples = slices.Clone(r.state.Examples)
	if state.State == control.Reading && !state.SilentSince.IsZero() {
		state.State = control.Silent
	}
	return state
}

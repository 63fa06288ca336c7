// Package health notices sources that have gone silent: a sensor that was stopped, by
// its administrator or by who broke in, writes nothing that could be read.
//
// How long a source is silent by itself is learned from the longest pause of each day:
// nights and days off are part of it. A silence is reported when it is three times as
// long as that of most days. A source for which this would take more than a day is
// rare by nature, and its silence means nothing.
//
// It is pure: the caller brings the times. It is not safe for concurrent use.
package health

import (
	"fmt"
	"slices"
	"time"

	"github.com/komondor/komondor/event"
)

const (
	days     = 14 // of history are kept
	learning = 3  // days at least before anything is said
	factor   = 3  // by which a silence is longer than the usual pauses
	shortest = 10 * time.Minute
	longest  = 24 * time.Hour
	away     = 5 * time.Minute // between two Ticks: this host slept, and nobody could be heard
)

// Monitor knows the sources by name, as many as there are names.
type Monitor struct {
	sources map[string]*source
	looked  time.Time
}

type source struct {
	last   time.Time // when it was heard, or could be heard again
	heard  bool      // since then; the pause before is unknown otherwise
	pauses [days]pause
	silent time.Time // since when, if that was told
}

// pause is the longest one that ended on a day.
type pause struct {
	Day     int64         `cbor:"1,keyasint"` // since 1970
	Longest time.Duration `cbor:"2,keyasint"`
}

// Watch has a source missed even if it is never heard.
func (m *Monitor) Watch(name string) { m.source(name) }

func (m *Monitor) source(name string) *source {
	s := m.sources[name]
	if s == nil {
		if m.sources == nil {
			m.sources = make(map[string]*source)
		}
		s = &source{}
		m.sources[name] = s
	}
	return s
}

// Heard notes that a source has written something. It returns how long it was silent,
// if that was told, and else zero.
func (m *Monitor) Heard(name string, at time.Time) (silent time.Duration) {
	s := m.source(name)
	if !s.silent.IsZero() {
		silent = at.Sub(s.silent)
	}
	if s.heard && at.After(s.last) {
		day := at.Unix() / (24 * 3600)
		p := &s.pauses[day%days]
		if p.Day != day {
			*p = pause{Day: day}
		}
		p.Longest = max(p.Longest, at.Sub(s.last))
	}
	s.last, s.heard, s.silent = at, true, time.Time{}
	return silent
}

// Tick reports the sources that have been silent for too long by now, each once. It
// wants to be called every minute: what lies between two calls further apart is not
// held against the sources.
func (m *Monitor) Tick(now time.Time, emit func(event.Event)) {
	gone := now.Sub(m.looked) > away
	m.looked = now
	for name, s := range m.sources {
		if gone || s.last.IsZero() {
			s.last, s.heard = now, false
		}
		usual, known := s.usual(now)
		limit := max(factor*usual, shortest)
		if !known || limit > longest || now.Sub(s.last) <= limit || !s.silent.IsZero() {
			continue
		}
		s.silent = s.last
		emit(event.Event{Time: now, Kind: event.ProbeSilent, Severity: event.ProbeSilent.Severity(), Count: 1, Sensor: "health", File: name,
			Detail: fmt.Sprintf("nothing since %s UTC; its longest pauses are usually %s", s.silent.UTC().Format(time.DateTime), usual.Round(time.Second))})
	}
}

// Silent is since when a source has been silent; zero where that was not reported.
func (m *Monitor) Silent(name string) time.Time {
	if s := m.sources[name]; s != nil {
		return s.silent
	}
	return time.Time{}
}

// usual is the longest pause of most days, their upper quartile.
func (s *source) usual(now time.Time) (d time.Duration, known bool) {
	today := now.Unix() / (24 * 3600)
	var room [days]time.Duration
	all := room[:0]
	for _, p := range s.pauses {
		if p.Longest > 0 && p.Day > today-days {
			all = append(all, p.Longest)
		}
	}
	if len(all) < learning {
		return 0, false
	}
	slices.Sort(all)
	return min(all[len(all)*3/4], longest), true
}

// State is what was learned, to be kept over a restart.
func (m *Monitor) State() ([]byte, error) {
	kept := make(map[string][days]pause)
	for name, s := range m.sources {
		if len(kept) < maxKept {
			kept[name] = s.pauses
		}
	}
	return event.Encode(kept)
}

// maxKept is how many sources a state holds: as many as a map that is decoded.
const maxKept = 256

// Restore takes up what an earlier State has kept of the sources that are watched.
func (m *Monitor) Restore(state []byte) error {
	var kept map[string][days]pause
	if err := event.Decode(state, &kept); err != nil {
		return fmt.Errorf("what was learned about silences: %w", err)
	}
	for name, pauses := range kept {
		if s := m.sources[name]; s != nil {
			s.pauses = pauses
		}
	}
	return nil
}

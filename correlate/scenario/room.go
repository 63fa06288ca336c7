package scenario

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// evict makes room: a sixteenth of what is kept, of one's own or of the others'. Of the others, whoever
// has told most gives up first. Of each, those go that are part of the least complete scenario; of them
// what a stranger can have made up before what was proved here, the oldest first.
func (e *Engine) evict(own bool) {
	type victim struct {
		x    *sighting
		rank int // by how many of the same cell go after it
	}
	byCell := map[string][]*sighting{}
	for _, g := range e.gatherings {
		for _, x := range g.sightings {
			if x.own != own || x.gone {
				continue
			}
			cell := ""
			if !own && len(x.cells) > 0 {
				cell = x.cells[0]
			}
			byCell[cell] = append(byCell[cell], x)
		}
	}
	var victims []victim
	for _, of := range byCell {
		slices.SortFunc(of, leastTelling)
		for i, x := range of {
			victims = append(victims, victim{x, len(of) - i})
		}
	}
	slices.SortFunc(victims, func(a, b victim) int { return cmp.Or(b.rank-a.rank, leastTelling(a.x, b.x)) })
	for _, v := range victims[:min(len(victims), max(e.limits.Steps/32, 1))] {
		e.drop(v.x)
		e.stats.Evicted++
	}
	for _, g := range e.gatherings {
		g.sweep()
	}
}

// leastTelling orders sightings by what would be lost with them, least first.
func leastTelling(a, b *sighting) int {
	return cmp.Or(a.complete-b.complete, b2i(a.isProved())-b2i(b.isProved()), a.last.Compare(b.last), strings.Compare(a.key, b.key))
}

// recent remembers the latest names, and when they were told.
type recent struct {
	at   map[string]time.Time
	ring []string
	next int
}

func newRecent(most int) *recent {
	return &recent{at: map[string]time.Time{}, ring: make([]string, most)}
}

// add remembers a name, in the place of the oldest.
func (r *recent) add(name string, now time.Time) {
	if _, ok := r.at[name]; !ok {
		if old := r.ring[r.next]; old != "" {
			delete(r.at, old)
		}
		r.ring[r.next] = name
		r.next = (r.next + 1) % len(r.ring)
	}
	r.at[name] = now
}

// renew tells whether something is to be told: it was not, or so long ago.
func (r *recent) renew(name string, now time.Time, after time.Duration) bool {
	if at, ok := r.at[name]; ok && now.Sub(at) < after {
		return false
	}
	r.add(name, now)
	return true
}

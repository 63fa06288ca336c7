package respond

import (
	"context"
	"time"
)

// Unit carries out actions. Its methods may be called concurrently. What they
// return is for people: what was done, or would be.
type Unit interface {
	// Plan says what Do would do now, and changes nothing.
	Plan(ctx context.Context, now time.Time, a Action) (string, error)
	Do(ctx context.Context, now time.Time, a Action) (string, error)
}

// Undoer is a unit whose actions can be undone, at least those of which CanUndo
// says so.
type Undoer interface {
	CanUndo(Action) bool
	Undo(ctx context.Context, now time.Time, a Action) (string, error)
}

// Stander is a unit that goes on with what it has done: asked for again meanwhile, it
// is one with that.
type Stander interface {
	Stands(Action) bool
}

// Slot is a unit in its place: which actions it gets, and what it may do.
type Slot struct {
	Name    string // as people name it: flow, reset, process, hook
	Mode    Mode
	Actions []string
	Unit    Unit
	// Lasts is how long an action holds: the same one asked for again meanwhile is
	// one with it.
	Lasts time.Duration
	// Rest is how long no evidence must come in until it asks again for what a person
	// has rejected or undone. Where zero, newer evidence does.
	Rest time.Duration
}

// lasts is how long an action that was done holds.
func (s Slot) lasts(a Action) time.Duration {
	if u, ok := s.Unit.(Stander); ok && u.Stands(a) {
		return patience
	}
	return s.Lasts
}

// rest is none for a person who asks: it is people who decided.
func (s Slot) rest(a Action) time.Duration {
	if a.Scenario == "" {
		return 0
	}
	return s.Rest
}

func (s Slot) undoes(a Action) bool {
	u, ok := s.Unit.(Undoer)
	return ok && u.CanUndo(a)
}

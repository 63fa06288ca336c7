package respond

import (
	"context"
	"net/netip"
	"time"
)

// Blocker blocks addresses. Why one must not be blocked is a Refusal.
type Blocker interface {
	Check(now time.Time, source netip.Addr) error
	// Block blocks a source because of an action, and says what became of that.
	Block(ctx context.Context, now time.Time, source netip.Addr, a Action) (string, error)
	// Blocks reports whether a source is blocked.
	Blocks(now time.Time, source netip.Addr) bool
	// Unblock ends that; that there was nothing to end is no error.
	Unblock(ctx context.Context, now time.Time, source netip.Addr) error
}

// SourceUnit blocks an address, both ways (BlockSource).
type SourceUnit struct{ Blocker Blocker }

func sourceOf(a Action) (netip.Addr, error) {
	if !a.Source.IsValid() {
		return a.Source, refuse("%s: name the source", a)
	}
	return a.Source, nil
}

// Plan implements Unit.
func (u SourceUnit) Plan(_ context.Context, now time.Time, a Action) (string, error) {
	source, err := sourceOf(a)
	if err == nil {
		err = u.Blocker.Check(now, source)
	}
	return "would be blocked", err
}

// Do implements Unit.
func (u SourceUnit) Do(ctx context.Context, now time.Time, a Action) (string, error) {
	source, err := sourceOf(a)
	if err != nil {
		return "", err
	}
	return u.Blocker.Block(ctx, now, source, a)
}

// CanUndo implements Undoer: a block may have ended, also by what a person has decided since.
func (u SourceUnit) CanUndo(a Action) bool { return u.Blocker.Blocks(time.Now(), a.Source) }

// Undo implements Undoer.
func (u SourceUnit) Undo(ctx context.Context, now time.Time, a Action) (string, error) {
	source, err := sourceOf(a)
	if err != nil {
		return "", err
	}
	return "not blocked any more", u.Blocker.Unblock(ctx, now, source)
}

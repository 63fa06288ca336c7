package respond

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// FlowTime is how long a flow is blocked.
const FlowTime = 10 * time.Minute

// Flow is packets by what is written in them: see block.Flow, which this is.
type Flow struct {
	Source, Target netip.Addr // the source is not valid for any
	Protocol       string
	Port           uint16
}

// Filter drops the packets of flows. Why a flow must not be dropped is a Refusal.
type Filter interface {
	// Check says so before anything is done.
	Check(now time.Time, f Flow) error
	// Drop drops a flow for some time from now, and returns until when, or that
	// packets are not really dropped.
	Drop(ctx context.Context, now time.Time, f Flow, d time.Duration, reason, alert string) (until time.Time, enforced bool, err error)
	// Allow ends that; that there was nothing to end is no error.
	Allow(ctx context.Context, now time.Time, f Flow) error
}

// FlowUnit drops one flow (BlockFlow), or all that this host sends to a target
// (BlockTarget).
type FlowUnit struct{ Filter Filter }

func flowOf(a Action) (Flow, error) {
	f := Flow{a.Source, a.Target, a.Protocol, a.Port}
	if a.Name == BlockTarget {
		f = Flow{Target: a.Target}
	} else if !f.Source.IsValid() {
		return f, refuse("%s: name the source that the packets bear", a)
	}
	if !f.Target.IsValid() {
		return f, refuse("%s: name the target", a)
	}
	return f, nil
}

// Plan implements Unit.
func (u FlowUnit) Plan(_ context.Context, now time.Time, a Action) (string, error) {
	f, err := flowOf(a)
	if err == nil {
		err = u.Filter.Check(now, f)
	}
	return fmt.Sprintf("would be dropped for %s", FlowTime), err
}

// Do implements Unit.
func (u FlowUnit) Do(ctx context.Context, now time.Time, a Action) (string, error) {
	f, err := flowOf(a)
	if err != nil {
		return "", err
	}
	until, enforced, err := u.Filter.Drop(ctx, now, f, FlowTime, a.Reason, a.Alert)
	if !enforced {
		return "not dropped, only shown: this node observes (--block observe)", err
	}
	return "dropped until " + until.UTC().Format(time.RFC3339), err
}

// CanUndo implements Undoer.
func (u FlowUnit) CanUndo(Action) bool { return true }

// Undo implements Undoer.
func (u FlowUnit) Undo(ctx context.Context, now time.Time, a Action) (string, error) {
	f, err := flowOf(a)
	if err != nil {
		return "", err
	}
	return "passes again", u.Filter.Allow(ctx, now, f)
}

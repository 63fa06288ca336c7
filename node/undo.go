package node

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/komondor/komondor/probe/packet/detect"
	"github.com/komondor/komondor/respond"
)

// undoing is the reset unit, and goes on with a reset for as long as the flood does. One pass takes back
// what had been begun when it was asked for; a flood fills its target again a moment later, and only as many
// resets as there are SYNs undo it (paper 000, section IV.C). A person's undo ends that.
type undoing struct {
	respond.ResetUnit
	log      *slog.Logger
	halfOpen *detect.HalfOpen // nil where no interface is watched

	mu       sync.Mutex
	standing map[netip.AddrPort]*stand
	wake     chan struct{} // holds one when something stands
}

// stand is a reset that was carried out, and the flood may go on.
type stand struct {
	action      respond.Action
	since, last time.Time  // when it was carried out, and when there was something to undo
	passing     sync.Mutex // held while resets are sent
	ended       context.Context
	end         context.CancelFunc
}

const (
	undoEvery = 100 * time.Millisecond // and so long an honest handshake with the target may take meanwhile
	undoQuiet = 5 * time.Second        // without anything to undo: the flood is over
	undoLimit = 10 * time.Minute       // then it has to be asked for again
	maxStands = 16
)

func newUndoing(log *slog.Logger, seen *detect.HalfOpen, unit respond.ResetUnit) *undoing {
	return &undoing{ResetUnit: unit, log: log, halfOpen: seen, standing: map[netip.AddrPort]*stand{}, wake: make(chan struct{}, 1)}
}

// Do implements respond.Unit. What it has done stands, where packets are seen that leave.
func (u *undoing) Do(ctx context.Context, now time.Time, a respond.Action) (string, error) {
	outcome, err := u.ResetUnit.Do(ctx, now, a)
	if now := time.Now(); err == nil && u.stand(now, now, a) {
		outcome += fmt.Sprintf("; what follows as well, until %s at the latest", now.Add(undoLimit).UTC().Format(time.RFC3339))
	}
	return outcome, err
}

// Stands implements respond.Stander.
func (u *undoing) Stands(a respond.Action) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.standing[stoodBy(a)] != nil
}

// CanUndo implements respond.Undoer: what was sent cannot be taken back, and more of it can be stopped.
func (u *undoing) CanUndo(a respond.Action) bool { return u.Stands(a) }

// Undo implements respond.Undoer. Once it has returned no more resets are sent.
func (u *undoing) Undo(_ context.Context, _ time.Time, a respond.Action) (string, error) {
	u.mu.Lock()
	s := u.standing[stoodBy(a)]
	delete(u.standing, stoodBy(a))
	u.mu.Unlock()
	if s != nil {
		s.end()
		s.passing.Lock() // which a pass that was under way has given back
		defer s.passing.Unlock()
	}
	return "no more resets are sent", nil
}

func stoodBy(a respond.Action) netip.AddrPort { return netip.AddrPortFrom(a.Target, a.Port) }

// stand has a reset go on, unless it does already or too many do.
func (u *undoing) stand(since, now time.Time, a respond.Action) bool {
	if u.halfOpen == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.standing[stoodBy(a)] != nil || len(u.standing) >= maxStands {
		return false
	}
	s := &stand{action: a, since: since, last: now}
	s.ended, s.end = context.WithCancel(context.Background())
	u.standing[stoodBy(a)] = s
	notify(u.wake)
	return true
}

// recall goes on with what stood when the node ended, as far as the unit's mode still lets it: of each target
// the latest response says so.
func (u *undoing) recall(now time.Time, mode respond.Mode, latestFirst []respond.Response) {
	known := map[netip.AddrPort]bool{}
	for _, r := range latestFirst {
		if r.Name != respond.ResetHalfOpen || known[stoodBy(r.Action)] {
			continue
		}
		known[stoodBy(r.Action)] = true
		allowed := mode == respond.Auto || mode == respond.Approve && r.Hold != ""
		if allowed && r.State == respond.Done && now.Sub(r.Changed) < undoLimit {
			u.stand(r.Changed, now, r.Action)
		}
	}
}

// run undoes until ctx ends.
func (u *undoing) run(ctx context.Context) error {
	for {
		select {
		case <-u.wake:
		case <-ctx.Done():
			return nil
		}
		for stands := u.due(time.Now()); len(stands) > 0; stands = u.due(time.Now()) {
			var passes sync.WaitGroup
			for _, s := range stands {
				passes.Go(func() { u.pass(ctx, s) })
			}
			passes.Wait()
			if ctx.Err() != nil {
				return nil
			}
		}
	}
}

// due are those that stand, without those that are over.
func (u *undoing) due(now time.Time) (stands []*stand) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for target, s := range u.standing {
		if len(u.halfOpen.To(target, now)) > 0 {
			s.last = now
		}
		if now.Sub(s.last) > undoQuiet || now.Sub(s.since) > undoLimit {
			delete(u.standing, target)
			s.end()
			continue
		}
		stands = append(stands, s)
	}
	return stands
}

// pass waits for a moment, and takes back what was begun before it.
func (u *undoing) pass(ctx context.Context, s *stand) {
	s.passing.Lock()
	defer s.passing.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ended, cancel)()
	unit := u.ResetUnit
	unit.Settle = undoEvery
	outcome, err := unit.Do(ctx, time.Now(), s.action)
	if err != nil && ctx.Err() == nil {
		u.log.Error("a flood is not undone", "target", s.action.Target, "outcome", outcome, "error", err)
	}
}

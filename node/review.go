package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
)

const (
	// judgeAgain is how long after an expulsion collectors judge anew: by then
	// nearly everybody knows of it, and takes a better proof as news.
	judgeAgain = 2 * time.Second
	// proveAgain is how long a block waits then for a proof without the evidence of
	// who is out.
	proveAgain = 3 * time.Second
)

// review looks after each expulsion what rests on the evidence of who is out. What
// the rest of the evidence proves is told anew and stays blocked all the time;
// what it does not prove is withdrawn. It looks at the start too: an earlier run
// may have ended before.
func (n *Node) review(ctx context.Context) error {
	for {
		fallen, err := n.fallen(time.Now())
		for _, id := range fallen {
			n.actor.book.Forget(id)
			n.actor.own.Forget(id)
		}
		if sleep(ctx, judgeAgain) {
			n.judge.again(ctx)
		}
		if err == nil && len(fallen) > 0 && sleep(ctx, proveAgain) {
			err = n.withdraw(ctx, time.Now())
		}
		if err != nil && ctx.Err() == nil {
			n.config.Log.Error("blocks on evidence of members who are out not withdrawn", "error", err)
		}
		select {
		case <-n.expulsions:
		case <-ctx.Done():
			return nil
		}
	}
}

// sleep is false when ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// fallen are the alerts that no longer prove themselves, because of who is out: of
// those that blocks rest on, and of those whose evidence still counts.
func (n *Node) fallen(now time.Time) (ids []string, err error) {
	resting := map[string]bool{}
	for _, b := range n.blocks.List(now) {
		if b.Alert != "" {
			resting[b.Alert] = true
		}
	}
	lost := maps.Clone(resting)
	counts := func(a control.Alert) bool { return a.Last.After(now.Add(-n.rules.Longest())) }
	alerts, err := n.Alerts()
	for _, a := range alerts {
		delete(lost, a.ID)
		if len(a.Proof) > 0 && (resting[a.ID] || counts(a)) && !n.actor.proves(a.Proof, now) {
			ids = append(ids, a.ID)
			if a.Latest != "" {
				ids = append(ids, a.Latest)
			}
		}
	}
	// What a block rests on and is no longer kept cannot be proved.
	return slices.AppendSeq(ids, maps.Keys(lost)), err
}

// withdraw ends the blocks that rest on alerts which no longer prove themselves.
func (n *Node) withdraw(ctx context.Context, now time.Time) error {
	fallen, err := n.fallen(now)
	if err != nil || len(fallen) == 0 {
		return err
	}
	ended, err := n.blocks.Withdraw(ctx, now, fallen...)
	n.counters.withdrawn.Add(uint64(len(ended)))
	for _, prefix := range ended {
		n.config.Log.Warn("block withdrawn: a member whose evidence it rests on is out, and the rest does not meet the quorum", "prefix", prefix.String())
	}
	return err
}

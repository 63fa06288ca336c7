package node

import (
	"context"
	"errors"
	"time"

	"github.com/komondor/komondor/correlate"
)

// meet follows members as they come and go: reports go to who is nearest now.
func (n *Node) meet(ctx context.Context) error {
	for {
		select {
		case <-n.overlay.Changed():
			notify(n.outbox.moved)
			notify(n.repair.changed)
			n.broadcast.Hurry()
			n.rememberPeers()
			n.spareMembers(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// spareMembers exempts the overlay's own traffic with members from all blocks.
func (n *Node) spareMembers(ctx context.Context) {
	if err := n.backend.SetMembers(ctx, n.overlay.Endpoints()); err != nil && ctx.Err() == nil {
		n.config.Log.Error("the overlay's own traffic not exempted from blocks", "error", err)
	}
}

// nextSalt is shortly after the next change of the day's salt, when every key has
// moved.
func nextSalt(now time.Time) time.Time {
	return now.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + time.Second)
}

// keep does what is due from time to time.
func (n *Node) keep(ctx context.Context) error {
	n.reconcile(ctx)
	commit := time.NewTicker(commitEvery)
	defer commit.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	failing := false
	for {
		select {
		case <-commit.C:
			err := n.commit()
			if err != nil && !failing {
				n.config.Log.Error("alerts and blocks are not kept; they are shown and acted on all the same", "error", err)
			}
			failing = err != nil
		case now := <-sweep.C:
			n.judge.sweep(now)
			n.actor.end(now)
			n.hearken(ctx, now)
			n.actor.retry(ctx)
			n.reconcile(ctx)
			if _, err := n.store.Prune(now.Add(-correlate.MaxTimespan)); err != nil {
				n.counters.storeFailures.Add(1)
			}
		case <-ctx.Done():
			return n.commit()
		}
	}
}

// commit writes what was told and blocked since the last time.
func (n *Node) commit() error {
	alerts, others := n.actor.keep(n.store.Alerts), errors.Join(n.blocks.Keep(), n.responder.Keep(), n.actor.opinions.keep(n.store.Opinions))
	if n.federation != nil {
		others = errors.Join(others, n.federation.Keep())
	}
	if others != nil {
		n.counters.storeFailures.Add(1)
	}
	return errors.Join(alerts, others)
}

// watch follows this host's addresses and routes as they change. Where the
// kernel does not tell them, the look of every minute has to do.
func (n *Node) watch(ctx context.Context) error {
	err := n.never.Watch(ctx, func() {
		if err := n.blocks.ApplyNever(ctx, time.Now()); err != nil && ctx.Err() == nil {
			n.config.Log.Error("blocks not in line with this host's new addresses or routes", "error", err)
		}
	})
	if err != nil {
		n.config.Log.Warn("changes of addresses and routes are noticed within a minute only", "error", err)
	}
	return nil
}

// reconcile brings the blocks in line with the kernel and with what this host
// is now: its addresses, its administrators, the names of the allow-list.
func (n *Node) reconcile(ctx context.Context) {
	n.blocks.Refresh(ctx, time.Now())
	restored, err := n.blocks.Reconcile(ctx, time.Now())
	if err != nil && ctx.Err() == nil {
		n.config.Log.Error("blocks not reconciled with this host", "error", err)
	}
	if restored > 0 {
		n.config.Log.Warn("blocks were missing in the kernel and are back; `komondor block flush` ends them for good", "blocks", restored)
	}
}

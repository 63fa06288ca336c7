package node

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/store"
)

// Status is the node's state for people and scripts.
func (n *Node) Status() control.Status {
	connected, _ := n.overlay.Peers()
	traffic, spread, c := n.overlay.Stats(), n.broadcast.Stats(), &n.counters
	keys, evicted := n.judge.load()
	b := n.blocks.Status(time.Now())
	s := control.Status{
		Version: n.config.Version, Started: n.started.UTC(), Peers: connected,
		Node: control.Identity{ID: n.overlay.ID().String(), Addresses: []string{}},
		Role: "full", Attached: len(n.overlay.Attached()), Collecting: n.collecting(),
		Federation: n.federationStatus(time.Now()),
		Block: control.Blocking{Mode: n.config.Block, Network: n.config.Network, Table: n.config.Table,
			Live: b.Live, Waiting: b.Waiting, Observed: b.Observed, Flows: b.Flows, LastHour: b.LastHour,
			NeverHits: b.NeverHits, Breaker: b.Breaker, Warning: b.Warning},
		Respond:   n.responding(),
		Sources:   []control.Source{},
		Scenarios: n.scenarios.status(),
		Counters: control.Counters{
			Events: c.events.Load(), EventsOld: c.eventsOld.Load(), EventsFuture: c.eventsFuture.Load(),
			EventsUnarchived: c.eventsUnarchived.Load(), Attempts: c.attempts.Load(), KeysEvicted: c.keysEvicted.Load(),
			Linked: c.linked.Load(), Missing: c.missing.Load(), RelationsForgotten: c.relationsForgotten.Load(),
			Reports: c.reports.Load(), Unfollowed: c.unfollowed.Load(), ReportMessages: traffic.Report.Sent, ReportBatches: traffic.Report.Batches,
			Acknowledged: traffic.Report.Acked, Redirects: traffic.Report.Redirects,
			Lookups: traffic.Lookups, LookupMessages: traffic.LookupMessages,
			Collected: c.collected.Load(), Refused: c.refused.Load(), Shed: c.shed.Load(), Handed: c.handed.Load(), KeysCollected: uint64(keys), WordsEvicted: evicted,
			Alerts: c.alerts.Load(), AlertsRaised: c.alertsRaised.Load(), AlertsInvalid: c.alertsInvalid.Load(),
			Withdrawn: c.withdrawn.Load(), Turned: traffic.Refused,
			AlertMessages: spread.Sent, AlertsRepaired: spread.Repaired, AlertDuplicates: spread.Duplicates,
			Blocks: c.blocks.Load(), BlocksRefused: c.blocksRefused.Load(), StoreFailures: c.storeFailures.Load(),
		},
	}
	if n.config.Leaf {
		s.Role, s.Attached = "leaf", len(n.overlay.Hosts())
	}
	for _, a := range n.overlay.Addrs() {
		s.Node.Addresses = append(s.Node.Addresses, a.String())
	}
	for _, src := range n.sources {
		s.Sources = append(s.Sources, src.status())
	}
	return s
}

// collecting is what this node takes on for others.
func (n *Node) collecting() control.Collecting {
	capacity, _ := n.config.capacity() // checked before the start
	sheds, since, reason, figure := n.load.now()
	c := control.Collecting{Capacity: capacity.String(), Now: !sheds && capacity != overlay.None, Reason: reason, Load: math.Round(100*figure) / 100}
	if sheds {
		c.Since = since.UTC()
	}
	return c
}

// quorum is the largest that any rule asks for.
func (n *Node) quorum() int {
	q := 0
	for _, r := range n.rules.All() {
		q = max(q, r.Federation.Quorum)
	}
	return q
}

// Alerts returns the alerts, oldest first: those that are kept, and those that the
// disk does not have yet.
func (n *Node) Alerts() ([]control.Alert, error) {
	var alerts []control.Alert
	unkept := n.actor.notKept() // asked first: what is written meanwhile is found below
	err := n.store.Alerts.Oldest(func(_ string, _ time.Time, record []byte) error {
		var a control.Alert
		if err := event.Decode(record, &a); err != nil {
			return fmt.Errorf("kept alert: %w", err)
		}
		if _, newer := unkept[a.ID]; !newer {
			alerts = append(alerts, a)
		}
		return nil
	})
	alerts = slices.AppendSeq(alerts, maps.Values(unkept))
	slices.SortStableFunc(alerts, func(a, b control.Alert) int { return a.Raised.Compare(b.Raised) })
	now := time.Now()
	for i := range alerts {
		alerts[i].State = n.actor.stateAt(alerts[i], now)
	}
	return alerts, err
}

// keptAlert is an alert as it is in the store.
func keptAlert(alerts *store.Alerts) func(id string) (control.Alert, bool) {
	return func(id string) (a control.Alert, ok bool) {
		_, record, ok, err := alerts.Get(id)
		return a, ok && err == nil && event.Decode(record, &a) == nil
	}
}

// Follow calls fn for every alert from now on.
func (n *Node) Follow(ctx context.Context, fn func(control.Alert) error) error {
	return n.actor.follow(ctx, fn)
}

// Blocks returns what is blocked now, waits or is observed, soonest to end first.
func (n *Node) Blocks() ([]control.Block, error) {
	now := time.Now()
	// A failure leaves the counters of the last time.
	_, err := n.blocks.Reconcile(context.Background(), now)
	var shown []control.Block
	for _, b := range n.blocks.List(now) {
		shown = append(shown, control.Block(b))
	}
	slices.SortFunc(shown, func(a, b control.Block) int {
		return cmp.Or(a.Until.Compare(b.Until), a.Prefix.Compare(b.Prefix))
	})
	return shown, err
}

// Block blocks a prefix because a person asks for it.
func (n *Node) Block(ctx context.Context, prefix netip.Prefix, d time.Duration, reason string) (control.Block, error) {
	now := time.Now()
	var decision block.Decision
	err := n.decide(ctx, now, func() (err error) {
		decision, err = n.blocks.Propose(ctx, now, block.Proposal{Prefix: prefix, Evidence: now, Manual: true, Duration: d, Reason: cmp.Or(reason, "by hand")})
		return err
	})
	if err == nil && decision.Refused != "" {
		err = fmt.Errorf("%s not blocked: %s", prefix, decision.Refused)
	}
	return control.Block(decision.Block), err
}

// Unblock ends one block.
func (n *Node) Unblock(ctx context.Context, prefix netip.Prefix) error {
	now, ended := time.Now(), 0
	err := n.decide(ctx, now, func() (err error) {
		ended, err = n.blocks.Remove(ctx, now, prefix)
		return err
	})
	if err == nil && ended == 0 {
		err = fmt.Errorf("%s is not blocked; `komondor blocks` lists what is", prefix)
	}
	return err
}

// Approve blocks what waits for a person, under the prefixes named or all.
func (n *Node) Approve(ctx context.Context, prefixes []netip.Prefix) ([]control.Block, error) {
	now := time.Now()
	var approved []block.Block
	err := n.decide(ctx, now, func() (err error) {
		approved, err = n.blocks.Approve(ctx, now, n.waiting(now, prefixes)...)
		return err
	})
	var shown []control.Block
	for _, b := range approved {
		shown = append(shown, control.Block(b))
	}
	return shown, err
}

// Reject drops what waits for a person, and returns how many there were.
func (n *Node) Reject(ctx context.Context, prefixes []netip.Prefix) (int, error) {
	now, rejected := time.Now(), 0
	err := n.decide(ctx, now, func() (err error) {
		rejected, err = n.blocks.Reject(ctx, now, n.waiting(now, prefixes)...)
		return err
	})
	return rejected, err
}

// waiting is which blocks a person means who has named none: all that wait.
func (n *Node) waiting(now time.Time, named []netip.Prefix) []netip.Prefix {
	if len(named) > 0 {
		return named
	}
	var all []netip.Prefix
	for _, b := range n.blocks.List(now) {
		if b.State == block.Waiting {
			all = append(all, b.Prefix)
		}
	}
	return all
}

// FlushBlocks ends all blocks and returns how many there were.
func (n *Node) FlushBlocks(ctx context.Context) (int, error) {
	now, ended := time.Now(), 0
	err := n.decide(ctx, now, func() (err error) {
		ended, err = n.blocks.Flush(ctx, now)
		return err
	})
	return ended, err
}

// Allowed is the allow-list: the configuration's entries and those added since.
func (n *Node) Allowed() ([]control.Allowed, error) {
	var all []control.Allowed
	for _, entry := range n.config.Allow {
		all = append(all, control.Allowed{Entry: entry, Note: "from the configuration"})
	}
	err := n.store.Allow.Each(func(_ string, record []byte) error {
		var a control.Allowed
		if err := event.Decode(record, &a); err != nil {
			return fmt.Errorf("kept allow-list: %w", err)
		}
		all = append(all, a)
		return nil
	})
	return all, err
}

func (n *Node) allowList() ([]string, error) {
	all, err := n.Allowed()
	var entries []string
	for _, a := range all {
		entries = append(entries, a.Entry)
	}
	return entries, err
}

// Allow adds an entry to the allow-list, and ends the blocks that it forbids.
func (n *Node) Allow(ctx context.Context, entry, note string) error {
	n.allowing.Lock()
	defer n.allowing.Unlock()
	entry = strings.TrimSpace(entry)
	entries, err := n.allowList()
	if err != nil {
		return err
	}
	now := time.Now()
	record, err := event.Encode(control.Allowed{Entry: entry, Note: note, Since: now.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return n.decide(ctx, now, func() error {
		if err := n.never.SetAllow(append(entries, entry)); err != nil {
			return err
		}
		if err := n.store.Allow.Put(entry, record); err != nil {
			return err
		}
		n.reconcile(ctx)
		return nil
	})
}

// Disallow takes an entry out of the allow-list.
func (n *Node) Disallow(ctx context.Context, entry string) error {
	n.allowing.Lock()
	defer n.allowing.Unlock()
	if slices.Contains(n.config.Allow, entry) {
		return fmt.Errorf("%s stands in the configuration: take it out there and restart", entry)
	}
	all, err := n.Allowed()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(a control.Allowed) bool { return a.Entry == entry }) {
		return fmt.Errorf("%s is not on the allow-list; `komondor allow list` shows it", entry)
	}
	if err := n.store.Allow.Delete(entry); err != nil {
		return err
	}
	entries, err := n.allowList()
	if err != nil {
		return err
	}
	if err := n.never.SetAllow(entries); err != nil {
		return err
	}
	n.reconcile(ctx)
	return nil
}

package block

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxFlows bounds the flows that are blocked at a time.
const maxFlows = 1000

// FlowBlock is one blocked flow, as shown to people and scripts.
type FlowBlock struct {
	Flow
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	State  string    `json:"state"` // Blocked or Observed
	Reason string    `json:"reason"`
	Alert  string    `json:"alert,omitempty"` // the alert's id, where one asked for it
	// Packets and Bytes are what the block stopped, over all its extensions,
	// as of the last Reconcile.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// flowRecord is a blocked flow as it is kept. Nothing remembers it after its end.
type flowRecord struct {
	FlowBlock
	// As a record's.
	BasePackets uint64 `json:"base_packets,omitempty"`
	BaseBytes   uint64 `json:"base_bytes,omitempty"`
}

const flowKey = "flow "

func (r *flowRecord) key() string             { return flowKey + r.Flow.String() }
func (r *flowRecord) live(now time.Time) bool { return r.Until.Sub(now) >= time.Millisecond }

func (r *flowRecord) count(c Counter) {
	if r.BasePackets+c.Packets < r.Packets { // somebody has begun a new one
		r.rebase()
	}
	r.Packets, r.Bytes = r.BasePackets+c.Packets, r.BaseBytes+c.Bytes
}

func (r *flowRecord) rebase() { r.BasePackets, r.BaseBytes = r.Packets, r.Bytes }

// DropFlow blocks a flow for some time from now, at most Policy.MaxLocal. It
// extends a block that ends sooner, and leaves one that ends later. Where the
// flow must not be blocked, refused says why, for people. The block is on disk
// after the next Keep.
func (m *Manager) DropFlow(ctx context.Context, now time.Time, f Flow, d time.Duration, reason, alert string) (b FlowBlock, refused string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.freshNever(ctx, now); err != nil {
		return b, "", err
	}
	f, wrong := f.canonical()
	if wrong != nil {
		return b, wrong.Error(), nil
	}
	if why := m.never.checkFlow(f); why != "" {
		return b, "never-block set: " + why, nil
	}
	if d = min(d, m.policy.MaxLocal); d < time.Second {
		return b, fmt.Sprintf("flow %s: to be blocked for %s, want a second or more", f, d), nil
	}
	next := flowRecord{FlowBlock: FlowBlock{Flow: f, Since: now.UTC()}}
	switch old := m.flows[f]; {
	case old != nil && old.live(now):
		if next = *old; !next.Until.Before(now.Add(d)) {
			return old.FlowBlock, "", nil
		}
		next.rebase()
	case len(m.flows) >= maxFlows:
		if m.forgetFlows(now); len(m.flows) >= maxFlows {
			return b, fmt.Sprintf("cap: %d flows at a time: undo one (komondor responses)", maxFlows), nil
		}
	}
	if err := m.backend.AddFlows(ctx, []FlowEntry{{f, d}}); err != nil {
		return b, "", err
	}
	next.Until, next.State, next.Reason, next.Alert = now.Add(d).UTC(), m.state(), reason, alert
	m.putFlow(&next)
	return next.FlowBlock, "", nil
}

// CheckFlow says why a flow must never be blocked, for people; empty if it may.
func (m *Manager) CheckFlow(now time.Time, f Flow) string {
	f, err := f.canonical()
	if err != nil {
		return err.Error()
	}
	_ = m.never.Fresh(now) // what cannot be read keeps its former value
	if why := m.never.checkFlow(f); why != "" {
		return "never-block set: " + why
	}
	return ""
}

// checkFlow judges by the far end, as the kernel's never-block sets do: by whom
// the packets of a flow to this host claim to be from, and else by their target.
func (n *Never) checkFlow(f Flow) string {
	far := f.Target
	if n.own(f.Target) {
		if far = f.Source; !far.IsValid() {
			return f.Target.String() + " is this host, which nobody would reach: name the source as well"
		}
		if n.own(far) {
			return fmt.Sprintf("%s: that is this host's talk with itself", f)
		}
	}
	why, _ := n.Check(netip.PrefixFrom(far, far.BitLen()))
	return why
}

// own tells whether an address is this host's.
func (n *Never) own(a netip.Addr) bool {
	return slices.ContainsFunc(n.table.Load().all, func(e exemption) bool {
		return e.why == ownAddress && e.prefix.Addr() == a
	})
}

// AllowFlow ends the block of a flow, and tells whether there was one.
func (m *Manager) AllowFlow(ctx context.Context, now time.Time, f Flow) (bool, error) {
	ended, err := m.allowFlow(ctx, now, f)
	return ended, errors.Join(err, m.Keep())
}

func (m *Manager) allowFlow(ctx context.Context, now time.Time, f Flow) (bool, error) {
	f, err := f.canonical()
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The kernel is asked in any case: it may know more than we do.
	if err := m.backend.RemoveFlows(ctx, []Flow{f}); err != nil {
		return false, err
	}
	r := m.flows[f]
	if r == nil {
		return false, nil
	}
	m.dropFlow(r)
	return r.live(now), nil
}

// Flows returns the blocked flows, the latest first.
func (m *Manager) Flows(now time.Time) []FlowBlock {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []FlowBlock
	for _, r := range m.flows {
		if r.live(now) {
			list = append(list, r.FlowBlock)
		}
	}
	slices.SortFunc(list, func(a, b FlowBlock) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Flow.String(), b.Flow.String())
	})
	return list
}

func (m *Manager) putFlow(r *flowRecord) {
	m.flows[r.Flow] = r
	m.changed(r.key(), *r)
}

func (m *Manager) dropFlow(r *flowRecord) {
	delete(m.flows, r.Flow)
	m.changed(r.key(), nil)
}

func (m *Manager) forgetFlows(now time.Time) {
	for _, r := range m.flows {
		if !r.live(now) {
			m.dropFlow(r)
		}
	}
}

// spareFlows ends the blocks of flows that the never-block set forbids now.
func (m *Manager) spareFlows(ctx context.Context) error {
	var spared []Flow
	for f := range m.flows {
		if m.never.checkFlow(f) != "" {
			spared = append(spared, f)
		}
	}
	if err := m.backend.RemoveFlows(ctx, spared); err != nil {
		return err
	}
	for _, f := range spared {
		m.dropFlow(m.flows[f])
	}
	return nil
}

// compareFlows makes the kernel hold the flows that the records say, and adopts
// what it knows alone, as compare and adopt do with prefixes.
func (m *Manager) compareFlows(ctx context.Context, now time.Time) (restored int, err error) {
	counters, err := m.backend.FlowCounters(ctx)
	if err != nil {
		return 0, err
	}
	var missing []FlowEntry
	for f, r := range m.flows {
		if !r.live(now) {
			continue
		}
		before, left := *r, r.Until.Sub(now)
		c, there := counters[f]
		if there {
			r.count(c)
		}
		if !there || (c.Remaining-left).Abs() > tolerance {
			r.rebase()
			missing = append(missing, FlowEntry{f, left})
		}
		if *r != before {
			m.changed(r.key(), *r)
		}
	}
	if err := m.backend.AddFlows(ctx, missing); err != nil {
		return 0, err
	}
	var wrong []Flow
	for f, c := range counters {
		switch old := m.flows[f]; {
		case old != nil && old.live(now):
		case m.never.checkFlow(f) != "":
			wrong = append(wrong, f)
		case c.Remaining > tolerance: // neither about to end nor endless
			r := &flowRecord{FlowBlock: FlowBlock{Flow: f, Since: now.UTC(), Until: now.Add(c.Remaining).UTC(), State: Blocked, Reason: "found in the kernel"}}
			r.count(c)
			m.putFlow(r)
		}
	}
	return len(missing), m.backend.RemoveFlows(ctx, wrong)
}

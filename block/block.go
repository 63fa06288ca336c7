// Package block keeps the addresses that this host drops: it decides which
// proposals become blocks (Manager), knows whom never to block (Never), and
// puts the blocks into the kernel's nftables (Firewall) or only writes them
// down (Observer).
//
// Every block ends by itself: the kernel holds the time to live, so a dead
// daemon leaves nothing behind for longer than the block was meant to last.
package block

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Backend holds what is blocked. A call that fails has changed nothing, unless
// its comment says otherwise. All methods may be called concurrently.
type Backend interface {
	// Setup makes the place for the blocks, or adopts what is there already.
	Setup(context.Context) error
	// Add blocks each prefix for its time to live from now; one that is there
	// gets the new time to live and a fresh counter. More than 1,000 entries
	// go in several batches, of which the earlier ones stand when a later fails.
	Add(context.Context, []Entry) error
	// Remove ends blocks; a prefix that is not there is no error.
	Remove(context.Context, []netip.Prefix) error
	// SetNever replaces the prefixes that pass whatever is blocked.
	SetNever(context.Context, []netip.Prefix) error
	// SetMembers replaces the addresses and TCP ports on which the other members'
	// overlays listen. Connections that this host opens to them pass whatever
	// is blocked; the members' hosts may be blocked otherwise.
	SetMembers(context.Context, []netip.AddrPort) error
	// Counters tells what is blocked now: of the prefixes named those that
	// are there, or all. Its error is fs.ErrNotExist where Setup is needed.
	Counters(context.Context, ...netip.Prefix) (map[netip.Prefix]Counter, error)
	// AddFlows, RemoveFlows and FlowCounters are the same for flows. A call of
	// the first two that fails may have changed some of them.
	AddFlows(context.Context, []FlowEntry) error
	RemoveFlows(context.Context, []Flow) error
	FlowCounters(context.Context) (map[Flow]Counter, error)
	// Flush removes everything, the place for the blocks included.
	Flush(context.Context) error
	// Enforcing says whether packets are really dropped.
	Enforcing() bool
	Close() error
}

// Entry is a prefix to block for a time to live, which is at least a millisecond.
type Entry struct {
	Prefix netip.Prefix
	TTL    time.Duration
}

// Counter is what a block has stopped since it was added, in both directions.
type Counter struct {
	Packets, Bytes uint64
	// Remaining is the time to live that is left; zero for one that never ends.
	Remaining time.Duration
}

// Block is one blocked prefix, as shown to people and scripts.
type Block struct {
	Prefix netip.Prefix `json:"prefix"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until"`
	State  string       `json:"state"` // Blocked, Observed or Waiting
	Reason string       `json:"reason"`
	Alert  string       `json:"alert,omitempty"` // the alert's id, where one asked for it
	// Hold is why a person has to decide, where it is Waiting.
	Hold string `json:"hold,omitempty"`
	// Repeats counts the earlier blocks of the same prefix that are remembered.
	Repeats int `json:"repeats"`
	// Packets and Bytes are what the block stopped, over all its extensions,
	// as of the last Reconcile.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// The states of a block.
const (
	Blocked  = "blocked"  // the kernel drops its packets
	Observed = "observed" // mode observe: it would be blocked
	Waiting  = "waiting"  // for a person: see Manager.Approve
)

// canonical returns the prefix as it is stored: masked, without a zone, and
// IPv4 where it is IPv4 in an IPv6 coat.
func canonical(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, fmt.Errorf("prefix %q is not valid: want for instance 203.0.113.7/32 or 2001:db8::/64", p)
	}
	addr, bits := p.Addr(), p.Bits()
	if addr.Is4In6() {
		if bits < 96 {
			return p, fmt.Errorf("prefix %s is wider than all of IPv4: write it as an IPv4 prefix", p)
		}
		addr, bits = addr.Unmap(), bits-96
	}
	return netip.PrefixFrom(addr, bits).Masked(), nil
}

package block

import (
	"fmt"
	"net/netip"
	"time"
)

// Policy bounds what proposals may do. People may do more: see Proposal.Manual.
type Policy struct {
	// First is how long a first block lasts. It doubles with every repeat, up
	// to Max, or to MaxLocal where this host itself has seen the evidence.
	First, Max, MaxLocal time.Duration
	// PerHour bounds the new blocks in an hour, Total the blocks at a time.
	PerHour, Total int
	// MaxBits4 and MaxBits6 are the shortest prefix lengths allowed: 32 and 64
	// block single IPv4 addresses and single customers of IPv6.
	MaxBits4, MaxBits6 int
	// Memory is how long an ended block makes its prefix a repeater. At most
	// Total ended blocks are remembered.
	Memory time.Duration
	// Network is what others' evidence may do. What it has wait or observed is
	// bounded by Total as well.
	Network Mode
	// Breaker is how many proposals on others' evidence may hit the never-block
	// set in an hour before something must be wrong with whoever makes them:
	// all further ones wait for approval, until the hour has passed.
	Breaker int
}

// DefaultPolicy has the values of the design.
func DefaultPolicy() Policy {
	return Policy{
		First: 10 * time.Minute, Max: 4 * time.Hour, MaxLocal: 24 * time.Hour,
		PerHour: 1000, Total: 10_000, MaxBits4: 32, MaxBits6: 64,
		Memory: 24 * time.Hour, Network: Auto, Breaker: 20,
	}
}

func (p Policy) validate() error {
	switch {
	case p.First < time.Second || p.Max < p.First || p.MaxLocal < p.First:
		return fmt.Errorf("block policy: first %s, at most %s (own evidence %s): want at least a second, and the others no shorter", p.First, p.Max, p.MaxLocal)
	case p.PerHour < 0 || p.Total < 0 || p.Memory < 0 || p.Breaker < 0:
		return fmt.Errorf("block policy: caps below zero")
	case p.MaxBits4 < 0 || p.MaxBits4 > 32 || p.MaxBits6 < 0 || p.MaxBits6 > 128:
		return fmt.Errorf("block policy: prefix lengths /%d and /%d: want 0 to 32 and 0 to 128", p.MaxBits4, p.MaxBits6)
	}
	if err := p.Network.validate(); err != nil {
		return fmt.Errorf("block policy: others' evidence: %w", err)
	}
	return nil
}

// duration of a block of a prefix that was blocked so often before.
func (p Policy) duration(proposal Proposal, repeats int) time.Duration {
	if proposal.Manual && proposal.Duration > 0 {
		return proposal.Duration
	}
	longest := p.Max
	if proposal.Local || proposal.Fleet {
		longest = p.MaxLocal
	}
	d := p.First
	if proposal.Duration > 0 {
		d = proposal.Duration
	}
	for ; repeats > 0 && d < longest; repeats-- {
		d *= 2
	}
	return min(d, longest)
}

// tooWide says why the prefix is more than the policy allows, if it is.
func (p Policy) tooWide(prefix netip.Prefix) string {
	bits := p.MaxBits4
	if prefix.Addr().Is6() {
		bits = p.MaxBits6
	}
	if prefix.Bits() >= bits {
		return ""
	}
	return fmt.Sprintf("%s is wider than the /%d that this host's policy allows (komondor join --widest-ipv4, --widest-ipv6)", prefix, bits)
}

// hourly counts what happened in the last hour, to the minute.
type hourly [60]struct {
	minute int64
	count  int
}

func (h *hourly) add(now time.Time) {
	minute := now.Unix() / 60
	slot := &h[minute%60]
	if slot.minute != minute {
		slot.minute, slot.count = minute, 0
	}
	slot.count++
}

func (h *hourly) sum(now time.Time) (n int) {
	for _, slot := range h {
		if age := now.Unix()/60 - slot.minute; age >= 0 && age < 60 {
			n += slot.count
		}
	}
	return n
}

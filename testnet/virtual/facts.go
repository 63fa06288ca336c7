package virtual

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
)

// Fact is something that can be seen of a node, with the time of its beginning,
// which is zero where nobody has noted it.
type Fact struct {
	name  string
	since func(*Node) (time.Time, bool)
}

// Block is the fact that a node blocks a source, or has done so since it started.
func Block(source string) Fact {
	return Fact{"block " + source, func(n *Node) (time.Time, bool) { return n.blockedSince(source) }}
}

// Warn is the fact that a node shows an alert about a source, and does not block
// it because the evidence is another organisation's alone.
func Warn(source string) Fact {
	return Fact{"warn of " + source, func(n *Node) (since time.Time, ok bool) {
		alerts, err := n.Alerts()
		if err != nil {
			n.net.t.Errorf("alerts of %s: %v", n, err)
		}
		for _, a := range alerts {
			if a.Key.Value == source && strings.HasPrefix(a.Action, "warned") {
				return a.Raised, true
			}
		}
		return since, false
	}}
}

// Hold is the fact that a node blocks a source at this moment.
func Hold(source string) Fact {
	return now("hold "+source, func(n *Node) bool { return n.has(source, block.Observed) })
}

// Free is the fact that a node does not block a source at this moment.
func Free(source string) Fact {
	return now("leave "+source+" alone", func(n *Node) bool { return !n.has(source, block.Observed) })
}

// Wait is the fact that a source would be blocked, and a person has to approve it.
func Wait(source string) Fact {
	return now("have "+source+" wait", func(n *Node) bool { return n.has(source, block.Waiting) })
}

// CutOff is the fact that a node has no connection with another one, nor it in its
// table.
func CutOff(other int) Fact {
	return now("have cut off", func(n *Node) bool {
		id := n.net.nodes[other].id
		return n.host.Network().Connectedness(id) != network.Connected && !slices.Contains(n.Product().Contacts(), id)
	})
}

// Convict is the fact that a node knows another one to have contradicted itself.
func Convict(other int) Fact {
	return now("convict", func(n *Node) bool {
		members, err := n.Product().Members()
		if err != nil {
			n.net.t.Errorf("members that %s knows: %v", n, err)
		}
		id := n.net.nodes[other].id.String()
		return slices.ContainsFunc(members, func(m control.Member) bool { return m.ID == id && m.State == "faulty" })
	})
}

// Certified is the fact that a node's own certificate has been renewed since the
// net began, and holds.
func Certified() Fact {
	return now("have a new certificate", func(n *Node) bool {
		const firstLasts = 7*24*time.Hour - seniority
		until := n.Status().Federation.Until
		return until.After(time.Now()) && until.After(n.enrolled.Add(firstLasts))
	})
}

// Quorum is the fact that a node's rules ask for so many organisations.
func Quorum(q int) Fact {
	return now("ask for a larger quorum", func(n *Node) bool { return n.Status().Federation.Quorum == q })
}

// Doubt is the fact that a node does not trust evidence of others at present.
func Doubt() Fact {
	return now("doubt evidence of others", func(n *Node) bool { return n.Status().Federation.Warning != "" })
}

// Not is the contrary of a fact.
func Not(f Fact) Fact {
	return now("not "+f.name, func(n *Node) bool { _, ok := f.since(n); return !ok })
}

func now(name string, holds func(*Node) bool) Fact {
	return Fact{name, func(n *Node) (time.Time, bool) { return time.Time{}, holds(n) }}
}

// has reports whether there is a block of a source in this state.
func (n *Node) has(source, state string) bool {
	blocks, err := n.Blocks()
	if err != nil {
		n.net.t.Errorf("blocks of %s: %v", n, err)
	}
	prefix := prefixOf(source)
	return slices.ContainsFunc(blocks, func(b control.Block) bool { return b.Prefix == prefix && b.State == state })
}

// blockedSince is when the product began to block an attacker.
func (n *Node) blockedSince(attacker string) (since time.Time, ok bool) {
	prefix := prefixOf(attacker)
	if since, ok = n.firewall.blockedSince(prefix); ok {
		return since, true
	}
	blocks, err := n.Blocks() // those of before a restart are only here
	if err != nil {
		n.net.t.Errorf("blocks of %s: %v", n, err)
	}
	for _, b := range blocks {
		if b.Prefix == prefix && b.State != block.Waiting {
			return b.Since, true
		}
	}
	return since, false
}

// split numbers the nodes for which the fact holds, and the others.
func (f Fact) split(nodes []*Node) (do, not []int, last time.Time) {
	for _, n := range nodes {
		since, ok := f.since(n)
		switch {
		case !ok:
			not = append(not, n.Number)
		case since.After(last):
			last = since
			fallthrough
		default:
			do = append(do, n.Number)
		}
	}
	slices.Sort(do)
	slices.Sort(not)
	return do, not, last
}

// prefixOf is what is blocked of an attacker.
func prefixOf(attacker string) netip.Prefix {
	if p, err := netip.ParsePrefix(attacker); err == nil {
		return p
	}
	addr := netip.MustParseAddr(attacker) // a mistake in the test
	return netip.PrefixFrom(addr, addr.BitLen())
}

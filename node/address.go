package node

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
)

const recentKept = 20

// Explain tells all that the node knows of an address, and why it is or is not
// blocked.
func (n *Node) Explain(ctx context.Context, addr netip.Addr) (control.Explanation, error) {
	prefix := event.SourcePrefix(addr)
	x := control.Explanation{
		Address: addr, Key: event.Key{Selector: event.BySource, Value: event.SourceValue(prefix)},
		Own: []control.Evidence{}, Rules: []control.Standing{}, Alerts: []control.Alert{}, Recent: []event.Event{}, Gathered: []control.Testimony{},
	}
	neighbours := event.Key{Selector: event.BySourceSubnet, Value: event.SubnetPrefix(addr).String()}
	var own, ownNeighbours []event.Tally
	read := func(o *observer) {
		own, ownNeighbours = slices.Clone(o.ledger.Tallies(x.Key)), slices.Clone(o.ledger.Tallies(neighbours))
	}
	if err := n.observer.ask(ctx, read); err != nil {
		return x, err
	}
	x.Own = summarise(own)
	said := n.judge.gathered(x.Key)
	for _, t := range said {
		if t.Member != n.member.Member() { // what this node says is in Own, as it is now
			x.Gathered = append(x.Gathered, control.Testimony{Member: t.Member, Organisation: t.Organisation, Kinds: summarise(t.Tallies)})
		}
	}
	for _, r := range n.rules.All() {
		if r.GroupBy == event.BySourceSubnet {
			x.Rules = append(x.Rules,
				n.standing(r, correlate.Home, neighbours, []correlate.Testimony{{Member: n.member.Member(), Tallies: ownNeighbours}}),
				n.standing(r, correlate.Federation, neighbours, n.judge.gathered(neighbours)))
		}
		if r.GroupBy == event.BySource {
			x.Rules = append(x.Rules,
				n.standing(r, correlate.Home, x.Key, []correlate.Testimony{{Member: n.member.Member(), Tallies: own}}),
				n.standing(r, correlate.Federation, x.Key, said))
		}
	}
	alerts, err := n.Alerts()
	if err != nil {
		return x, err
	}
	for _, a := range alerts {
		if a.Key == x.Key || steps(a, addr) || slices.ContainsFunc(a.Offenders, func(o netip.Prefix) bool { return o.Contains(addr.Unmap()) }) {
			x.Alerts = append(x.Alerts, a)
		}
	}
	now := time.Now()
	err = n.store.Events(ctx, now.Add(-24*time.Hour), now.Add(clockSkew), func(e event.Event) error {
		if e.Source.Addr.IsValid() && event.SourcePrefix(e.Source.Addr) == prefix {
			if len(x.Recent) == recentKept {
				x.Recent = x.Recent[1:]
			}
			x.Recent = append(x.Recent, e)
		}
		return nil
	})
	x.Never, _ = n.never.Check(prefix)
	x.Block, x.Waiting = n.blocksOf(now, addr)
	x.Verdict = verdict(x)
	return x, err
}

// steps reports whether an alert is about steps of an attack that an address has a part in.
func steps(a control.Alert, addr netip.Addr) bool {
	if a.Key.Selector != scenario.ByScenario {
		return false
	}
	name := addr.Unmap().String()
	return strings.HasSuffix(a.Key.Value, "="+name) || slices.ContainsFunc(a.Steps, func(says string) bool {
		return slices.Contains(strings.FieldsFunc(says, func(r rune) bool { return strings.ContainsRune("(), ", r) }), name)
	})
}

// collects reports whether this node is a collector of a key, as far as it knows: else it has not heard of
// others' evidence.
func (n *Node) collects(now time.Time, key event.Key) bool {
	if n.config.Leaf {
		return false
	}
	collectors, _ := n.overlay.Near(key.Hash(n.member.Name(), n.member.Salts(now, 0)[0]), n.outbox.replicas())
	return slices.Contains(collectors, n.overlay.ID())
}

func (n *Node) standing(r correlate.Rule, scope correlate.Scope, key event.Key, said []correlate.Testimony) control.Standing {
	s := control.Standing{Rule: r.Name, Scope: string(scope), Threshold: r.Home.AtLeast, Quorum: r.Home.Quorum}
	if scope == correlate.Federation {
		s.Threshold, s.Quorum = r.Federation.AtLeast, r.Federation.Quorum
		if s.Elsewhere = !n.collects(time.Now(), key); s.Elsewhere {
			return s
		}
	}
	measured := n.rules.Measure(r, scope, key, said)
	organisations := map[string]bool{}
	for _, m := range measured.Members {
		organisations[n.member.Organisation(m)] = true
	}
	s.Score, s.Organisations = measured.Score, len(organisations)
	s.Counted = n.rules.Counted(r, scope, key, said)
	_, s.Crossed = n.rules.JudgeRule(r.Name, scope, key, said)
	return s
}

// blocksOf is the block that an address is under, or would be in mode observe, and
// the one that waits for a person. It may have both: the latter is for longer.
func (n *Node) blocksOf(now time.Time, addr netip.Addr) (made, waits *control.Block) {
	if b, ok := n.blocks.Lookup(now, addr); ok {
		made = (*control.Block)(&b)
	}
	for _, b := range n.blocks.List(now) {
		switch {
		case !b.Prefix.Contains(addr.Unmap()):
		case b.State == block.Waiting:
			waits = (*control.Block)(&b)
		case made == nil: // others' evidence, which is only shown
			made = (*control.Block)(&b)
		}
	}
	return made, waits
}

func verdict(x control.Explanation) string {
	until := func(b *control.Block) string { return b.Until.UTC().Format(time.RFC3339) }
	switch {
	case x.Block != nil && x.Waiting != nil:
		return fmt.Sprintf("%s until %s: %s; a block until %s waits for a person: %s",
			x.Block.State, until(x.Block), x.Block.Reason, until(x.Waiting), x.Waiting.Hold)
	case x.Block != nil:
		return fmt.Sprintf("%s until %s: %s", x.Block.State, until(x.Block), x.Block.Reason)
	case x.Waiting != nil:
		return fmt.Sprintf("not blocked: a block until %s waits for a person (%s); it is for %s", until(x.Waiting), x.Waiting.Hold, x.Waiting.Reason)
	case x.Never != "":
		return "not blocked, and never will be: " + x.Never
	case len(x.Alerts) > 0:
		return "not blocked now; at its last alert: " + cmp.Or(x.Alerts[len(x.Alerts)-1].Action, "nothing was done")
	case slices.ContainsFunc(x.Rules, func(s control.Standing) bool { return s.Elsewhere }) && len(x.Own) > 0:
		return "not blocked: what was seen here is below every threshold, and other nodes collect what the others have seen"
	case len(x.Own) > 0 || len(x.Gathered) > 0:
		return "not blocked: the evidence is below every threshold"
	case len(x.Recent) > 0:
		return "not blocked: what was seen of it is older than any rule looks back"
	}
	return "not blocked: nothing is known of it here"
}

// summarise adds up tallies by kind.
func summarise(tallies []event.Tally) []control.Evidence {
	sums := []control.Evidence{}
	for _, t := range tallies {
		if t.Count() == 0 {
			continue
		}
		first, last := time.Unix(t.First, 0).UTC(), t.LastTime()
		i := slices.IndexFunc(sums, func(e control.Evidence) bool { return e.Kind == t.Kind })
		if i < 0 {
			sums = append(sums, control.Evidence{Kind: t.Kind, Count: t.Count(), First: first, Last: last})
			continue
		}
		s := &sums[i]
		s.Count += t.Count()
		if first.Before(s.First) {
			s.First = first
		}
		if last.After(s.Last) {
			s.Last = last
		}
	}
	return sums
}

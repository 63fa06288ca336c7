package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// freed says which offenders a person has freed, and when: see block.Manager.Freed.
func (a *actor) freed(scope correlate.Scope, offenders ...netip.Prefix) map[netip.Prefix]time.Time {
	return a.blocks.Freed(time.Now(), scope == correlate.Federation, offenders...)
}

// since is the verdict on an offender by what has come after a person freed it; false where that is too little.
func (a *actor) since(at time.Time, f correlate.Finding, offender netip.Prefix) (correlate.Verdict, bool) {
	v, ok := a.rules.JudgeRule(f.Rule.Name, f.Scope, f.Key, correlate.Since(at, f.Evidence))
	return v, ok && slices.Contains(v.Offenders, offender)
}

// returns reports whether an offender that a person has freed deserves a block again, by what has come since. What
// has been told of the attack is of before, so that it does not matter how much more this is.
func (a *actor) returns(f correlate.Finding) bool {
	if a.warns(f.Verdict) || !f.Rule.Blocks {
		return false
	}
	news := false
	for offender, at := range a.freed(f.Scope, f.Offenders...) {
		if v, ok := a.since(at, f, offender); ok {
			first, _ := a.returned.Enter(fmt.Sprint(attackID(a.member.Name(), v), offender, at.UnixNano()), v)
			news = news || first
		}
	}
	return news
}

// cut has the evidence from now on looked at by itself, because a person has freed these prefixes; and told
// at once, as if nothing had been told of them.
func (n *Node) cut(ctx context.Context, at time.Time, freed ...netip.Prefix) {
	keys := map[event.Key]bool{}
	for _, p := range freed {
		keys[event.Key{Selector: event.BySource, Value: event.SourceValue(p)}] = true
		keys[event.Key{Selector: event.BySourceSubnet, Value: event.SubnetPrefix(p.Addr()).String()}] = true
	}
	_ = n.observer.ask(ctx, func(o *observer) { // it fails when the node ends
		o.ledger.Cut(at)
		o.reporter.Keep(func(key event.Key) bool { return !keys[key] })
	})
}

package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// decide carries out what a person has decided about blocks. The alerts of the attacks that go on, and those that
// the blocks stood on, say what has become of it; what comes from now on is evidence by itself.
func (n *Node) decide(ctx context.Context, now time.Time, decision func() error) error {
	before := n.blocks.List(now)
	err := decision()
	done := time.Now()
	after := n.blocks.List(done)
	changed := changes(before, after)
	if len(changed) == 0 {
		return err
	}
	n.cut(ctx, now, slices.Collect(maps.Keys(changed))...)
	stood, stand := map[string][]netip.Prefix{}, map[netip.Prefix][]block.Block{}
	for _, b := range before {
		if changed[b.Prefix] {
			stood[b.Alert] = append(stood[b.Alert], b.Prefix)
		}
	}
	for _, b := range after {
		stand[b.Prefix] = append(stand[b.Prefix], b)
	}
	alerts, failed := n.Alerts()
	for _, a := range alerts {
		goesOn := a.State != stateEnded && slices.ContainsFunc(a.Offenders, func(o netip.Prefix) bool { return changed[o] })
		if goesOn || len(stood[a.ID]) > 0 {
			n.actor.amend(ctx, done, a, stood[a.ID], func(p netip.Prefix) string { return n.outcome(done, p, stand[p]) })
		}
	}
	return errors.Join(err, failed)
}

// changes are the prefixes whose blocks differ.
func changes(before, after []block.Block) map[netip.Prefix]bool {
	type fact struct {
		prefix netip.Prefix
		state  string
		until  time.Time
	}
	count := map[fact]int{}
	for sign, list := range map[int][]block.Block{-1: before, +1: after} {
		for _, b := range list {
			count[fact{b.Prefix, b.State, b.Until}] += sign
		}
	}
	changed := map[netip.Prefix]bool{}
	for f, n := range count {
		if n != 0 {
			changed[f.prefix] = true
		}
	}
	return changed
}

// outcome says what is done about a prefix now, in the words of act.
func (n *Node) outcome(now time.Time, prefix netip.Prefix, stand []block.Block) string {
	if len(stand) > 0 {
		var said []string
		for _, b := range stand {
			said = append(said, blockInWords(b))
		}
		return strings.Join(said, "; ")
	}
	name := event.SourceValue(prefix)
	if why, never := n.never.Check(prefix); never {
		return name + " not blocked: " + neverBlock + why
	}
	if at, ok := n.blocks.Freed(now, true, prefix)[prefix]; ok {
		return fmt.Sprintf("%s not blocked: a person has ended that at %s", name, at.Format(time.RFC3339))
	}
	return name + " not blocked"
}

// amend has an alert say what is done about its offenders now, or where it names none about what stood on it, unless
// opinions say that nothing is.
func (a *actor) amend(ctx context.Context, now time.Time, known control.Alert, stood []netip.Prefix, outcome func(netip.Prefix) string) {
	if a.begin(ctx) != nil {
		return
	}
	defer a.finish()
	a.mu.Lock()
	alert, ok := a.recorded(known.ID)
	a.mu.Unlock()
	if _, p := a.opinionsOn(attackKey{known.Rule, known.Key}, known.First, now); !ok || p.covers(correlate.Scope(alert.Scope)) {
		return
	}
	var said []string
	about := alert.Offenders
	if len(about) == 0 {
		said, about = []string{alert.Action}, stood
	}
	for _, prefix := range about {
		said = append(said, outcome(prefix))
	}
	alert.Action = strings.Join(said, "; ")
	a.tell(alert, false)
}

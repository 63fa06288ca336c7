package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// actor is the third part of every node: it verifies that an alert proves
// itself, and blocks what this participant's own policy accepts.
//
//	broadcast ─Alert→ verify the proof ─Verdict→ policy ─Proposal→ blocks
type actor struct {
	log      *slog.Logger
	rules    correlate.Rules
	member   membership
	book     *correlate.Book // what has been told over the overlay
	own      correlate.Book  // what has been concluded at home
	blocks   *block.Manager
	open     bool
	quorum   int // organisations that this participant wants beyond the federation's quorum
	counters *counters
	refusals rate.Sometimes // logged: a liar must not fill the disk
	warnings allowance
	// fetch brings the certificates that a member has and this node lacks.
	fetch func(context.Context, peer.ID) error
	// hear keeps an alert, to be told once more if this node is a collector of it.
	hear func(id string, alert []byte)
	// doubt is why evidence of others must not block by itself now; empty: it may.
	doubt func(time.Time) string

	mu        sync.Mutex
	followers map[chan control.Alert]bool
	unkept    map[string]control.Alert // not yet in the store: see keep
	keeping   map[string]control.Alert // being written now
	postponed []block.Proposal
}

// receive verifies an alert that came over the overlay, and acts on it once.
func (a *actor) receive(ctx context.Context, from peer.ID, payload []byte) broadcast.Verdict {
	alert, err := event.DecodeAlert(payload)
	var verdict correlate.Verdict
	if err == nil {
		verdict, err = a.verify(alert, time.Now())
	}
	if errors.Is(err, federation.ErrUnknown) && a.fetch(ctx, from) == nil {
		verdict, err = a.verify(alert, time.Now())
	}
	if err != nil {
		a.counters.alertsInvalid.Add(1)
		a.refusals.Do(func() {
			a.log.Warn("alert refused: it does not prove itself", "rule", alert.Rule, "key", alert.Key.String(), "error", err)
		})
		return broadcast.Invalid
	}
	if a.warns(verdict) && !a.warnings.allow(verdict.Organisation, 1) {
		return broadcast.Known
	}
	news, pass := a.book.Enter(alert.ID(), verdict)
	if news {
		a.hear(alert.ID(), payload)
	}
	id := attackID(a.member.Name(), verdict)
	switch {
	case !news || !a.own.News(id, verdict):
	case a.warns(verdict) && (a.own.Knows(id) || a.book.Knows(id)): // what this participant or the federation concluded says more
	default:
		a.apply(ctx, verdict, payload)
	}
	if pass {
		return broadcast.Fresh
	}
	return broadcast.Known
}

// home acts on what this node's own evidence says, without asking anybody.
func (a *actor) home(ctx context.Context, v correlate.Verdict) {
	if news, _ := a.own.Enter(attackID(a.member.Name(), v), v); news {
		a.apply(ctx, v, nil)
	}
}

// apply does what the policy says about a verdict, keeps it with its proof, if it
// came with one, and shows it.
func (a *actor) apply(ctx context.Context, v correlate.Verdict, proof []byte) {
	id := attackID(a.member.Name(), v)
	shown := show(v, id)
	shown.Raised, shown.Open = time.Now().UTC(), a.open
	if !a.warns(v) { // no block rests on a warning
		shown.Proof = proof
	}
	shown.Action = a.act(ctx, v, id)
	a.counters.alerts.Add(1)
	a.log.Info("alert", "rule", v.Rule.Name, "key", v.Key.String(), "scope", string(v.Scope),
		"score", v.Score, "members", len(v.Members), "action", shown.Action)
	a.tell(shown)
}

// act blocks the offenders, and says what was done in words.
func (a *actor) act(ctx context.Context, v correlate.Verdict, id string) string {
	switch {
	case a.warns(v):
		return "warned: the evidence is one other organisation's, below the quorum"
	case !v.Rule.Blocks:
		return "informed: the rule names nobody to block"
	case len(v.Offenders) == 0:
		return "informed: no source is proven"
	}
	hold, local := a.hold(v), v.Scope == correlate.Home && slices.Equal(v.Members, []string{a.member.Member()})
	reason := fmt.Sprintf("%s: score %d from %d observations at %d %s", v.Rule.Name, v.Score, v.Count, len(v.Members), plural(len(v.Members), "member"))
	var done []string
	for _, offender := range v.Offenders {
		done = append(done, a.propose(ctx, block.Proposal{Prefix: offender, Evidence: v.AgreedOn(offender), Reason: reason, Alert: id, Local: local, Fleet: v.Scope == correlate.Home && !local, Hold: hold}))
	}
	return strings.Join(done, "; ")
}

func (a *actor) propose(ctx context.Context, p block.Proposal) string {
	decision, err := a.blocks.Propose(ctx, time.Now(), p)
	name := event.SourceValue(p.Prefix)
	switch {
	case err != nil:
		a.counters.blocksRefused.Add(1)
		a.postpone(p)
		a.log.Error("not blocked", "prefix", p.Prefix, "error", err)
		return name + " not blocked: " + err.Error()
	case decision.Refused != "":
		a.counters.blocksRefused.Add(1)
		return name + " not blocked: " + decision.Refused
	}
	if decision.Block.State == block.Waiting {
		return fmt.Sprintf("%s waits for approval until %s: %s", name, decision.Block.Until.UTC().Format(time.RFC3339), decision.Block.Hold)
	}
	if decision.Applied {
		a.counters.blocks.Add(1)
	}
	return fmt.Sprintf("%s %s until %s", name, decision.Block.State, decision.Block.Until.UTC().Format(time.RFC3339))
}

// warns reports whether a verdict rests on the evidence of another organisation
// alone.
func (a *actor) warns(v correlate.Verdict) bool {
	return v.Scope == correlate.Home && v.Organisation != a.member.Organisation(a.member.Member())
}

// hold is why a person has to approve what others conclude: what this
// participant's own policy asks for beyond the federation's.
func (a *actor) hold(v correlate.Verdict) string {
	if v.Scope == correlate.Home {
		return ""
	}
	organisations := map[string]bool{}
	for _, m := range v.Members {
		organisations[a.member.Organisation(m)] = true
	}
	if len(organisations) < a.quorum {
		return fmt.Sprintf("evidence of %d organisations, and --quorum asks for %d", len(organisations), a.quorum)
	}
	return a.doubt(time.Now())
}

// recall enters what an earlier run concluded, so that a restart neither tells
// it again nor puts less in its place.
func (a *actor) recall(known control.Alert) {
	rule, ok := a.rules.Named(known.Rule)
	if !ok {
		return // of another policy
	}
	v := correlate.Verdict{Rule: rule, Scope: correlate.Scope(known.Scope), Key: known.Key, Organisation: known.Organisation,
		Score: known.Score, Last: known.Last, Agreed: known.Agreed, Offenders: known.Offenders}
	a.book.Enter(v.Alert(a.member.Name(), nil).ID(), v)
	if v.Scope == correlate.Home && !a.warns(v) {
		a.own.Enter(known.ID, v)
	}
}

// maxPostponed bounds the blocks that wait for a firewall that fails.
const maxPostponed = 1000

// postpone keeps a block that the firewall would not take, for retry.
func (a *actor) postpone(p block.Proposal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.postponed) < maxPostponed {
		a.postponed = append(a.postponed, p)
	}
}

// retry proposes what the firewall did not take before.
func (a *actor) retry(ctx context.Context) {
	a.mu.Lock()
	postponed := a.postponed
	a.postponed = nil
	a.mu.Unlock()
	for _, p := range postponed {
		a.propose(ctx, p)
	}
}

// show is a verdict as people see it.
func show(v correlate.Verdict, id string) control.Alert {
	offenders := v.Offenders
	if offenders == nil {
		offenders = []netip.Prefix{}
	}
	return control.Alert{
		ID: id, Rule: v.Rule.Name, Title: v.Rule.Title, Level: v.Rule.Level, Scope: string(v.Scope), Organisation: v.Organisation, Key: v.Key,
		Score: v.Score, Count: v.Count, Sensors: v.Members, First: v.First, Last: v.Last, Agreed: v.Agreed, Offenders: offenders,
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

package node

import (
	"cmp"
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
	"github.com/komondor/komondor/correlate/scenario"
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
	returned correlate.Book  // what has been concluded since a person freed an offender
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
	// heard takes the evidence of an alert on a scenario's key, and concluded what rules conclude.
	heard     func(time.Time, event.Alert)
	concluded func(time.Time, correlate.Verdict, string)
	// assessed names the alerts of scenarios on which offenders were blocked.
	assessed func(now time.Time, offenders []netip.Prefix) []string
	// doubt is why evidence of others must not block by itself now; empty: it may.
	doubt func(time.Time) string

	opinions opinions
	lift     int           // as many organisations' opinions lift blocks on others' evidence; 0: they are only shown
	voices   allowance     // of opinions
	turn     chan struct{} // full while a verdict or an opinion has its effect; of capacity 1
	// again judges own evidence on an attack once more.
	again func(context.Context, attackKey)
	// kept is an alert as it is in the store.
	kept func(id string) (control.Alert, bool)

	mu        sync.Mutex
	lives     lives
	followers map[chan control.Alert]bool
	unkept    map[string]control.Alert // not yet in the store: see keep
	keeping   map[string]control.Alert // being written now
	postponed []block.Proposal
}

// receive verifies an alert that came over the overlay, and acts on it once.
func (a *actor) receive(ctx context.Context, from peer.ID, payload []byte) broadcast.Verdict {
	alert, err := event.DecodeAlert(payload)
	var verdict correlate.Finding
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
	if a.warns(verdict.Verdict) && !a.warnings.allow(verdict.Organisation, 1) {
		return broadcast.Known
	}
	news, pass := a.book.Enter(alert.ID(), verdict.Verdict)
	if news {
		a.hear(alert.ID(), payload)
	}
	if alert.Key.Selector == scenario.ByScenario && a.heard != nil { // also what was told before a restart
		a.heard(time.Now(), alert)
	}
	id := attackID(a.member.Name(), verdict.Verdict)
	switch {
	case a.returns(verdict):
		pass = true // those hear of it whose blocks were ended as well
		a.apply(ctx, verdict, payload)
	case !news || !a.own.News(id, verdict.Verdict):
	case a.warns(verdict.Verdict) && (a.own.Knows(id) || a.book.Knows(id) || a.saysMore(verdict.Verdict)): // what this participant or the federation concluded says more
	default:
		a.apply(ctx, verdict, payload)
	}
	if pass {
		return broadcast.Fresh
	}
	return broadcast.Known
}

// home acts on what this node's own evidence says, without asking anybody.
func (a *actor) home(ctx context.Context, v correlate.Finding) {
	id := attackID(a.member.Name(), v.Verdict)
	news, _ := a.own.Enter(id, v.Verdict)
	switch {
	case a.returns(v):
		a.apply(ctx, v, nil)
	case !news:
	case a.book.Knows(id): // the federation's alert says more and stays, with its proof; the block lasts longer all the same
		a.prolong(ctx, v, id)
	default:
		a.apply(ctx, v, nil)
	}
}

// begin waits for the turn: one verdict or opinion has its effect at a time.
func (a *actor) begin(ctx context.Context) error {
	select {
	case a.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *actor) finish() { <-a.turn }

// prolong acts on a verdict without showing it, as the alert on the attack that is shown.
func (a *actor) prolong(ctx context.Context, v correlate.Finding, id string) {
	if a.begin(ctx) != nil {
		return
	}
	defer a.finish()
	first, now := v.First, time.Now()
	if shown, goesOn := a.attack(v.Verdict, now); goesOn {
		first, id = shown.First, shown.ID
	}
	if _, p := a.opinionsOn(attackKey{v.Rule.Name, v.Key}, first, now); !p.covers(v.Scope) {
		a.act(ctx, v, id)
	}
}

// apply does what the policy says about a verdict, keeps it with its proof, if it
// came with one, and shows it: as a new alert, or as an update of the one on the
// attack that goes on.
func (a *actor) apply(ctx context.Context, f correlate.Finding, proof []byte) {
	if a.begin(ctx) != nil {
		return
	}
	defer a.finish()
	now, v := time.Now(), f.Verdict
	id := attackID(a.member.Name(), v)
	shown := show(v, id)
	shown.Raised, shown.Open = now.UTC(), a.open
	if !a.warns(v) { // no block rests on a warning
		shown.Proof = proof
	}
	old, goesOn := a.attack(v, now)
	if goesOn {
		if a.warned(old) && (!a.warns(v) || v.Organisation != old.Organisation) {
			shown = replaceWarning(old, shown)
		} else {
			shown = grow(old, shown)
		}
		if id != shown.ID {
			shown.Latest = id
		}
	}
	var p pardon
	shown.Opinions, p = a.opinionsOn(attackKey{v.Rule.Name, v.Key}, shown.First, now)
	returned := false
	if shown.Action = p.why; !p.covers(v.Scope) {
		before := len(a.freed(f.Scope, f.Offenders...))
		shown.Action = a.act(ctx, f, shown.ID)
		returned = len(a.freed(f.Scope, f.Offenders...)) < before
	}
	if v.Key.Selector != scenario.ByScenario && a.concluded != nil && !p.covers(v.Scope) { // what was called false is no step of anything
		a.concluded(now, v, id)
	}
	a.counters.alerts.Add(1)
	due := a.follows(shown, v, p, now)
	a.tell(shown, !goesOn || returned || !p.covers(v.Scope) && (due || rises(old, shown)))
}

// attack is the alert on the attack that a verdict is on, if that has not ended.
func (a *actor) attack(v correlate.Verdict, now time.Time) (control.Alert, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.lives.going(attackKey{v.Rule.Name, v.Key}, now)
	if !ok {
		return control.Alert{}, false
	}
	return a.recorded(known.id)
}

// saysMore reports whether the attack that a warning is on is more than a warning here.
func (a *actor) saysMore(v correlate.Verdict) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.lives.going(attackKey{v.Rule.Name, v.Key}, time.Now())
	return ok && !known.warns
}

// follows goes on following an attack, and reports whether it is time to tell people of it again.
func (a *actor) follows(shown control.Alert, v correlate.Verdict, p pardon, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lives == nil {
		a.lives = lives{}
	}
	at := attackKey{v.Rule.Name, v.Key}
	known := a.lives[at]
	due := known.id != shown.ID || now.Sub(known.told) >= tellAgain
	if due {
		known.told = now
	}
	known.id, known.last, known.timespan, known.warns, known.pardon = shown.ID, shown.Last, v.Rule.Federation.Timespan, a.warns(v), p
	a.lives.put(at, known)
	return due
}

// end forgets the attacks that have ended, and says so.
func (a *actor) end(now time.Time) {
	a.mu.Lock()
	over := a.lives.over(now)
	a.mu.Unlock()
	for at, one := range over {
		a.log.Info("alert ended", "rule", at.rule, "key", at.key.String(), "id", one.id, "last", one.last.UTC().Format(time.RFC3339))
	}
}

// act blocks the offenders, and says what was done in words.
func (a *actor) act(ctx context.Context, v correlate.Finding, id string) string {
	switch {
	case a.warns(v.Verdict):
		return "warned: the evidence is one other organisation's, below the quorum"
	case !v.Rule.Blocks:
		return "informed: the rule names nobody to block"
	case len(v.Offenders) == 0:
		return "informed: no source is proven"
	}
	proposal, freed := a.proposal(v.Verdict, id), a.freed(v.Scope, v.Offenders...)
	var done []string
	for _, offender := range v.Offenders {
		on, p := v.Verdict, proposal
		if at, ok := freed[offender]; ok {
			if on, ok = a.since(at, v, offender); !ok {
				done = append(done, fmt.Sprintf("%s not blocked: a person has ended that at %s, and what has come since is too little", event.SourceValue(offender), at.Format(time.RFC3339)))
				continue
			}
			p = a.proposal(on, id)
		}
		p.Prefix, p.Evidence = offender, on.AgreedOn(offender)
		done = append(done, a.propose(ctx, p))
	}
	return strings.Join(done, "; ")
}

// proposal is what a verdict asks for, but for whom and up to when.
func (a *actor) proposal(v correlate.Verdict, id string) block.Proposal {
	local := v.Scope == correlate.Home && slices.Equal(v.Members, []string{a.member.Member()})
	reason := fmt.Sprintf("%s: score %d from %d observations at %d %s", v.Rule.Name, v.Score, v.Count, len(v.Members), plural(len(v.Members), "member"))
	return block.Proposal{Reason: reason, Alert: id, Local: local, Fleet: v.Scope == correlate.Home && !local, Hold: a.hold(v)}
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
	if decision.Applied && decision.Block.State != block.Waiting {
		a.counters.blocks.Add(1)
	}
	return blockInWords(decision.Block)
}

func blockInWords(b block.Block) string {
	name, until := event.SourceValue(b.Prefix), b.Until.UTC().Format(time.RFC3339)
	if b.State == block.Waiting {
		return fmt.Sprintf("%s waits for approval until %s: %s", name, until, b.Hold)
	}
	return fmt.Sprintf("%s %s until %s", name, b.State, until)
}

// warns reports whether a verdict rests on the evidence of another organisation
// alone.
func (a *actor) warns(v correlate.Verdict) bool {
	return v.Scope == correlate.Home && v.Organisation != a.member.Organisation(a.member.Member())
}

// warned reports whether an alert is no more than another organisation's warning.
func (a *actor) warned(shown control.Alert) bool {
	return shown.Scope == string(correlate.Home) && shown.Organisation != a.member.Organisation(a.member.Member())
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
		Score: known.Score, Level: known.Level, Last: known.Last, Agreed: known.Agreed, Offenders: known.Offenders}
	a.book.Enter(v.Alert(a.member.Name(), nil).ID(), v)
	if v.Scope == correlate.Home && !a.warns(v) {
		a.own.Enter(attackID(a.member.Name(), v), v)
	}
	if now := time.Now(); stateOf(known.Last, rule.Federation.Timespan, now) != stateEnded {
		shown, p := a.opinionsOn(attackKey{v.Rule.Name, v.Key}, known.First, now)
		a.follows(known, v, p, known.Raised)
		if !slices.Equal(shown, known.Opinions) { // heard when the node ended
			known.Opinions, known.Action = shown, cmp.Or(p.why, known.Action)
			a.tell(known, false)
		}
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
		ID: id, Rule: v.Rule.Name, Title: v.Rule.Title, Level: v.Level, Scope: string(v.Scope), Organisation: v.Organisation, Key: v.Key,
		Score: v.Score, Count: v.Count, Targets: v.Targets, Sensors: v.Members, First: v.First, Last: v.Last, Agreed: v.Agreed, Offenders: offenders,
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

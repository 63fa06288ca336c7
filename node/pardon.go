package node

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
)

// pardon is what opinions on an attack mean here: nothing, where why is empty.
type pardon struct {
	why string // for people
	// own says that it is the opinion of this node's own organisation, which holds for own
	// evidence too. Others' can at most undo what others' evidence has done.
	own bool
}

// covers reports whether nothing is done about a verdict of that scope.
func (p pardon) covers(scope correlate.Scope) bool {
	return p.why != "" && (p.own || scope == correlate.Federation)
}

// opinionsOn are the opinions on an attack that began at first, and what they mean here. One's
// own organisation's counts at once; those of others if the local policy says so, and as many
// organisations with a vote are of that opinion.
func (a *actor) opinionsOn(at attackKey, first, now time.Time) (shown []control.Opinion, p pardon) {
	var others []string
	for _, s := range a.opinions.about(at) {
		if !s.False || s.SaidAt().Before(first) || a.member.Refused(now, s.Member) != nil {
			continue
		}
		o := control.Opinion{Organisation: a.member.Organisation(s.Member), Member: s.Member, Said: s.SaidAt(), Reason: s.Reason}
		shown = append(shown, o)
		switch {
		case o.Organisation == a.member.Organisation(a.member.Member()):
			p = pardon{fmt.Sprintf("marked as false here: %s; nothing is done about it until it has ended", s.Reason), true}
		case a.member.Votes(now, s.Member) && !slices.Contains(others, o.Organisation):
			others = append(others, o.Organisation)
		}
	}
	if p.why == "" && a.lift > 0 && len(others) >= a.lift {
		p.why = fmt.Sprintf("marked as false by %s: nothing is done on others' evidence until it has ended", strings.Join(others, ", "))
	}
	return shown, p
}

// reconsider lets the opinions on an attack have their effect, if it goes on: blocks are lifted,
// or what the evidence still says is done again.
func (a *actor) reconsider(ctx context.Context, at attackKey, now time.Time) {
	if a.settle(ctx, at, now) {
		a.again(ctx, at)
	}
}

// settle is reconsider but for own evidence, which has to be judged again where it returns true.
func (a *actor) settle(ctx context.Context, at attackKey, now time.Time) (rejudge bool) {
	if a.begin(ctx) != nil {
		return false
	}
	defer a.finish()
	a.mu.Lock()
	known, ok := a.lives.going(at, now)
	var alert control.Alert
	if ok {
		alert, ok = a.recorded(known.id)
	}
	a.mu.Unlock()
	if !ok {
		return false
	}
	shown, p := a.opinionsOn(at, alert.First, now)
	if p == known.pardon && slices.Equal(shown, alert.Opinions) {
		return false
	}
	people := p != known.pardon || len(shown) != len(alert.Opinions) // and not if it is said anew
	alert.Opinions = shown
	switch {
	case p == known.pardon:
	case p.why != "" && (p.own || !known.pardon.own):
		a.lifted(ctx, now, &alert, p)
	default:
		alert.Action = "no longer marked as false"
		if p.why != "" {
			alert.Action = p.why
		}
		a.restore(ctx, now, &alert, p)
		rejudge = true
	}
	a.mu.Lock()
	known.pardon = p
	a.lives.put(at, known)
	a.mu.Unlock()
	alert.Raised = now.UTC()
	a.tell(alert, people)
	return rejudge
}

// spares says why nothing is done about an address: it is an offender of an attack that goes on and is marked as false
// here. It is empty where there is none.
func (a *actor) spares(now time.Time, addr netip.Addr) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for at, one := range a.lives {
		if !one.pardon.covers(correlate.Home) || stateOf(one.last, one.timespan, now) == stateEnded {
			continue
		}
		alert, _ := a.recorded(one.id)
		source, err := at.key.Source()
		if err == nil && source.Contains(addr) || slices.ContainsFunc(alert.Offenders, func(o netip.Prefix) bool { return o.Contains(addr) }) {
			return fmt.Sprintf("the alert of %s on %s is %s", at.rule, at.key, one.pardon.why)
		}
	}
	return ""
}

// lifted ends what stands on an alert.
func (a *actor) lifted(ctx context.Context, now time.Time, alert *control.Alert, p pardon) {
	alert.Action = p.why
	end := a.blocks.Pardon
	switch {
	case p.own:
	case alert.Scope == string(correlate.Federation):
		end = a.blocks.Withdraw
	default:
		return // it is own evidence, of which others know nothing
	}
	grounds := []string{alert.ID, alert.Latest}
	if p.own {
		grounds = append(grounds, a.assessed(now, alert.Offenders)...)
	}
	freed, err := end(ctx, now, grounds...)
	if err != nil {
		a.log.Error("blocks of a false alert not lifted", "id", alert.ID, "error", err)
		alert.Action += "; not lifted: " + err.Error()
	}
	for _, prefix := range freed {
		alert.Action += "; lifted: " + event.SourceValue(prefix)
	}
}

// restore does again what the evidence of others says that is kept with an alert.
func (a *actor) restore(ctx context.Context, now time.Time, alert *control.Alert, p pardon) {
	proof, err := event.DecodeAlert(alert.Proof)
	if err != nil {
		return // there is none
	}
	if a.signed(now, proof.Evidence) != nil {
		return
	}
	if v, err := a.conclude(proof, now); err == nil && !a.warns(v.Verdict) && !p.covers(v.Scope) {
		alert.Action += "; " + a.act(ctx, v, alert.ID)
	}
}

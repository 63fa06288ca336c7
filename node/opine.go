package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/correlate/scenario"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// MarkFalse says to everybody that an alert is false, and why, and lifts what this node does
// about it. ID may be shortened. The attack must not have ended.
func (n *Node) MarkFalse(ctx context.Context, id, reason string) (control.Alert, error) {
	return n.opine(ctx, id, event.Opinion{False: true, Reason: strings.TrimSpace(reason)})
}

// MarkTrue takes back what MarkFalse said.
func (n *Node) MarkTrue(ctx context.Context, id string) (control.Alert, error) {
	return n.opine(ctx, id, event.Opinion{})
}

func (n *Node) opine(ctx context.Context, id string, o event.Opinion) (control.Alert, error) {
	a, err := n.alert(id)
	switch {
	case err != nil:
		return a, err
	case a.Key.Selector == scenario.ByScenario && a.Rule != scenarioRule:
		return a, fmt.Errorf("alert %s is what scenario %s makes of other alerts: mark those as false, and see `komondor responses` for what is to be undone", a.ID, a.Rule)
	case a.State == stateEnded:
		return a, fmt.Errorf("the attack of alert %s has ended: there is nothing to lift; `komondor allow add ADDRESS` keeps an address from being blocked another time", a.ID)
	case !o.False && !slices.ContainsFunc(a.Opinions, func(o control.Opinion) bool { return o.Member == n.member.Member() }):
		return a, fmt.Errorf("alert %s is not marked as false by this node: there is nothing to take back", a.ID)
	}
	o.Rule, o.Key = a.Rule, a.Key
	if err := n.say(ctx, o); err != nil {
		return a, err
	}
	return n.alert(a.ID)
}

// say signs an opinion of this node, acts on it and tells everybody.
func (n *Node) say(ctx context.Context, o event.Opinion) error {
	now := time.Now()
	o.Federation, o.Member, o.Said = n.member.Name(), n.member.Member(), now.UnixMilli()
	for _, s := range n.actor.opinions.about(attackKey{o.Rule, o.Key}) {
		if s.Member == o.Member { // also where the clock was set back
			o.Said = max(o.Said, s.Said+1)
		}
	}
	body, err := o.Encode()
	if err != nil {
		return err
	}
	sealed, err := n.member.Seal(body)
	if err != nil {
		return err
	}
	payload, err := event.Encode(sealed)
	if err != nil {
		return err
	}
	if _, err := n.actor.opinions.take(stance{o, sealed, n.member.Organisation(o.Member), true}); err != nil {
		return err
	}
	n.actor.reconsider(ctx, attackKey{o.Rule, o.Key}, now)
	n.publish(ctx, opinionPayload, payload)
	return nil
}

// heed takes an opinion of another member.
func (n *Node) heed(ctx context.Context, from peer.ID, payload []byte) broadcast.Verdict {
	now := time.Now()
	s, err := n.actor.stance(payload, now)
	if errors.Is(err, federation.ErrUnknown) && n.actor.fetch(ctx, from) == nil {
		s, err = n.actor.stance(payload, now)
	}
	if err != nil {
		n.actor.refusals.Do(func() { n.config.Log.Warn("opinion refused", "error", err) })
		return broadcast.Invalid
	}
	if rule, ok := n.rules.Named(s.Rule); !ok || rule.GroupBy != s.Key.Selector || !n.actor.voices.allow(n.member.Organisation(s.Member), 1) {
		return broadcast.Known // of a rule of its own; or it says too much
	}
	news, err := n.actor.opinions.take(s)
	if err != nil || !news {
		return broadcast.Known
	}
	n.actor.reconsider(ctx, s.at(), now)
	return broadcast.Fresh
}

// stance verifies an opinion that came over the overlay, or from the store.
func (a *actor) stance(payload []byte, now time.Time) (stance, error) {
	var s stance
	if err := event.Decode(payload, &s.sealed); err != nil {
		return s, fmt.Errorf("decode sealed opinion: %w", err)
	}
	var err error
	if s.Opinion, err = event.DecodeOpinion(s.sealed.Body); err != nil {
		return s, err
	}
	switch {
	case s.Federation != a.member.Name():
		return s, fmt.Errorf("opinion of federation %.64q, this is %q", s.Federation, a.member.Name())
	case s.Member != s.sealed.Signer:
		return s, fmt.Errorf("opinion of %.64q is signed by %.64q", s.Member, s.sealed.Signer)
	case s.SaidAt().After(now.Add(clockSkew)):
		return s, fmt.Errorf("opinion of %s: %w", s.Member, errClock)
	case s.SaidAt().Before(now.Add(-opinionLife)) && s.Member != a.member.Member():
		return s, fmt.Errorf("opinion of %s of %s: too old", s.Member, s.SaidAt().Format(time.RFC3339))
	}
	s.organisation, s.own = a.member.Organisation(s.Member), s.Member == a.member.Member()
	return s, a.member.Verify(now, s.sealed)
}

// aboutOpinion says what is told of opinions to who has missed them.
func (a *actor) aboutOpinion(payload []byte) (broadcast.About, bool) {
	s, err := a.stance(payload, time.Now())
	if err != nil {
		return broadcast.About{}, false
	}
	return broadcast.About{Topic: "opinion " + storeKey(s), Rank: s.Said, Until: s.SaidAt().Add(opinionLife)}, true
}

// again judges this node's own evidence on an attack once more.
func (n *Node) again(ctx context.Context, at attackKey) {
	var tallies []event.Tally
	if n.observer.ask(ctx, func(o *observer) { tallies = slices.Clone(o.ledger.Tallies(at.key)) }) != nil {
		return // the node ends
	}
	said := []correlate.Testimony{{Organisation: n.member.Organisation(n.member.Member()), Member: n.member.Member(), Tallies: tallies}}
	if v, ok := n.rules.JudgeRule(at.rule, correlate.Home, at.key, said); ok {
		n.actor.apply(ctx, correlate.Finding{Verdict: v, Evidence: said}, nil)
	}
}

// hearken says this node's opinions anew while their attacks go on, and forgets those that no
// longer hold, or whose authors are out.
func (n *Node) hearken(ctx context.Context, now time.Time) {
	goesOn := func(at attackKey) bool {
		n.actor.mu.Lock()
		defer n.actor.mu.Unlock()
		_, ok := n.actor.lives.going(at, now)
		return ok
	}
	n.actor.opinions.each(func(s stance) {
		if s.Member == n.member.Member() && s.False && now.Sub(s.SaidAt()) >= opinionAgain && goesOn(s.at()) {
			if err := n.say(ctx, s.Opinion); err != nil {
				n.config.Log.Error("opinion not said anew", "rule", s.Rule, "key", s.Key.String(), "error", err)
			}
		}
	})
	changed := n.actor.opinions.sweep(func(s stance) bool {
		switch {
		case s.Member == n.member.Member() && s.False:
			return goesOn(s.at())
		case n.member.Refused(now, s.Member) != nil:
			return false
		}
		return now.Sub(s.SaidAt()) <= opinionLife
	})
	for _, at := range changed {
		n.actor.reconsider(ctx, at, now)
	}
}

// recallOpinions brings back what an earlier run has heard.
func (n *Node) recallOpinions() error {
	now := time.Now()
	return n.store.Opinions.Each(func(_ string, record []byte) error {
		if s, err := n.actor.stance(record, now); err == nil {
			_, _ = n.actor.opinions.take(s) // there was room before
		}
		return nil
	})
}

// alert finds an alert by its id, by the id of its newest update, or by the beginning of either.
func (n *Node) alert(id string) (control.Alert, error) {
	if len(id) < shortestID {
		return control.Alert{}, fmt.Errorf("alert %q: want %d digits of its id or more; `komondor alerts` lists them", id, shortestID)
	}
	all, err := n.Alerts()
	var found []control.Alert
	for _, a := range all {
		if strings.HasPrefix(a.ID, id) || strings.HasPrefix(a.Latest, id) {
			found = append(found, a)
		}
	}
	switch {
	case err != nil:
		return control.Alert{}, err
	case len(found) == 0:
		return control.Alert{}, fmt.Errorf("there is no alert %q; `komondor alerts` lists them", id)
	case len(found) > 1:
		return control.Alert{}, fmt.Errorf("%d alerts begin with %q: write more of the id", len(found), id)
	}
	return found[0], nil
}

// shortestID is how much of an id people have to write.
const shortestID = 6

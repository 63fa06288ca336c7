package node

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

var errOpenOverlay = errors.New("this is an open lab overlay: it has no members, policy or revocations; `komondor init` founds a federation")

// federationStatus says with whom this node counts together, and how safe that is.
func (n *Node) federationStatus(now time.Time) control.Federation {
	f := control.Federation{Name: n.member.Name(), Open: n.federation == nil, Quorum: n.quorum()}
	if n.federation == nil {
		_, others := n.overlay.Peers()
		f.Members = others + 1
		f.Organisations, f.Voting, f.Weak = f.Members, f.Members, true
		f.Safety = "open lab overlay: whoever starts as many nodes as the quorum can have any address blocked"
		return f
	}
	s := n.federation.Summary(now)
	f.Organisation = n.federation.Organisation(n.member.Member())
	f.Organisations, f.Voting, f.Members = s.Organisations, s.Voting, s.Members
	f.Withstands, f.Weak, f.Safety = s.Withstands, s.Weak, s.Sentence
	f.Policy = n.federation.Policy().Version
	f.Warning = n.registrar.doubt(now)
	for _, m := range n.federation.Members(now) {
		if m.ID == n.member.Member() {
			f.Until = m.Until
		}
	}
	return f
}

// Members lists the federation's nodes.
func (n *Node) Members() ([]control.Member, error) {
	if n.federation == nil {
		return nil, errOpenOverlay
	}
	var all []control.Member
	for _, m := range n.federation.Members(time.Now()) {
		all = append(all, control.Member{ID: m.ID, Organisation: m.Organisation, Tier: string(m.Tier), Issuer: m.Issuer,
			Since: m.Since, Until: m.Until, State: m.State, Reason: m.Reason, Self: m.ID == n.member.Member()})
	}
	return all, nil
}

// Policy is the federation's policy as it holds here, in JSON.
func (n *Node) Policy() (json.RawMessage, error) {
	if n.federation == nil {
		return nil, errOpenOverlay
	}
	return json.Marshal(n.federation.Policy())
}

// Revocations are the newest revocation lists of all issuers, in JSON.
func (n *Node) Revocations() (json.RawMessage, error) {
	if n.federation == nil {
		return nil, errOpenOverlay
	}
	return json.Marshal(n.federation.Revocations())
}

// Submit takes a signed document and spreads it.
func (n *Node) Submit(ctx context.Context, document []byte) error {
	if n.registrar == nil {
		return errOpenOverlay
	}
	return n.registrar.submit(ctx, document)
}

// Deposit keeps an invitation, to be redeemed at this node.
func (n *Node) Deposit(data []byte) error {
	if n.federation == nil {
		return errOpenOverlay
	}
	var offer federation.Offer
	if err := event.Decode(data, &offer); err != nil {
		return err
	}
	return n.federation.Deposit(offer)
}

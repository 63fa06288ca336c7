package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	f.Unrenewed = n.registrar.stuck()
	if f.Warning = n.registrar.doubt(now); f.Warning == "" && s.Members > 1 && now.Sub(n.started) > alone {
		if connected, _ := n.overlay.Peers(); connected == 0 {
			f.Warning = "no other member is connected: look there whether this node is out (`komondor member list`), and whether it can be reached"
		}
	}
	for _, m := range n.federation.Members(now) {
		if m.ID == n.member.Member() {
			f.Until = time.Unix(m.NotAfter, 0).UTC()
		}
	}
	return f
}

// alone is after how long a member that has met nobody is told so. Who has been put
// out is not told of it: nobody speaks with him.
const alone = 30 * time.Second

// Members lists the federation's nodes.
func (n *Node) Members() ([]control.Member, error) {
	if n.federation == nil {
		return nil, errOpenOverlay
	}
	var all []control.Member
	for _, m := range n.federation.Members(time.Now()) {
		shown := control.Member{ID: m.ID, Organisation: m.Organisation, Tier: string(m.Tier), Votes: m.Votes, Issuer: m.Issuer,
			Since: time.Unix(m.Since, 0).UTC(), Until: time.Unix(m.NotAfter, 0).UTC(), State: state(m.Refused), Serial: m.Serial, Self: m.ID == n.member.Member()}
		if m.Refused != nil {
			shown.Reason = m.Refused.Error()
		}
		all = append(all, shown)
	}
	return all, nil
}

// state names why a member's word does not count, if it does not.
func state(refused error) string {
	switch {
	case refused == nil:
		return "valid"
	case errors.Is(refused, federation.ErrRevoked):
		return "revoked"
	case errors.Is(refused, federation.ErrFaulty):
		return "faulty"
	case errors.Is(refused, federation.ErrEarly):
		return "not yet valid"
	}
	return "expired"
}

// Organisation is an organisation's newest certificate, in JSON: what the root
// renews, and what the organisation's own revocation list carries.
func (n *Node) Organisation(name string) (json.RawMessage, error) {
	if n.federation == nil {
		return nil, errOpenOverlay
	}
	certificate, admission, ok := n.federation.Certificate(name)
	if !ok {
		return nil, fmt.Errorf("no organisation %q is known here; `komondor member list` shows them", name)
	}
	return json.Marshal(struct {
		Certificate federation.Organisation `json:"certificate"`
		Admission   federation.Admission    `json:"admission"`
	}{certificate, admission})
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
	return n.federation.Deposit(time.Now(), offer)
}

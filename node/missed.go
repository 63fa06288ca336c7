package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

// caster is the overlay as the broadcast wants it: what it asks says that it is about
// broadcasts that were missed.
type caster struct{ *overlay.Overlay }

func (c caster) Ask(ctx context.Context, to peer.ID, question []byte) ([]byte, error) {
	return c.Overlay.Ask(ctx, to, append([]byte{missedQuestion}, question...))
}

// about says which alert a payload is, and how much it says: of two on one attack in
// one episode the one with the newer evidence is better, and in one second the one that
// names more offenders, then the one with the higher score. It matters for as long as
// verify would take it. Documents of the federation are not kept: each member holds all
// of them, and is asked for them by itself.
func (a *actor) about(payload []byte) (broadcast.About, bool) {
	if payload[0] == opinionPayload {
		return a.aboutOpinion(payload[1:])
	}
	if payload[0] != alertPayload {
		return broadcast.About{}, false
	}
	alert, err := event.DecodeAlert(payload[1:])
	if err != nil {
		return broadcast.About{}, false
	}
	verdict, err := a.conclude(alert, time.Now())
	if err != nil {
		return broadcast.About{}, false
	}
	const most = 1<<12 - 1
	rank := verdict.Last.Unix()<<24 | int64(min(len(verdict.Offenders), most))<<12 | int64(min(verdict.Score, most))
	return broadcast.About{Topic: alert.ID(), Rank: rank, Until: verdict.Agreed.Add(verdict.Rule.Federation.Timespan)}, true
}

// recallSpread gives the broadcast what an earlier run has accepted, so that it is not
// fetched again and those who have missed it can have it from here.
func (n *Node) recallSpread(a control.Alert) {
	if len(a.Proof) > 0 && n.started.Sub(a.Last) < n.rules.Longest() {
		n.broadcast.Recall(append([]byte{alertPayload}, a.Proof...))
	}
}

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

// about says which alert a payload is, and how new its evidence: of two on one attack
// in one episode, what rests on newer evidence is the better one. Documents of the
// federation are not kept: each member holds all of them, and is asked for them by
// itself.
func about(payload []byte) (broadcast.About, bool) {
	if payload[0] != alertPayload {
		return broadcast.About{}, false
	}
	alert, err := event.DecodeAlert(payload[1:])
	if err != nil {
		return broadcast.About{}, false
	}
	var newest time.Time
	for _, sealed := range alert.Evidence {
		report, err := event.DecodeReport(sealed.Body)
		if err != nil {
			return broadcast.About{}, false
		}
		for _, t := range report.Tallies {
			if last := t.LastTime(); last.After(newest) {
				newest = last
			}
		}
	}
	return broadcast.About{Topic: alert.ID(), Rank: newest.Unix()}, true
}

// recallSpread gives the broadcast what an earlier run has accepted, so that it is not
// fetched again and those who have missed it can have it from here.
func (n *Node) recallSpread(a control.Alert) {
	if len(a.Proof) > 0 && n.started.Sub(a.Last) < n.rules.Longest() {
		n.broadcast.Recall(append([]byte{alertPayload}, a.Proof...))
	}
}

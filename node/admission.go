package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/federation"
)

// admission fits the federation's certificates into the overlay's handshake.
type admission struct{ member *federation.Member }

func (a admission) Hello() []byte { return a.member.Hello() }

func (a admission) Welcome(from peer.ID, said []byte) (reply []byte, admitted bool, err error) {
	return a.member.Welcome(time.Now(), from.String(), said)
}

func (a admission) Meet(from peer.ID, said []byte) error {
	return a.member.Meet(time.Now(), from.String(), said)
}

func (a admission) Admitted(p peer.ID) bool { return a.member.Admitted(time.Now(), p.String()) }

func (a admission) Standing(p peer.ID) (organisation string, collects bool) {
	return a.member.Standing(time.Now(), p.String())
}

// withdraw ends the blocks that rest on evidence of members who are out, where
// what is left of it no longer meets the quorum.
func (n *Node) withdraw(ctx context.Context) error {
	now := time.Now()
	resting := map[string]bool{}
	for _, b := range n.blocks.List(now) {
		if b.Alert != "" {
			resting[b.Alert] = true
		}
	}
	if len(resting) == 0 {
		return nil
	}
	alerts, err := n.Alerts()
	if err != nil {
		return err
	}
	var fallen []string
	for _, a := range alerts {
		if resting[a.ID] && len(a.Proof) > 0 && !n.actor.proves(a.Proof, now) {
			fallen = append(fallen, a.ID)
		}
	}
	if len(fallen) == 0 {
		return nil
	}
	ended, err := n.blocks.Withdraw(ctx, now, fallen...)
	n.counters.withdrawn.Add(uint64(len(ended)))
	for _, prefix := range ended {
		n.config.Log.Warn("block withdrawn: a member whose evidence it rests on is out, and the rest does not meet the quorum", "prefix", prefix.String())
	}
	return err
}

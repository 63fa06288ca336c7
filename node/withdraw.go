package node

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/komondor/komondor/control"
)

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
	var standing []control.Alert
	for _, a := range alerts {
		switch {
		case len(a.Proof) == 0:
		case n.actor.proves(a.Proof, now):
			standing = append(standing, a)
		case resting[a.ID]:
			fallen = append(fallen, a.ID)
		}
	}
	if len(fallen) == 0 {
		return nil
	}
	ended, err := n.blocks.Withdraw(ctx, now, fallen...)
	// A block rests on the alert that gave it its end, and others may have asked for it too.
	for _, a := range standing {
		if slices.ContainsFunc(a.Offenders, func(p netip.Prefix) bool { return slices.Contains(ended, p) }) {
			n.actor.again(ctx, a, now)
		}
	}
	n.counters.withdrawn.Add(uint64(len(ended)))
	for _, prefix := range ended {
		n.config.Log.Warn("block withdrawn: a member whose evidence it rests on is out, and the rest does not meet the quorum", "prefix", prefix.String())
	}
	return err
}

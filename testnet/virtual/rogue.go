package virtual

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

// rogue is what a node may run in the place of the product: the same overlay and
// broadcast, and something else above them. It passes on whatever it is told.
type rogue struct {
	// collect takes the reports that come to it as a collector. Nil acknowledges
	// them, and does nothing.
	collect overlay.Collector
	hear    func(payload []byte) // takes what is broadcast; may be nil

	*overlay.Overlay
	broadcast *broadcast.Broadcast
}

// turn has a node that does not run take part as a rogue, until the net ends or
// it is stopped.
func (n *Node) turn(r *rogue) (err error) {
	first := Everyone(n.net)[0]
	if err := n.plugIn(); err != nil {
		return err
	}
	// It believes everybody, and shows its certificates if it has any.
	r.Overlay, err = overlay.New(context.Background(), overlay.Config{Host: n.host, Bootstrap: []peer.AddrInfo{{ID: first.id, Addrs: first.host.Addrs()}}})
	if err != nil {
		return err
	}
	if r.collect == nil {
		r.collect = func(context.Context, peer.ID, [32]byte, []byte) error { return nil }
	}
	r.broadcast = broadcast.New(r, broadcast.Config{
		Receive: func(_ context.Context, _ peer.ID, payload []byte) broadcast.Verdict {
			if r.hear != nil {
				r.hear(payload)
			}
			return broadcast.Fresh
		},
	})
	r.Handle(r.collect, r.broadcast.Receive, nil)
	n.rogue = r
	return nil
}

func (r *rogue) close() error {
	defer r.broadcast.Close()
	return r.Close()
}

// tell brings reports to the collectors of their key, one after the other.
func (n *Node) tell(reports ...event.Report) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, r := range reports {
		sealed, err := n.sign(r)
		if err != nil {
			return err
		}
		payload, err := event.Encode(sealed)
		if err != nil {
			return err
		}
		hash := r.Key.Hash(n.voice().Name(), n.voice().Salts(time.Now(), 0)[0])
		if _, err := n.rogue.Deliver(ctx, hash, 5, payload); err != nil {
			return err
		}
	}
	return nil
}

// sign makes a report the node's own statement.
func (n *Node) sign(r event.Report) (event.Sealed, error) {
	r.Federation, r.Member = n.voice().Name(), n.voice().Member()
	body, err := event.Encode(r)
	if err != nil {
		return event.Sealed{}, err
	}
	return n.voice().Seal(body)
}

// seen is a report of having seen login attempts of a source just now.
func seen(source string, version uint64, times uint32) event.Report {
	now := time.Now().Unix()
	return event.Report{Key: event.Key{Selector: event.BySource, Value: source}, Version: version,
		Tallies: []event.Tally{{Kind: event.SSHUserInvalid, First: now, Last: now, Proven: times}}}
}

package virtual

import (
	"context"
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

// Slander has a node that does not run the product join the overlay with
// something of its own making, sign that it alone has seen two thousand million
// attempts of a source, bring that to the source's collectors, and leave.
func Slander(source string) Action {
	return func(n *Node) {
		n.net.t.Helper()
		if err := n.slander(source); err != nil {
			n.net.t.Errorf("%s slanders %s: %v", n, source, err)
		}
	}
}

func (n *Node) slander(source string) error {
	member := n.voice()
	first := Everyone(n.net)[0]
	if err := n.plugIn(); err != nil {
		return err
	}
	defer func() { n.unplug(); n.host.Close(); n.host = nil }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o, err := overlay.New(ctx, overlay.Config{Host: n.host, Bootstrap: []peer.AddrInfo{{ID: first.id, Addrs: first.host.Addrs()}}})
	if err != nil {
		return err
	}
	defer o.Close()
	o.Handle(
		func(context.Context, peer.ID, [32]byte, []byte) error { return nil },
		func(context.Context, peer.ID, []byte) error { return nil }, nil)
	time.Sleep(settling)

	now := time.Now()
	key := event.Key{Selector: event.BySource, Value: source}
	body, err := event.Encode(event.Report{Federation: member.Name(), Member: member.Member(), Key: key, Version: 1,
		Tallies: []event.Tally{{Kind: event.SSHUserInvalid, First: now.Unix(), Last: now.Unix(), Proven: math.MaxInt32}}})
	if err != nil {
		return err
	}
	sealed, err := member.Seal(body)
	if err != nil {
		return err
	}
	payload, err := event.Encode(sealed)
	if err != nil {
		return err
	}
	_, err = o.Deliver(ctx, key.Hash(member.Name(), member.Salts(now, 0)[0]), 5, payload)
	return err
}

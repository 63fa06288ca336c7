package overlay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"
	"golang.org/x/sync/errgroup"
)

const (
	// wantedContacts is the table size below which a node keeps trying to join.
	wantedContacts = 4
	firstRetry     = time.Second
	aloneRetry     = 5 * time.Second  // at most, while the table is empty
	smallRetry     = 30 * time.Second // at most, in a network that may simply be small
	seedCheck      = 10 * time.Second // joined: look whether lost seeds and members are back, which heals partitions
	seedPatience   = 5 * time.Minute
	seedTimeout    = 5 * time.Second
	repeatNotice   = 10 * time.Minute
)

// seed is a bootstrap member and what the operator was told about it.
type seed struct {
	info       peer.AddrInfo
	remembered bool   // from an earlier run: it may well be gone
	told       string // the kind of the last complaint; empty when all is well
	toldAt     time.Time
	tried      time.Time
}

// bootstrap joins, and joins again whenever the table runs low. kad-dht tries
// by itself only every two minutes, and cannot repair an empty table.
func (o *Overlay) bootstrap() {
	wait := firstRetry
	for {
		size := o.dht.RoutingTable().Size()
		back := o.greetSeeds(size < wantedContacts)
		met := o.seek()
		o.enlist()
		limit := seedCheck
		switch {
		case size < wantedContacts:
			_ = o.dht.Bootstrap(o.ctx) // never fails: it only wakes two loops
			limit = smallRetry
			if size == 0 {
				limit = aloneRetry
			}
		case back || met > 1:
			o.dht.ForceRefresh() // what lies behind a seed that is back, or a partition, is all new
		}
		wait = min(wait, limit)
		select {
		case <-time.After(wait*3/4 + rand.N(wait/2)): // spread, so that nodes started together do not move in step
		case <-o.lost.back: // and perhaps not alone
		case <-o.ctx.Done():
			return
		}
		wait = min(wait*3/2, limit)
		if size >= wantedContacts {
			wait = seedCheck
		}
	}
}

// enlist asks those who are connected and have no place in the table, though there is
// room, for one look-up, and gives a place to who answers. kad-dht asks each of them
// once, when they meet; who was slow that time would wait for a refresh, for minutes.
// It asks a few at a time, and no more where one is slow again.
func (o *Overlay) enlist() {
	table := o.dht.RoutingTable()
	lacking := slices.DeleteFunc(o.host.Network().Peers(), func(p peer.ID) bool {
		speaks, err := o.host.Peerstore().SupportsProtocols(p, kadProtocol)
		return err != nil || len(speaks) == 0 || o.dead.has(p) || !o.admitted(p) || !table.UsefulNewPeer(p)
	})
	for few := range slices.Chunk(lacking, maxMet) {
		var all errgroup.Group
		for _, p := range few {
			all.Go(func() error {
				_, err := o.kad.GetClosestPeers(o.ctx, p, o.host.ID())
				if err == nil {
					_, _ = table.TryAddPeer(p, true, false) // fails only where others took the room
				}
				return err
			})
		}
		if all.Wait() != nil {
			return
		}
	}
}

// greetSeeds connects to the seeds that are not connected, all at once, and
// reports whether one is back that was lost. A node that has joined leaves the
// others alone for a while: in a large network a seed cannot hold connections
// to everybody.
func (o *Overlay) greetSeeds(joining bool) (back bool) {
	var all sync.WaitGroup
	var returned atomic.Bool
	for _, s := range o.seeds {
		lost := s.told != "" || o.dead.has(s.info.ID)
		if o.host.Network().Connectedness(s.info.ID) == network.Connected && s.told == "" ||
			!joining && (s.remembered || !lost) && time.Since(s.tried) < seedPatience {
			continue
		}
		s.tried = time.Now()
		all.Go(func() {
			complaint := o.greet(s.info)
			o.tell(s, complaint)
			if complaint == "" && lost {
				returned.Store(true)
			}
		})
	}
	all.Wait()
	return returned.Load()
}

// greet returns what is wrong with a seed, or nothing.
func (o *Overlay) greet(info peer.AddrInfo) string {
	if len(usable(info.Addrs, o.private)) == 0 {
		return "has only private addresses, which this node does not dial: give a public one, or allow private addresses in a lab"
	}
	if s, ok := o.host.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(info.ID) // this loop has its own
	}
	ctx, cancel := dialContext(o.ctx, seedTimeout)
	defer cancel()
	err := o.host.Connect(ctx, info)
	var mismatch sec.ErrPeerIDMismatch
	switch {
	case errors.As(err, &mismatch):
		return fmt.Sprintf("is now %s: its identity was made anew, or the address belongs to another node; get its present address from its operator", mismatch.Actual)
	case errors.Is(err, errAdmission):
		return fmt.Sprintf("and this node do not admit each other: %v", rootCause(err))
	case errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}):
		return "answers but speaks another protocol: it belongs to an open overlay and this node to a federation, or the other way round, or it is no Komondor node"
	case err != nil:
		return fmt.Sprintf("does not answer: check that it runs, that address and port are right, and that no firewall is between (%v)", rootCause(err))
	}
	if !o.admitted(info.ID) {
		_ = o.host.Network().ClosePeer(info.ID)
		return "is no member of this federation: get the address of one"
	}
	if known, err := o.host.Peerstore().SupportsProtocols(info.ID, kadProtocol); err != nil || !slices.Contains(known, kadProtocol) {
		o.host.Network().ClosePeer(info.ID)
		return fmt.Sprintf("answers but does not speak %s: it is no Komondor node, or one of another version", kadProtocol)
	}
	return ""
}

// rootCause spares the operator libp2p's many lines when there is one reason.
func rootCause(err error) error {
	var dial *swarm.DialError
	if errors.As(err, &dial) && len(dial.DialErrors) > 0 {
		return dial.DialErrors[0].Cause
	}
	return err
}

// tell says what is new about a seed, and repeats an old complaint rarely.
func (o *Overlay) tell(s *seed, complaint string) {
	if o.ctx.Err() != nil || s.remembered {
		return
	}
	where := fmt.Sprintf("%v/p2p/%s", s.info.Addrs, s.info.ID)
	if addrs, err := peer.AddrInfoToP2pAddrs(&s.info); err == nil && len(addrs) == 1 {
		where = addrs[0].String()
	}
	kind, _, _ := strings.Cut(complaint, ":") // what follows may differ each time
	switch {
	case complaint == "" && s.told != "":
		o.notice(fmt.Sprintf("bootstrap %s: connected", where))
	case complaint != "" && (s.told != kind || time.Since(s.toldAt) > repeatNotice):
		o.notice(fmt.Sprintf("bootstrap %s %s; trying on", where, complaint))
		s.toldAt = time.Now()
	}
	s.told = kind
}

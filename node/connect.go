package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/store"
)

func (n *Node) startBlocking(ctx context.Context) error {
	allowed, err := n.allowList()
	if err != nil {
		return err
	}
	// Private attackers are for labs whose policy says so.
	lab := n.federation != nil && n.privateSources
	if n.never, err = block.NewNever(block.NeverOptions{Allow: allowed, LabPrivate: lab}); err != nil {
		return err
	}
	if lab {
		n.config.Log.Warn("the federation's policy shares evidence about private addresses: they can be blocked here")
	}
	if n.federation != nil {
		if err := n.never.SetFederation(n.federation.Policy().Allow); err != nil {
			n.config.Log.Error("entries of the allow-list of the federation's policy do not hold here; the others do", "error", err)
		}
	}
	inUse := "" // in the kernel
	switch {
	case n.config.Backend != nil:
		n.backend = n.config.Backend
	case n.config.Block == "nft":
		f, err := n.firewall(ctx)
		if err != nil {
			return err
		}
		n.backend, inUse = f, f.Table()
	default:
		n.backend = block.Observer{}
	}
	policy := block.DefaultPolicy()
	if policy.Network, err = block.ParseMode(n.config.Network); err != nil {
		return fmt.Errorf("--network: %w", err)
	}
	policy.MaxBits4, policy.MaxBits6 = cmp.Or(n.config.WidestIPv4, policy.MaxBits4), cmp.Or(n.config.WidestIPv6, policy.MaxBits6)
	if n.blocks, err = block.NewManager(n.backend, n.never, kept{n.store.Blocks}, policy); err != nil {
		return err
	}
	if err := n.blocks.Restore(ctx, time.Now()); err != nil {
		return err
	}
	n.removeOthers(inUse)
	return nil
}

// kept is a table of the store as the blocks want it.
type kept struct{ *store.Table }

func (k kept) Put(records map[string][]byte) error { return k.PutAll(records) }

// ports are those that the overlay listens on, so that blocks spare its traffic.
func ports(listen []string) ([]uint16, error) {
	var all []uint16
	for _, l := range listen {
		addr, err := multiaddr.NewMultiaddr(l)
		if err != nil {
			return nil, fmt.Errorf("listen address %q: %w (for instance /ip4/0.0.0.0/tcp/4001)", l, err)
		}
		for _, protocol := range []int{multiaddr.P_TCP, multiaddr.P_UDP} {
			if text, err := addr.ValueForProtocol(protocol); err == nil {
				var port uint16
				if _, err := fmt.Sscan(text, &port); err == nil && port != 0 {
					all = append(all, port)
				}
			}
		}
	}
	return all, nil
}

func (n *Node) startOverlay(ctx context.Context, me self) error {
	c := overlay.Config{Identity: me.identity, Private: me.federation == nil || !public(slices.Concat(n.config.Listen, n.config.Announce)), Host: n.config.Host,
		Leaf: n.config.Leaf, Notice: func(text string) { n.config.Log.Warn(text) }}
	if me.federation != nil {
		c.Admission = admission{me.federation}
	}
	var err error
	if c.Capacity, err = n.config.capacity(); err != nil {
		return err
	}
	if c.Listen, err = multiaddrs("listen", n.config.Listen); err != nil {
		return err
	}
	if c.Announce, err = multiaddrs("announced", n.config.Announce); err != nil {
		return err
	}
	for _, b := range slices.Concat(n.config.Bootstrap, me.bootstrap) {
		info, err := peer.AddrInfoFromString(b)
		if err != nil {
			return fmt.Errorf("bootstrap address %q: %w (`komondor status` of a member shows its addresses, "+
				"for instance /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…)", b, err)
		}
		c.Bootstrap = append(c.Bootstrap, *info)
	}
	if c.Remembered, err = n.recallPeers(); err != nil {
		return err
	}
	n.overlay, err = overlay.New(ctx, c)
	return err
}

func multiaddrs(what string, texts []string) (addrs []multiaddr.Multiaddr, err error) {
	for _, text := range texts {
		addr, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%s address %q: %w (for instance /ip4/0.0.0.0/tcp/4001)", what, text, err)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// connect makes the three parts and draws the arrows between them.
func (n *Node) connect(ctx context.Context) {
	log, book := n.config.Log, new(correlate.Book)
	n.connectScenarios()
	n.actor = &actor{turn: make(chan struct{}, 1), log: log, rules: n.rules, member: n.member, book: book, blocks: n.blocks,
		again: n.again, kept: keptAlert(n.store.Alerts), lift: n.config.lift(), voices: allowance{limit: opinionsPerSecond, burst: opinionsAtOnce},
		open: n.federation == nil, counters: &n.counters, refusals: rarely(), warnings: allowance{limit: warningsPerSecond, burst: warningsAtOnce}, hear: n.heard.note, doubt: func(time.Time) string { return "" },
		heard: n.scenarios.heard, concluded: n.scenarios.concluded, assessed: n.assessed,
		fetch: func(context.Context, peer.ID) error { return errors.New("an open overlay has no certificates") }}
	n.broadcast = broadcast.New(caster{n.overlay}, broadcast.Config{Receive: n.receive, About: n.actor.about, Keep: n.rules.Longest()})
	if n.federation != nil {
		n.connectRegistrar()
	}
	n.judge = &judge{log: log, clocks: rarely(), rules: n.rules, member: n.member, book: book, rank: n.overlay.Rank, counters: &n.counters,
		near:      func(hash [32]byte) bool { return n.repair.near(hash) },
		collector: correlate.NewCollector(n.rules, evidenceKept), waiting: make(map[string]bool),
		accuse: n.accuse, heard: n.heard.has, repeat: n.repeat, freed: n.actor.freed,
		raise: func(ctx context.Context, alert []byte) {
			if n.actor.receive(ctx, n.overlay.ID(), alert) == broadcast.Fresh {
				n.publish(ctx, alertPayload, alert)
			}
		}}
	n.outbox = &outbox{log: log, counters: &n.counters, members: n.overlay, member: n.member, overlap: n.rules.Longest(),
		letters: make(map[event.Key]*letter), queue: make(chan event.Key, lettersKept), moved: make(chan struct{}, 1),
		write: n.write}
	n.repair = (&repair{log: log, net: n.overlay, member: n.member, held: n.judge, overlap: n.rules.Longest(),
		replicas: n.outbox.replicas, handed: &n.counters.handed}).init()
	organisation := n.member.Organisation(n.member.Member())
	secret := n.sketchSecret()
	n.observer = newObserver(observer{log: log, rules: n.rules, member: n.member, archive: n.store, counters: &n.counters, started: n.started,
		home: func(key event.Key, tallies []event.Tally) {
			said := []correlate.Testimony{{Organisation: organisation, Member: n.member.Member(), Tallies: tallies}}
			for _, v := range n.rules.Judge(correlate.Home, key, said) {
				n.actor.home(ctx, correlate.Finding{Verdict: v, Evidence: said})
			}
		},
		steps: n.scenarios.seen, recallSteps: n.scenarios.remember,
		send:  n.outbox.put,
		own:   n.config.Home,
		share: sharing(n.rules, n.privateSources), waited: n.load.waitedFor,
		hash: func(value string) uint32 { return event.Hash32(n.member.Name(), secret, value) }})
	n.relearn(learnedRates, n.observer.rates.Restore)
	n.overlay.Handle(
		func(_ context.Context, from peer.ID, hash [32]byte, payload []byte) error {
			if n.load.sheds() {
				n.counters.shed.Add(1)
				return overlay.ErrBusy
			}
			began := time.Now()
			defer func() { n.load.judgedFor(time.Since(began)) }()
			return n.judge.receive(ctx, from.String(), hash, payload)
		},
		n.broadcast.Receive,
		n.answer)
	for _, s := range n.config.Sources {
		source := newSource(s, log, n.observer.take)
		source.halfOpen = n.halfOpen
		n.sources = append(n.sources, source)
	}
}

// rarely is how often a kind of lie is logged: the counters have them all.
func rarely() rate.Sometimes { return rate.Sometimes{First: 3, Interval: time.Minute} }

// connectRegistrar is connect for what a federation adds.
func (n *Node) connectRegistrar() {
	n.registrar = &registrar{log: n.config.Log, member: n.federation, net: n.overlay,
		refusals: rarely(), fetching: make(chan struct{}, maxFetching), read: make(map[peer.ID]mark), epoch: rand.Uint64(),
		spread: func(ctx context.Context, document []byte) { n.publish(ctx, documentPayload, document) },
		expelled: func() {
			n.overlay.Expel()
			n.judge.expel(func(member string) bool { return !n.federation.Admitted(time.Now(), member) })
			notify(n.expulsions)
		},
		expired: func() { n.overlay.Expel() },
		renewed: func() { notify(n.policies) },
	}
	n.actor.quorum, n.actor.fetch, n.actor.doubt = n.config.Quorum, n.registrar.fetch, n.registrar.doubt
}

// serve answers people and scripts.
func (n *Node) serve(ctx context.Context, running *errgroup.Group) error {
	if n.config.Control != "" {
		l, err := control.Listen(n.config.Control)
		if err != nil {
			return err
		}
		running.Go(func() error { return control.Serve(ctx, l, control.Local(n)) })
	}
	if n.config.HTTP != "" {
		l, err := net.Listen("tcp", n.config.HTTP)
		if err != nil {
			return fmt.Errorf("listen on --http %s: %w", n.config.HTTP, err)
		}
		running.Go(func() error { return control.Serve(ctx, l, control.Public(n)) })
	}
	return nil
}

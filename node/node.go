// Package node is where the packages meet. A node plays three parts, and each
// is one file: observe.go turns what the sources see into evidence under keys,
// judge.go gathers the evidence of all members under the keys near to this node
// and raises alerts, act.go verifies alerts and blocks. Between them a different
// type goes over each arrow, and nothing flows back: a block ends by its time to
// live, not by a call upwards.
package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/control"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/store"
)

// Rules returns the rules that are loaded, with the quorum that the
// configuration asks for (0: each rule's own).
func Rules(quorum int) (correlate.Rules, error) {
	rules, err := correlate.NewRules(correlate.Builtin(), event.Kind.Severity)
	if quorum < 0 {
		return rules, fmt.Errorf("quorum %d: want 1 or more, or 0 for each rule's own", quorum)
	}
	if quorum > 0 {
		rules = rules.WithQuorum(quorum)
	}
	return rules, err
}

// Node is one running participant.
type Node struct {
	config    Config
	started   time.Time
	counters  counters
	rules     correlate.Rules
	member    membership
	store     *store.Store
	never     *block.Never
	backend   block.Backend
	blocks    *block.Manager
	overlay   *overlay.Overlay
	broadcast *broadcast.Broadcast
	sources   []*source
	observer  *observer
	judge     *judge
	actor     *actor
	outbox    *outbox

	allowing sync.Mutex // one change of the allow-list at a time
}

// Run runs a participant until ctx ends, and returns when all of it has ended.
// Ready, if not nil, is called once the node listens and answers on its control
// socket.
func Run(ctx context.Context, c Config, ready func(*Node)) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	for _, s := range c.Sources {
		if err := s.check(); err != nil {
			return err
		}
	}
	n := &Node{config: c, started: time.Now()}
	if n.rules, err = Rules(c.Quorum); err != nil {
		return err
	}
	if n.store, err = store.Open(filepath.Join(c.Data, "komondor.db")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.store.Close()) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		if n.backend != nil {
			err = errors.Join(err, n.backend.Close())
		}
	}()
	if err := n.startBlocking(ctx); err != nil {
		return err
	}
	n.judge = new(judge)
	defer func() { n.judge.replicas.Wait() }() // after the overlay, which lets reports in
	if err := n.startOverlay(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.overlay.Close()) }()
	n.connect(ctx)
	defer n.broadcast.Close()
	defer cancel()
	if err := n.recall(); err != nil {
		return err
	}

	running, ctx := errgroup.WithContext(ctx)
	if err := n.start(ctx, running); err != nil {
		cancel()
		return errors.Join(err, running.Wait())
	}
	if ready != nil {
		ready(n)
	}
	return running.Wait()
}

// recall brings back what an earlier run concluded.
func (n *Node) recall() error {
	known, err := n.Alerts()
	if err != nil {
		return err
	}
	for _, a := range known {
		n.actor.recall(a)
	}
	return nil
}

// start starts all that runs until ctx ends.
func (n *Node) start(ctx context.Context, running *errgroup.Group) error {
	if err := n.serve(ctx, running); err != nil {
		return err
	}
	running.Go(func() error { return n.observer.run(ctx) })
	running.Go(func() error { return n.outbox.run(ctx) })
	running.Go(func() error { return n.keep(ctx) })
	running.Go(func() error { return n.meet(ctx) })
	for _, s := range n.sources {
		kept, _, err := n.store.Position(s.Path)
		if err != nil {
			return err
		}
		running.Go(func() error { return s.run(ctx, kept) })
	}
	return nil
}

func (n *Node) startBlocking(ctx context.Context) error {
	allowed, err := n.allowList()
	if err != nil {
		return err
	}
	if n.never, err = block.NewNever(block.NeverOptions{Allow: allowed}); err != nil {
		return err
	}
	backend := n.config.Backend
	switch {
	case backend != nil:
	case n.config.Block == "nft":
		ports, err := ports(n.config.Listen)
		if err != nil {
			return err
		}
		if backend, err = block.NewFirewall(block.Options{Table: n.config.Table, OverlayPorts: ports}); err != nil {
			return err
		}
	default:
		backend = block.Observer{}
	}
	n.backend = backend
	if n.blocks, err = block.NewManager(backend, n.never, kept{n.store.Blocks}, block.DefaultPolicy()); err != nil {
		return err
	}
	return n.blocks.Restore(ctx, n.started)
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

func (n *Node) startOverlay(ctx context.Context) error {
	key, err := overlay.LoadIdentity(filepath.Join(n.config.Data, "identity"))
	if err != nil {
		return err
	}
	member, err := federation.NewOpen(key)
	if err != nil {
		return err
	}
	n.member = member
	c := overlay.Config{Identity: key, Private: n.config.Open, Host: n.config.Host,
		Notice: func(text string) { n.config.Log.Warn(text) }}
	for _, l := range n.config.Listen {
		addr, err := multiaddr.NewMultiaddr(l)
		if err != nil {
			return fmt.Errorf("listen address %q: %w (for instance /ip4/0.0.0.0/tcp/4001)", l, err)
		}
		c.Listen = append(c.Listen, addr)
	}
	for _, b := range n.config.Bootstrap {
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

// connect makes the three parts and draws the arrows between them.
func (n *Node) connect(ctx context.Context) {
	log, book := n.config.Log, new(correlate.Book)
	n.actor = &actor{log: log, rules: n.rules, member: n.member, book: book, blocks: n.blocks,
		open: n.config.Open, counters: &n.counters}
	n.broadcast = broadcast.New(n.overlay, broadcast.Config{
		Receive: func(ctx context.Context, _ peer.ID, payload []byte) broadcast.Verdict {
			return n.actor.receive(ctx, payload)
		},
	})
	n.judge = &judge{log: log, rules: n.rules, member: n.member, book: book, rank: n.overlay.Rank, counters: &n.counters,
		collector: correlate.NewCollector(n.rules, reportsKept), waiting: make(map[string]bool),
		raise: func(ctx context.Context, alert []byte) {
			if n.actor.receive(ctx, alert) != broadcast.Fresh {
				return
			}
			if err := n.broadcast.Publish(ctx, alert); err != nil {
				log.Error("alert not spread", "error", err)
			}
		}}
	n.outbox = &outbox{log: log, members: n.overlay, member: n.member, overlap: n.rules.Longest(),
		letters: make(map[event.Key]*letter), queue: make(chan event.Key, lettersKept),
		write: func(ctx context.Context, key event.Key) ([]byte, bool) { return n.observer.report(ctx, key) }}
	n.observer = newObserver(observer{log: log, rules: n.rules, member: n.member, archive: n.store, counters: &n.counters, started: n.started,
		home: func(key event.Key, tallies []event.Tally) {
			for _, v := range n.rules.Judge(correlate.Home, key, []correlate.Testimony{{Member: n.member.Member(), Tallies: tallies}}) {
				n.actor.home(ctx, v)
			}
		},
		send:  n.outbox.put,
		share: sharing(n.config.Open)})
	n.overlay.Handle(
		func(_ context.Context, from peer.ID, hash [32]byte, payload []byte) error {
			return n.judge.receive(ctx, from == n.overlay.ID(), hash, payload)
		},
		n.broadcast.Receive)
	for _, s := range n.config.Sources {
		n.sources = append(n.sources, newSource(s, log, func(ctx context.Context, seen sighting) error {
			select {
			case n.observer.sightings <- seen:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
	}
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

// meet follows members as they come and go: reports go to who is nearest now.
func (n *Node) meet(ctx context.Context) error {
	for {
		select {
		case <-n.overlay.Changed():
			n.rememberPeers()
			n.outbox.rerouted(ctx)
		case <-time.After(time.Until(nextSalt(time.Now()))):
			n.outbox.rerouted(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// nextSalt is shortly after the next change of the day's salt, when every key has
// moved.
func nextSalt(now time.Time) time.Time {
	return now.UTC().Truncate(24 * time.Hour).Add(24*time.Hour + time.Second)
}

// keep does what is due from time to time.
func (n *Node) keep(ctx context.Context) error {
	n.reconcile(ctx, n.started)
	commit := time.NewTicker(commitEvery)
	defer commit.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	failing := false
	for {
		select {
		case <-commit.C:
			err := n.actor.keep(n.store.Alerts)
			if err != nil && !failing {
				n.config.Log.Error("alerts are not kept; they are shown and acted on all the same", "error", err)
			}
			failing = err != nil
		case now := <-sweep.C:
			n.judge.sweep(now)
			n.actor.again(ctx)
			n.reconcile(ctx, now)
			if _, err := n.store.Prune(now.Add(-archiveLife)); err != nil {
				n.counters.storeFailures.Add(1)
			}
		case <-ctx.Done():
			return n.actor.keep(n.store.Alerts)
		}
	}
}

// reconcile brings the blocks in line with the kernel and with what this host
// is now: its addresses, its administrators, the names of the allow-list.
func (n *Node) reconcile(ctx context.Context, now time.Time) {
	restored, err := n.blocks.Reconcile(ctx, now)
	if err != nil && ctx.Err() == nil {
		n.config.Log.Error("blocks not reconciled with this host", "error", err)
	}
	if restored > 0 {
		n.config.Log.Warn("blocks were missing in the kernel and are back; `komondor block flush` ends them for good", "blocks", restored)
	}
}

// Flush ends all blocks without a running node: those in the kernel's table and
// those that the store keeps for a restart. It returns how many were kept.
func Flush(path, table string) (ended int, err error) {
	enforced := true
	if _, err := os.Stat(path); err == nil {
		s, err := store.Open(path)
		if err != nil {
			return 0, err
		}
		ended, enforced, err = block.EndKept(kept{s.Blocks}, time.Now())
		if err = errors.Join(err, s.Close()); err != nil {
			return ended, err
		}
	}
	err = block.FlushKernel(table)
	if errors.Is(err, fs.ErrPermission) && !enforced {
		err = nil // there is nothing of ours in the kernel
	}
	return ended, err
}

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
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/broadcast"
	"github.com/komondor/komondor/correlate"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
	"github.com/komondor/komondor/overlay"
	"github.com/komondor/komondor/probe/packet/detect"
	"github.com/komondor/komondor/store"
)

// Rules returns the rules that are loaded, the built-in ones and one's own, with the quorum
// that the configuration asks for (0: each rule's own).
func Rules(quorum int, own ...correlate.Rule) (correlate.Rules, error) {
	rules, err := correlate.NewRules(append(builtin(), own...), event.Kind.Severity)
	if err == nil {
		rules, err = rules.With(correlate.BuiltinRelations()...)
	}
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
	scenarios *scenarios
	judge     *judge
	actor     *actor
	outbox    *outbox
	repair    *repair
	heard     heard
	load      load
	responder *responder
	undoing   *undoing
	halfOpen  *detect.HalfOpen // what leaves this host by the interfaces that are watched; nil for none

	accusations rate.Sometimes // logged

	federation     *federation.Member // nil in an open overlay
	registrar      *registrar         // likewise
	privateSources bool               // whether evidence about private addresses may leave this host
	policies       chan struct{}      // holds one when there is a new policy
	expulsions     chan struct{}      // holds one when somebody has been put out

	allowing sync.Mutex // one change of the allow-list at a time
}

// Run runs a participant until ctx ends, and returns when all of it has ended.
// Ready, if not nil, is called once the node listens and answers on its control
// socket, and again each time that the node has begun anew because the
// federation has a new policy.
func Run(ctx context.Context, c Config, ready func(*Node)) error {
	if err := c.Check(); err != nil {
		return err
	}
	for _, s := range c.Sources {
		if err := s.check(); err != nil {
			return err
		}
	}
	for {
		err := run(ctx, c, ready)
		if !errors.Is(err, errNewPolicy) || ctx.Err() != nil {
			return err
		}
		c.Log.Info("the federation has a new policy: beginning anew under it")
	}
}

func run(ctx context.Context, c Config, ready func(*Node)) (err error) {
	n := &Node{config: c, started: time.Now(), accusations: rarely(), load: load{cores: runtime.GOMAXPROCS(0)}, policies: make(chan struct{}, 1), expulsions: make(chan struct{}, 1)}
	if n.store, err = store.Open(filepath.Join(c.Data, "komondor.db")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.store.Close()) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	me, err := n.identify(ctx)
	if err != nil {
		return err
	}
	n.member, n.federation, n.privateSources = me.member, me.federation, me.federation == nil
	if err := n.setRules(); err != nil {
		return err
	}
	defer func() {
		if n.backend != nil {
			err = errors.Join(err, n.backend.Close())
		}
	}()
	if err := n.startBlocking(ctx); err != nil {
		return err
	}
	if err := n.startResponding(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.blocks.Keep(), n.responder.Keep()) }() // when nobody proposes any more
	n.judge = new(judge)
	defer func() { n.judge.replicas.Wait() }() // after the overlay, which lets reports in
	if err := n.startOverlay(ctx, me); err != nil {
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
	now := time.Now()
	n.undoing.recall(now, n.config.Respond[unitReset], n.responder.List(now))
	if err := n.recallOpinions(); err != nil {
		return err
	}
	known, err := n.Alerts()
	if err != nil {
		return err
	}
	for _, a := range known {
		n.actor.recall(a)
		n.recallSpread(a)
	}
	return nil
}

// start starts all that runs until ctx ends.
func (n *Node) start(ctx context.Context, running *errgroup.Group) error {
	if err := n.serve(ctx, running); err != nil {
		return err
	}
	running.Go(func() error { return n.observer.run(ctx) })
	running.Go(func() error { return n.scenarios.run(ctx) })
	running.Go(func() error { return n.undoing.run(ctx) })
	running.Go(func() error { return n.outbox.run(ctx) })
	running.Go(func() error { return n.outbox.follow(ctx) })
	running.Go(func() error { return n.repair.run(ctx) })
	running.Go(func() error { return n.keep(ctx) })
	running.Go(func() error { return n.meet(ctx) })
	running.Go(func() error { n.broadcast.Repair(ctx); return nil })
	running.Go(func() error { return n.weigh(ctx) })
	for range respondWorkers {
		running.Go(func() error { return n.responder.run(ctx) })
	}
	running.Go(func() error { return n.listen(ctx) })
	if n.config.Backend == nil { // which is not of this host
		running.Go(func() error { return n.watch(ctx) })
	}
	if n.registrar != nil {
		running.Go(func() error { return n.registrar.run(ctx) })
		running.Go(func() error { return n.renew(ctx) })
		running.Go(func() error { return n.review(ctx) })
	}
	for _, s := range n.sources {
		kept, _, err := n.store.Position(s.Path)
		if err != nil {
			return err
		}
		running.Go(func() error { return s.run(ctx, kept) })
	}
	return nil
}

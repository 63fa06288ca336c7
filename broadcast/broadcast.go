// Package broadcast brings a payload to every node once, over the Kademlia tree
// (Czirkos, Bognár, Hosszú: pseudo reliable broadcast, reference 21 of paper
// 002). A node hands a payload to a few contacts in each bucket from its depth
// on, and who acknowledges answers for the subtree of that bucket (package tree).
// Contacts that fail are replaced by others of the bucket. What is lost all the
// same, to peers that acknowledge and then do nothing, or while a node was away, is
// repaired: each node asks its neighbours now and then what has come to them.
package broadcast

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/broadcast/tree"
)

const (
	// maxForwards is how many payloads may be on their way from this node at
	// once. More are not acknowledged, and their senders turn to others.
	maxForwards = 256
	// verifyPatience is how long a copy waits for the verdict on the first one.
	verifyPatience = 3 * time.Second
	// sendTimeout is a last resort: the network has its own, shorter one.
	sendTimeout = 10 * time.Second
)

// Network is what the broadcast needs to know of the overlay.
type Network interface {
	// Buckets returns the contacts by the length of the prefix they share with
	// this node, in slices of the caller's own.
	Buckets() [][]peer.ID
	// Attached returns the leaves that hang on this node, which are in no bucket and
	// forward to nobody. Each of them gets every payload from here once.
	Attached() []peer.ID
	// Send brings one frame to a contact and returns when it has acknowledged.
	Send(ctx context.Context, to peer.ID, frame []byte) error
	// Ask puts a question to a contact, whose Answer is the answer.
	Ask(ctx context.Context, to peer.ID, question []byte) (answer []byte, err error)
}

// Verdict is what the application makes of a payload.
type Verdict int

const (
	Invalid Verdict = iota // refuse it, and forget that it came
	Known                  // it is right and says nothing new: acknowledge, do not forward
	Fresh                  // it is right and new: forward it
)

// Config says who judges payloads.
type Config struct {
	// Replicas is to how many contacts of each bucket a payload goes; tree.Replicas
	// if 0.
	Replicas int
	// About says what a valid payload is about, and whether it is to be kept for
	// those who have missed it. Nil keeps nothing.
	About func(payload []byte) (About, bool)
	// Keep is for how long a payload matters; an hour if 0.
	Keep time.Duration
	// Receive verifies a payload, and takes it if it is new. It is called once
	// a payload, however many copies come, concurrently for different ones,
	// and never for what this node has published. The payload is not changed
	// afterwards and may be kept.
	Receive func(ctx context.Context, from peer.ID, payload []byte) Verdict
}

// About orders the payloads on one topic: one of a higher rank takes the place of those
// below it, among what is kept and among what is on its way.
type About struct {
	Topic string
	Rank  int64
	// Until is the time from which on a payload would be refused as too old: it is not
	// offered any more. Zero: when Keep is over.
	Until time.Time
}

var (
	errInvalid = errors.New("the payload is not valid")
	errBusy    = errors.New("too many payloads on their way: try another contact")
	errClosed  = errors.New("the broadcast is closed")
)

// Broadcast is one node's part.
type Broadcast struct {
	net      Network
	replicas int
	judge    func(context.Context, peer.ID, []byte) Verdict
	about    func([]byte) (About, bool)
	count    counters

	mu    sync.Mutex // guards seen, shelf and closed; never held during a call out
	seen  seen
	shelf shelf
	marks map[peer.ID]mark // of the goroutine of Repair only
	hurry chan struct{}
	epoch uint64 // of the numbers on the shelf

	forwards chan struct{} // one for each payload on its way
	ctx      context.Context
	cancel   context.CancelFunc
	closed   bool
	wg       sync.WaitGroup
}

// New makes a node's broadcast. Give Receive to the network as the receiver of
// frames.
func New(net Network, c Config) *Broadcast {
	b := &Broadcast{net: net, replicas: c.Replicas, judge: c.Receive, about: c.About, forwards: make(chan struct{}, maxForwards),
		marks: map[peer.ID]mark{}, hurry: make(chan struct{}, 1), epoch: rand.Uint64()}
	if b.replicas < 1 {
		b.replicas = tree.Replicas
	}
	if b.about == nil {
		b.about = func([]byte) (About, bool) { return About{}, false }
	}
	b.seen.byID = map[id]*entry{}
	b.shelf = newShelf(c.Keep)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Close ends what is on its way and waits for it.
func (b *Broadcast) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.wg.Wait()
}

// Publish sends a payload to all. It returns when the payload is on its way,
// which it waits for while too many others are; it does not wait for coverage.
func (b *Broadcast) Publish(ctx context.Context, payload []byte) error {
	select {
	case b.forwards <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("publish: %w", ctx.Err())
	case <-b.ctx.Done():
		return errClosed
	}
	b.count.published.Add(1)
	e := b.accept(payload)
	return b.expand(e, frame{payload: payload})
}

// Recall brings back a payload that was accepted in an earlier run: it is not judged
// again, and those who have missed it can have it.
func (b *Broadcast) Recall(payload []byte) { b.accept(payload) }

// accept notes a payload that needs no verification.
func (b *Broadcast) accept(payload []byte) *entry {
	about, keep := b.about(payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	e := b.seen.get(idOf(payload))
	if e == nil || !e.verified() { // a copy under verification is judged by itself
		e = b.seen.add(idOf(payload), now)
		e.settle(Fresh)
	}
	if keep {
		e.about = about
		b.shelf.put(e.id, about, payload, now)
	}
	return e
}

// Receive takes one frame from a peer. Returning nil acknowledges it: the
// payload is verified and this node answers for its subtree. A payload counts
// as seen only once it is verified, so that nobody can suppress one with a
// forgery. The data may be kept.
func (b *Broadcast) Receive(ctx context.Context, from peer.ID, data []byte) error {
	b.count.received.Add(1)
	f, err := decode(data)
	if err != nil {
		b.count.invalid.Add(1)
		return err
	}
	e, first := b.look(idOf(f.payload))
	if first {
		b.verify(ctx, from, f, e)
	} else {
		// Who sent the first copy may have it take long to verify.
		patience := time.NewTimer(verifyPatience)
		defer patience.Stop()
		select {
		case <-e.done:
		case <-patience.C:
			return errBusy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch {
	case e.verdict == Invalid:
		return errInvalid
	case !first:
		b.count.duplicates.Add(1)
	}
	if e.verdict == Known {
		return nil
	}
	select {
	case b.forwards <- struct{}{}:
		return b.expand(e, f)
	default:
		b.count.busy.Add(1)
		return errBusy
	}
}

// look finds a payload among the seen, or begins to.
func (b *Broadcast) look(x id) (e *entry, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.seen.get(x); e != nil {
		return e, false
	}
	return b.seen.begin(x), true
}

// verify judges a payload while copies of it wait for the verdict.
func (b *Broadcast) verify(ctx context.Context, from peer.ID, f frame, e *entry) {
	verdict := Invalid // also if the judge panics: nobody may wait forever
	var about About
	keep := false
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		now := time.Now()
		if keep {
			e.about = about
			b.shelf.put(e.id, about, f.payload, now)
		}
		b.seen.finish(e, verdict, now)
	}()
	verdict = b.judge(ctx, from, f.payload)
	if verdict == Fresh {
		about, keep = b.about(f.payload)
	}
	switch verdict {
	case Invalid:
		b.count.invalid.Add(1)
	case Known:
		b.count.known.Add(1)
	case Fresh:
		b.count.new.Add(1)
		b.count.hop(f.hop)
	}
}

// expand forwards a payload to the buckets from the frame's depth on that it has
// not been forwarded to. It holds a place in forwards and gives it back.
func (b *Broadcast) expand(e *entry, f frame) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		<-b.forwards
		return errClosed
	}
	from, to, _ := e.share.Claim(f.depth)
	leaves := !e.leaves
	e.leaves = true
	if from >= to && !leaves {
		<-b.forwards
		return nil // a duplicate that asks for nothing more
	}
	b.wg.Go(func() {
		defer func() { <-b.forwards }()
		b.forward(e, f, from, to, leaves)
	})
	return nil
}

func (b *Broadcast) forward(e *entry, f frame, from, to int, leaves bool) {
	var all sync.WaitGroup
	if leaves {
		out := f.next(tree.Depth).encode()
		for _, p := range b.net.Attached() {
			all.Go(func() { b.delegate(e, &order{contacts: []peer.ID{p}}, out) })
		}
	}
	for bucket, contacts := range b.net.Buckets() {
		if bucket < from || bucket >= to {
			continue
		}
		out := f.next(bucket).encode()
		delegates := tree.Delegates(nil, contacts, b.replicas)
		left := &order{contacts: contacts}
		for range delegates {
			all.Go(func() { b.delegate(e, left, out) })
		}
	}
	all.Wait()
}

// order hands the contacts of a bucket out, each once.
type order struct {
	mu       sync.Mutex
	contacts []peer.ID
}

func (o *order) next() (p peer.ID, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.contacts) == 0 {
		return "", false
	}
	p, o.contacts = o.contacts[0], o.contacts[1:]
	return p, true
}

// delegate hands the frame to the first contact that takes it. It stops where a
// better payload on the topic has come meanwhile: that is on its way by itself.
func (b *Broadcast) delegate(e *entry, left *order, out []byte) {
	for p, ok := left.next(); ok; p, ok = left.next() {
		if b.superseded(e) {
			b.count.superseded.Add(1)
			return
		}
		ctx, cancel := context.WithTimeout(b.ctx, sendTimeout)
		b.count.sent.Add(1)
		err := b.net.Send(ctx, p, out)
		cancel()
		if err == nil {
			b.count.acked.Add(1)
			return
		}
		b.count.failed.Add(1)
		if b.ctx.Err() != nil {
			return
		}
	}
}

func (b *Broadcast) superseded(e *entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shelf.holdsBetter(e.about)
}

package node

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

const (
	deliveries   = 32 // reports under way at once
	retryFirst   = 500 * time.Millisecond
	retryLast    = 30 * time.Second
	deliverLimit = 10 * time.Second
)

// outbox brings the latest report on each key to the key's collectors, and
// again when others have become the closest. A newer report replaces one that
// waits, so it never holds more than one a key. It needs no copy on disk: what
// was not acknowledged before a crash is rebuilt from the archive and told anew.
type outbox struct {
	log     *slog.Logger
	members deliverer
	member  membership
	overlap time.Duration // how long evidence matters, and so the salt of its day

	mu    sync.Mutex
	keys  map[event.Key]*letter
	queue chan event.Key
}

// deliverer brings bytes to the members closest to a key.
type deliverer interface {
	Collectors(ctx context.Context, key [32]byte, r int) ([]peer.ID, error)
	Deliver(ctx context.Context, key [32]byte, r int, payload []byte) (acks int, err error)
	Peers() (connected, table int)
}

type letter struct {
	payload   []byte
	written   time.Time
	changed   bool // since the delivery under way began
	queued    bool
	retry     time.Duration
	delivered []peer.ID
}

func newOutbox(log *slog.Logger, members deliverer, member membership, overlap time.Duration) *outbox {
	return &outbox{log: log, members: members, member: member, overlap: overlap,
		keys: make(map[event.Key]*letter), queue: make(chan event.Key, 2*keysKept)}
}

// replicas is how many collectors a key has: three in small overlays, five in
// those of twenty members and more.
func (o *outbox) replicas() int {
	if _, others := o.members.Peers(); others+1 < 20 {
		return 3
	}
	return 5
}

// put takes the latest report on a key.
func (o *outbox) put(key event.Key, payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.keys[key]
	if l == nil {
		l = new(letter)
		o.keys[key] = l
	}
	l.payload, l.written, l.changed, l.retry = payload, time.Now(), true, 0
	o.enqueue(key, l)
}

// enqueue is called with the lock held. The queue has room for every key.
func (o *outbox) enqueue(key event.Key, l *letter) {
	if l.queued {
		return
	}
	select {
	case o.queue <- key:
		l.queued = true
	default: // more keys than the ledger tracks: the next change of this one tries again
	}
}

// run delivers until ctx ends, and returns when no delivery is under way.
func (o *outbox) run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range deliveries {
		workers.Go(func() {
			for {
				select {
				case key := <-o.queue:
					o.deliver(ctx, key)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	workers.Wait()
	return nil
}

func (o *outbox) deliver(ctx context.Context, key event.Key) {
	o.mu.Lock()
	l := o.keys[key]
	if l == nil {
		o.mu.Unlock()
		return
	}
	payload := l.payload
	l.changed = false
	o.mu.Unlock()

	r := o.replicas()
	bounded, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	var failed error
	var reached []peer.ID
	for _, salt := range o.member.Salts(time.Now(), o.overlap) {
		hash := key.Hash(o.member.Name(), salt)
		if _, err := o.members.Deliver(bounded, hash, r, payload); err != nil {
			failed = err
			continue
		}
		if collectors, err := o.members.Collectors(bounded, hash, r); err == nil {
			reached = append(reached, collectors...)
		}
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	l.queued = false
	if failed == nil {
		l.delivered = reached
		l.retry = 0
		if l.changed {
			o.enqueue(key, l)
		}
		return
	}
	if ctx.Err() != nil || errors.Is(failed, overlay.ErrRefused) {
		return // nobody to try again for, or somebody whom it would not convince
	}
	if l.retry == 0 {
		o.log.Warn("report not delivered to all its collectors, trying on", "key", key.String(), "error", failed)
	}
	l.retry = min(max(2*l.retry, retryFirst), retryLast)
	time.AfterFunc(l.retry, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.enqueue(key, l)
	})
}

// rerouted delivers the reports again whose collectors have changed. Called when
// members join or leave.
func (o *outbox) rerouted(ctx context.Context) {
	r := o.replicas()
	for _, key := range o.live() {
		for _, salt := range o.member.Salts(time.Now(), o.overlap) {
			collectors, err := o.members.Collectors(ctx, key.Hash(o.member.Name(), salt), r)
			if err != nil {
				break
			}
			o.mu.Lock()
			l := o.keys[key]
			if l != nil && slices.ContainsFunc(collectors, func(p peer.ID) bool { return !slices.Contains(l.delivered, p) }) {
				o.enqueue(key, l)
			}
			o.mu.Unlock()
		}
	}
}

func (o *outbox) live() []event.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	keys := make([]event.Key, 0, len(o.keys))
	for key, l := range o.keys {
		if time.Since(l.written) > o.overlap && !l.queued {
			delete(o.keys, key) // no rule reaches its evidence any more
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

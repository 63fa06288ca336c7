package node

import (
	"container/list"
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
// again when others have become the closest. It holds keys, and has the report
// written when its turn comes: under load the evidence of a key gathers while it
// waits, and fewer reports say the same. It needs no copy on disk: what was not
// acknowledged before a crash is rebuilt from the archive and told anew.
type outbox struct {
	log     *slog.Logger
	members deliverer
	member  membership
	overlap time.Duration // how long evidence matters, and so the salt of its day
	// write makes the report on a key as it is now; false where there is none.
	write func(context.Context, event.Key) ([]byte, bool)

	mu      sync.Mutex
	letters map[event.Key]*letter // at most lettersKept
	idle    list.List             // of event.Key, those delivered longest ago in front
	queue   chan event.Key
}

// deliverer brings bytes to the members closest to a key.
type deliverer interface {
	Collectors(ctx context.Context, key [32]byte, r int) ([]peer.ID, error)
	Deliver(ctx context.Context, key [32]byte, r int, payload []byte) (acks int, err error)
	Peers() (connected, table int)
}

// letter is what the outbox knows about the reports on one key.
type letter struct {
	due       bool // in the queue, or changed since the delivery under way began
	underWay  bool
	idle      *list.Element // set when neither
	retry     time.Duration
	delivered []peer.ID
}

// replicas is how many collectors a key has: three in small overlays, five in
// those of twenty members and more.
func (o *outbox) replicas() int {
	if _, others := o.members.Peers(); others+1 < 20 {
		return 3
	}
	return 5
}

// put asks for the report on a key to be delivered. It returns false when too
// many wait already.
func (o *outbox) put(key event.Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.letters[key]
	if l == nil {
		if len(o.letters) >= lettersKept {
			oldest := o.idle.Front()
			if oldest == nil {
				return false
			}
			// It will not be told to new collectors until it changes.
			delete(o.letters, o.idle.Remove(oldest).(event.Key))
		}
		l = new(letter)
		o.letters[key] = l
	}
	o.enqueue(key, l)
	return true
}

// enqueue is called with the lock held. Every letter is in the queue at most
// once, so there is room.
func (o *outbox) enqueue(key event.Key, l *letter) {
	if l.idle != nil {
		o.idle.Remove(l.idle)
		l.idle = nil
	}
	if !l.due && !l.underWay {
		o.queue <- key
	}
	l.due = true
}

// run delivers until ctx ends, and returns when no delivery is under way.
func (o *outbox) run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range deliveries {
		workers.Go(func() {
			for {
				select {
				case key := <-o.queue:
					o.next(ctx, key)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	workers.Wait()
	return nil
}

func (o *outbox) next(ctx context.Context, key event.Key) {
	o.mu.Lock()
	l := o.letters[key]
	l.due, l.underWay = false, true
	o.mu.Unlock()

	payload, ok := o.write(ctx, key)
	var reached []peer.ID
	var failed error
	if ok {
		reached, failed = o.deliver(ctx, key, payload)
	}

	o.mu.Lock()
	defer o.mu.Unlock()
	l.underWay = false
	switch {
	case !ok && !l.due:
		delete(o.letters, key)
		return
	case failed == nil:
		l.delivered, l.retry = reached, 0
	case ctx.Err() != nil:
		return
	default:
		if l.retry == 0 {
			o.log.Warn("report not delivered to all its collectors, trying on", "key", key.String(), "error", failed)
		}
		l.retry = min(max(2*l.retry, retryFirst), retryLast)
		if errors.Is(failed, overlay.ErrRefused) {
			l.retry = retryLast // one of them does not want it, and another may still have failed
		}
		time.AfterFunc(l.retry, func() { o.put(key) })
	}
	if l.due { // it changed meanwhile
		l.due = false
		o.enqueue(key, l)
	} else {
		l.idle = o.idle.PushBack(key)
	}
}

// deliver brings a report to the collectors of its key, under each salt that is
// valid, and returns who they are.
func (o *outbox) deliver(ctx context.Context, key event.Key, payload []byte) (reached []peer.ID, err error) {
	ctx, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	r := o.replicas()
	salts := o.member.Salts(time.Now(), o.overlap)
	if len(salts) == 0 {
		return nil, errors.New("the federation's policy, which says where keys lie, has not arrived yet")
	}
	for _, salt := range salts {
		hash := key.Hash(o.member.Name(), salt)
		if _, failed := o.members.Deliver(ctx, hash, r, payload); failed != nil {
			err = failed
			continue
		}
		if collectors, failed := o.members.Collectors(ctx, hash, r); failed == nil {
			reached = append(reached, collectors...)
		}
	}
	return reached, err
}

// rerouted delivers the reports again whose collectors have changed. Called when
// members join or leave.
func (o *outbox) rerouted(ctx context.Context) {
	r := o.replicas()
	for _, key := range o.keys() {
		for _, salt := range o.member.Salts(time.Now(), 0) {
			collectors, err := o.members.Collectors(ctx, key.Hash(o.member.Name(), salt), r)
			if err != nil {
				return
			}
			o.mu.Lock()
			l := o.letters[key]
			if l != nil {
				// Who has left and come back has forgotten what it was told.
				l.delivered = slices.DeleteFunc(l.delivered, func(p peer.ID) bool { return !slices.Contains(collectors, p) })
				if len(l.delivered) < len(collectors) {
					o.enqueue(key, l)
				}
			}
			o.mu.Unlock()
		}
	}
}

func (o *outbox) keys() []event.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	keys := make([]event.Key, 0, len(o.letters))
	for key := range o.letters {
		keys = append(keys, key)
	}
	return keys
}

package node

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/overlay"
)

const (
	deliveries   = 32 // reports under way at once
	retryFirst   = 500 * time.Millisecond
	retryLast    = 30 * time.Second
	deliverLimit = 10 * time.Second
	retellings   = 2000 // reports a second that are told again: as many as a collector takes of one peer
	// rechecks a minute, of those that were told and looked up so long ago.
	rechecks     = 600
	recheckAfter = 10 * time.Minute
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
	idle    list.List             // of event.Key, those checked longest ago in front
	queue   chan event.Key
	moved   chan struct{} // holds one when the table has changed
}

// deliverer brings bytes to the members closest to a key.
type deliverer interface {
	Collectors(ctx context.Context, key [32]byte, r int) ([]peer.ID, error)
	Deliver(ctx context.Context, key [32]byte, r int, payload []byte) (acks int, err error)
	Displaces(key [32]byte, r int, told, came []peer.ID) bool
	Changes() (came, gone []peer.ID)
	Peers() (connected, table int)
}

// letter is what the outbox knows about the reports on one key.
type letter struct {
	due       bool // in the queue, or changed since the delivery under way began
	underWay  bool
	idle      *list.Element // set when neither
	retry     time.Duration
	delivered []peer.ID
	told      time.Time // when it was delivered
	checked   time.Time // when it was delivered or looked up
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
		l.delivered, l.retry, l.told = reached, 0, time.Now()
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
		l.checked = time.Now()
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

// follow has the reports told again whose collectors have changed, until ctx ends.
func (o *outbox) follow(ctx context.Context) error {
	minute := time.NewTicker(sweepEvery)
	defer minute.Stop()
	for {
		select {
		case <-o.moved:
			came, gone := o.members.Changes()
			o.rerouted(ctx, came, gone)
		case <-time.After(time.Until(nextSalt(time.Now()))):
			o.again(ctx, o.keys())
		case now := <-minute.C:
			o.recheck(ctx, now)
		case <-ctx.Done():
			return nil
		}
	}
}

// rerouted tells reports again of whose collectors one is gone, or has to give way to
// one that came. It asks nobody: what it overlooks, recheck finds.
func (o *outbox) rerouted(ctx context.Context, came, gone []peer.ID) {
	r, salts := o.replicas(), o.member.Salts(time.Now(), o.overlap)
	var keys []event.Key
	for _, key := range o.keys() {
		o.mu.Lock()
		l := o.letters[key]
		if l == nil {
			o.mu.Unlock()
			continue
		}
		told := len(l.delivered)
		// Who has left and come back has forgotten what it was told.
		l.delivered = slices.DeleteFunc(l.delivered, func(p peer.ID) bool { return slices.Contains(gone, p) })
		affected := len(l.delivered) < told
		delivered := slices.Clone(l.delivered)
		o.mu.Unlock()
		for _, salt := range salts {
			affected = affected || told > 0 && len(came) > 0 && o.members.Displaces(key.Hash(o.member.Name(), salt), r, delivered, came)
		}
		if affected {
			keys = append(keys, key)
		}
	}
	o.again(ctx, keys)
}

// again has reports told again, not so fast that new ones would have to wait.
func (o *outbox) again(ctx context.Context, keys []event.Key) {
	pace := rate.NewLimiter(retellings, retellings/10)
	for _, key := range keys {
		if pace.Wait(ctx) != nil {
			return
		}
		o.mu.Lock()
		if l := o.letters[key]; l != nil {
			o.enqueue(key, l)
		}
		o.mu.Unlock()
	}
}

// recheck looks up where the reports belong that nobody has asked about for longest:
// a collector may have died of whom this node knew by nothing else. A few at a time,
// for most deaths are noticed, by this node or by those who hold the same evidence.
func (o *outbox) recheck(ctx context.Context, now time.Time) {
	for range rechecks {
		key, told, ok := o.stalest(now)
		if !ok {
			return
		}
		for _, salt := range o.member.Salts(now, 0) {
			collectors, err := o.members.Collectors(ctx, key.Hash(o.member.Name(), salt), o.replicas())
			if err != nil {
				return
			}
			if slices.ContainsFunc(collectors, func(p peer.ID) bool { return !slices.Contains(told, p) }) {
				o.again(ctx, []event.Key{key})
				break
			}
		}
	}
}

// stalest returns the key that was told or looked up longest ago, if that is some
// time, and to whom it was told. It forgets those whose evidence no rule reaches any more.
func (o *outbox) stalest(now time.Time) (key event.Key, told []peer.ID, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		front := o.idle.Front()
		if front == nil {
			return key, nil, false
		}
		key = front.Value.(event.Key)
		l := o.letters[key]
		switch {
		case now.Sub(l.checked) < recheckAfter:
			return key, nil, false
		case l.retry == 0 && now.Sub(l.told) > o.overlap+clockSkew:
			o.idle.Remove(front)
			delete(o.letters, key)
		default:
			l.checked = now
			o.idle.MoveToBack(front)
			return key, slices.Clone(l.delivered), true
		}
	}
}

func (o *outbox) keys() []event.Key {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.AppendSeq(make([]event.Key, 0, len(o.letters)), maps.Keys(o.letters))
}

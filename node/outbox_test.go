package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/federation"
)

// post is an overlay in which the key of a report says who its collectors are.
type post struct {
	mu         sync.Mutex
	collectors func(key [32]byte) []peer.ID
	came, gone []peer.ID
	lookups    int
	told       map[[32]byte]int
}

func (p *post) Collectors(_ context.Context, key [32]byte, _ int) ([]peer.ID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookups++
	return p.collectors(key), nil
}

func (p *post) Deliver(_ context.Context, key [32]byte, r int, _ []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told[key]++
	return r, nil
}

func (p *post) Displaces(key [32]byte, _ int, told, came []peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.collectors(key), func(c peer.ID) bool { return slices.Contains(came, c) && !slices.Contains(told, c) })
}

func (p *post) Changes() (came, gone []peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	came, gone = p.came, p.gone
	p.came, p.gone = nil, nil
	return came, gone
}

func (p *post) Peers() (connected, table int) { return 10, 10 }

// deliveries is how often each of the keys was told.
func (p *post) deliveries(m *federation.Open, keys []event.Key) (times []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		times = append(times, p.told[hashOf(m, key)])
	}
	return times
}

// inOutbox has the reports on six keys told; the collectors of the even ones are a
// and b, those of the others b and c.
func inOutbox(t *testing.T, test func(t *testing.T, o *outbox, p *post, times func() []int)) {
	t.Helper()
	m := newMember(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour) // the salts of one day only
		var keys []event.Key
		even := map[[32]byte]bool{}
		for i := range 6 {
			key := event.Key{Selector: event.BySource, Value: fmt.Sprint("203.0.113.", i)}
			keys = append(keys, key)
			even[hashOf(m, key)] = i%2 == 0
		}
		p := &post{told: map[[32]byte]int{}, collectors: func(key [32]byte) []peer.ID {
			if even[key] {
				return []peer.ID{"a", "b"}
			}
			return []peer.ID{"b", "c"}
		}}
		o := &outbox{log: slog.New(slog.DiscardHandler), members: p, member: m, overlap: time.Hour, letters: make(map[event.Key]*letter),
			queue: make(chan event.Key, lettersKept), moved: make(chan struct{}, 1),
			write: func(context.Context, event.Key) ([]byte, bool) { return []byte("report"), true }}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = o.run(ctx) })
		running.Go(func() { _ = o.follow(ctx) })
		defer running.Wait()
		defer cancel()
		for _, key := range keys {
			if !o.put(key) {
				t.Fatal("no room")
			}
		}
		synctest.Wait()
		test(t, o, p, func() []int { synctest.Wait(); return p.deliveries(m, keys) })
	})
}

// Only what a change concerns is told again, and nobody is asked for it.
func TestOutboxTellsWhatAChangeConcerns(t *testing.T) {
	inOutbox(t, func(t *testing.T, o *outbox, p *post, times func() []int) {
		p.mu.Lock()
		asked := p.lookups
		p.mu.Unlock()
		change := func(came, gone []peer.ID, want ...int) {
			t.Helper()
			p.mu.Lock()
			p.came, p.gone = came, gone
			p.mu.Unlock()
			notify(o.moved)
			time.Sleep(time.Second)
			if got := times(); !slices.Equal(got, want) {
				t.Errorf("told %v times, want %v", got, want)
			}
		}
		change([]peer.ID{"far"}, []peer.ID{"farther"}, 1, 1, 1, 1, 1, 1)
		change(nil, []peer.ID{"a"}, 2, 1, 2, 1, 2, 1)
		change([]peer.ID{"c"}, []peer.ID{"c"}, 2, 2, 2, 2, 2, 2) // has left and come back
		p.mu.Lock()
		before := p.collectors
		p.collectors = func(key [32]byte) []peer.ID { return append(before(key)[:1], "new") }
		p.mu.Unlock()
		change([]peer.ID{"new"}, nil, 3, 3, 3, 3, 3, 3)
		if most := asked + 2*6*2; p.lookups > most { // each delivery asks for its route
			t.Errorf("%d routes were asked for, want up to %d", p.lookups, most)
		}
	})
}

// What nobody has noticed is found within a while, and what has no more weight is
// forgotten.
func TestOutboxLooksAgain(t *testing.T) {
	inOutbox(t, func(t *testing.T, o *outbox, p *post, times func() []int) {
		p.mu.Lock()
		before := p.collectors
		p.collectors = func(key [32]byte) []peer.ID { return append(before(key)[:1], "unnoticed") }
		p.mu.Unlock()
		time.Sleep(recheckAfter + 2*time.Minute)
		if got, want := times(), []int{2, 2, 2, 2, 2, 2}; !slices.Equal(got, want) {
			t.Errorf("told %v times, want %v", got, want)
		}
		time.Sleep(2 * time.Hour)
		if n := len(o.keys()); n != 0 {
			t.Errorf("%d keys kept though their evidence has no weight", n)
		}
		p.mu.Lock()
		asked := p.lookups
		p.mu.Unlock()
		time.Sleep(2 * time.Hour)
		if p.lookups != asked {
			t.Errorf("%d look-ups for nothing", p.lookups-asked)
		}
	})
}

package overlay

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"
)

// One member sends ten times what its collector can take, on every stream that
// it may have. The others hardly notice, and nothing that was sent is lost.
func TestFloodStarvesNobody(t *testing.T) {
	inBubble(t, 6, func(t *testing.T, tn *testNet) {
		key := testKey(1)
		collector := tn.nearest(key, 1)[0]
		collector.rate(Rate{100, 200})
		one := make(chan struct{}, 1) // the collector takes one report a millisecond
		taken := map[peer.ID]int{}
		collector.Overlay.collect = func(_ context.Context, from peer.ID, _ [32]byte, _ []byte) error {
			one <- struct{}{}
			defer func() { <-one }()
			time.Sleep(time.Millisecond)
			taken[from]++
			return nil
		}
		others := slices.DeleteFunc(slices.Clone(tn.nodes), func(n *testNode) bool { return n == collector })
		flooder, others := others[0], others[1:]
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		var flood, all sync.WaitGroup
		for range 500 {
			flood.Go(func() {
				for ctx.Err() == nil {
					// Not Deliver, which would turn to another collector after a while.
					flooder.reports.call(ctx, collector.ID(), report{key: key, payload: make([]byte, 200)}.encode())
				}
			})
		}
		time.Sleep(5 * time.Second)
		took := make([][]time.Duration, len(others))
		for i, n := range others {
			all.Go(func() {
				for k := range 100 {
					start := time.Now()
					acks, err := n.Deliver(t.Context(), key, 1, fmt.Appendf(nil, "%d", k))
					if acks != 1 || err != nil {
						t.Errorf("%d acks, %v", acks, err)
					}
					took[i] = append(took[i], time.Since(start))
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		all.Wait()
		flood.Wait()
		times := slices.Sorted(slices.Values(slices.Concat(took...)))
		p99 := times[len(times)*99/100]
		waits := collector.Stats().Report.Waits
		// make faults gathers this row.
		t.Logf("fault | delivery of the others' reports during ten times what a collector takes, p99 in virtual time | 100ms | %s", p99)
		t.Logf("the flooder: %d reports and %d waits in 30 s", taken[flooder.ID()], waits)
		if p99 > 100*time.Millisecond {
			t.Errorf("p99 of the others is %s", p99)
		}
		if n := taken[flooder.ID()]; n < 2500 || n > 3500 {
			t.Errorf("%d reports of the flooder were taken in 30 s, want 200 at once and 100 a second", n)
		}
		if waits == 0 {
			t.Error("no waits were counted")
		}
	})
}

// rate changes what a peer may send, on streams that are yet to be opened.
func (n *testNode) rate(r Rate) {
	n.serve(reportProtocol, &n.count.report, r, n.answerReport)
	n.serve(frameProtocol, &n.count.frame, r, n.answerFrame)
}

// Frames wait as reports do, and the replies to those before are not held back.
func TestFramesWait(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, tn *testNet) {
		from, to := tn.nodes[0], tn.nodes[1]
		to.rate(Rate{2, 5})
		start := time.Now()
		var all sync.WaitGroup
		var mu sync.Mutex
		var at []time.Duration
		for i := range 10 {
			all.Go(func() {
				if err := from.Send(t.Context(), to.ID(), fmt.Appendf(nil, "%d", i)); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(start).Round(10*time.Millisecond))
			})
		}
		all.Wait()
		// One may be sent again, in the first half second without an answer, and that takes a turn.
		const turn = 500 * time.Millisecond
		waits := to.Stats().Broadcast.Waits
		if waits < 5 || waits > 6 {
			t.Errorf("%d waited, want 5 and perhaps one that was sent again", waits)
		}
		for i, d := range at {
			turns := time.Duration(max(0, i-4))
			if d < turns*turn || d > (turns+time.Duration(waits-5))*turn {
				t.Fatalf("acknowledged at %v, want five at once and then one each half second", at)
			}
		}
		if s := to.Stats().Broadcast; s.Broken != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A peer that opens its stream anew gets no new allowance, one that was away
// long enough leaves nothing behind.
func TestAllowanceOutlivesStreams(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, _ *testNet) {
		g := newGuests(2, Rate{10, 20})
		for range 20 {
			at := g.enter("flooder")
			if !at.bucket.Allow() {
				t.Fatal("the allowance is smaller than it should be")
			}
			g.leave("flooder")
		}
		if g.enter("flooder").bucket.Allow() {
			t.Error("a new stream brought a new allowance")
		}
		if g.enter("flooder") == nil || g.enter("flooder") != nil {
			t.Error("want two streams of a peer and no third")
		}
		g.leave("flooder")
		g.leave("flooder")
		g.enter("other")
		if len(g.by) != 2 {
			t.Errorf("%d kept, want 2", len(g.by))
		}
		g.leave("other")
		time.Sleep(3 * time.Second)
		g.enter("third")
		if len(g.by) != 1 {
			t.Errorf("%d kept, want the one that is here", len(g.by))
		}
	})
}

func TestRates(t *testing.T) {
	if got := (Rate{}).or(reportRate); got != (Rate{2000, 4000}) {
		t.Errorf("default %v", got)
	}
	g := newGuests(1, Rate{rate.Inf, 1})
	at := g.enter("p")
	for range 10_000 {
		if !at.bucket.Allow() {
			t.Fatal("a peer without a limit had to wait")
		}
	}
	g.leave("p")
	g.enter("q")
	if len(g.by) != 1 {
		t.Error("who has left was kept")
	}
}

package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// A busy collector is passed over for a while, and all senders agree on who takes
// its place; then it takes part again.
func TestBusyCollectorIsPassedOver(t *testing.T) {
	inBubble(t, 30, func(t *testing.T, tn *testNet) {
		key := testKey(5)
		order := tn.nearest(key, 5)
		order[1].setRefusal(fmt.Errorf("too much to do: %w", ErrBusy))
		var sources []*testNode
		for _, n := range tn.nodes {
			if !slices.Contains(order, n) {
				sources = append(sources, n)
			}
		}
		for i, from := range sources {
			for k := range 3 {
				payload := fmt.Sprint(i, k)
				if acks, err := from.Deliver(t.Context(), key, 3, []byte(payload)); acks != 3 || err != nil {
					t.Fatalf("%d acks, %v", acks, err)
				}
				tn.wantAt(payload, []*testNode{order[0], order[2], order[3]})
			}
			s := from.Stats().Report
			if s.Busy != 1 {
				t.Errorf("source %d was told %d times that a collector is busy", i, s.Busy)
			}
			if s.Redirects != 0 {
				t.Errorf("source %d was sent on %d times by who takes the busy one's place", i, s.Redirects)
			}
		}
		order[1].setRefusal(nil)
		until(t, 2*avoidTime, "return of who was busy", func() bool {
			now, err := sources[0].Collectors(t.Context(), key, 3)
			return err == nil && slices.Contains(now, order[1].ID())
		})
		if acks, err := sources[0].Deliver(t.Context(), key, 3, []byte("again")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
		tn.wantAt("again", order[:3])
	})
}

// Where all are busy nobody is blamed, and the sender knows to try again.
func TestAllAreBusy(t *testing.T) {
	inNet(t, 3, func(t *testing.T, tn *testNet) {
		for _, n := range tn.nodes {
			n.setRefusal(ErrBusy)
		}
		acks, err := tn.nodes[0].Deliver(t.Context(), testKey(1), 3, []byte("p"))
		if acks != 0 || !errors.Is(err, ErrBusy) {
			t.Errorf("%d acks, %v", acks, err)
		}
		if s := tn.nodes[0].Stats(); s.Evicted != 0 {
			t.Errorf("%d were evicted", s.Evicted)
		}
	})
}

// Some acknowledge each report just in time not to count as dead. Nothing waits
// for them: the others have a report at once, and another one has it in their place.
func TestSlowCollectorIsPassedOver(t *testing.T) {
	inBubble(t, 12, func(t *testing.T, tn *testNet) {
		key := testKey(2)
		order := tn.nearest(key, 4)
		from := tn.outsider(key, 4)
		order[0].setDelay(rpcTimeout - 1)
		began := time.Now()
		if acks, err := from.Deliver(t.Context(), key, 3, []byte("first")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
		if took := time.Since(began); took > patience+rpcTimeout/10 {
			t.Errorf("the first took %s", took)
		}
		began = time.Now()
		for k := range 100 {
			if acks, err := from.Deliver(t.Context(), key, 3, fmt.Append(nil, k)); acks != 3 || err != nil {
				t.Fatalf("%d acks, %v", acks, err)
			}
		}
		if took := time.Since(began); took > rpcTimeout/10 {
			t.Errorf("the next hundred took %s", took)
		}
		tn.wantAt("99", order[1:4])
		if s := from.Stats(); s.Evicted != 0 {
			t.Errorf("%d were evicted", s.Evicted)
		}
		// The slow one is better than nobody.
		if got, passed := from.willing(ids(order[:3]), 3); len(got) != 3 || passed != 1 || got[2] != order[0].ID() {
			t.Errorf("of %v %v are willing", ids(order[:3]), got)
		}
	})
}

// A quarter of the members hang: they keep their connections, answer lookups and
// acknowledge no report. Nobody else's reports wait for them for longer than a moment,
// with as many deliveries under way as a node has.
func TestHungCollectorsHoldUpNobody(t *testing.T) {
	inBubble(t, 24, func(t *testing.T, tn *testNet) {
		const keys, workers, r = 2000, 128, 3
		from := tn.nodes[0]
		for _, n := range tn.nodes[1:7] {
			n.host.SetStreamHandler(reportProtocol, func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() })
		}
		took := make([]time.Duration, keys)
		work := make(chan int)
		var all sync.WaitGroup
		began := time.Now()
		for range workers {
			all.Go(func() {
				for k := range work {
					if acks, err := from.Deliver(t.Context(), testKey(k), r, binary.AppendUvarint(nil, uint64(k))); acks != r || err != nil {
						t.Errorf("key %d: %d acks, %v", k, acks, err)
					}
					took[k] = time.Since(began)
				}
			})
		}
		for k := range keys {
			work <- k
		}
		close(work)
		all.Wait()
		slices.Sort(took)
		// make faults gathers this row.
		t.Logf("fault | %d reports delivered to all their collectors though 6 of 24 members hang, in virtual time | 10s | %s (half of them in %s)",
			keys, took[keys-1].Round(time.Millisecond), took[keys/2].Round(time.Millisecond))
		if took[keys-1] > 10*time.Second {
			t.Errorf("the last after %s", took[keys-1])
		}
		s := from.Stats().Report
		t.Logf("%d payloads in %d writes", s.Sent, s.Batches)
	})
}

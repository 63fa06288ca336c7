package overlay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// script has a peer take numbered frames and answer what the test says, as soon as
// all of them have come that it says it for.
type script struct {
	mu     sync.Mutex
	came   []string // with the time since the start
	began  time.Time
	answer func(seq uint64) []uint64 // the numbers answered when this one has come
}

func (s *script) handle(stream network.Stream) {
	r := bufio.NewReader(stream)
	for {
		seq, body, err := readFrame(r)
		if err != nil {
			stream.Reset()
			return
		}
		s.mu.Lock()
		s.came = append(s.came, fmt.Sprintf("%d=%s@%d", seq, body, time.Since(s.began).Milliseconds()))
		var out []byte
		for _, n := range s.answer(seq) {
			out = appendFrame(out, n, reply{status: accepted}.encode())
		}
		s.mu.Unlock()
		if _, err := stream.Write(out); err != nil && len(out) > 0 {
			return
		}
	}
}

// What is sent when, as the other side sees it: number, body and milliseconds.
func TestSendingAgain(t *testing.T) {
	answers := func(of map[uint64][]uint64) func(uint64) []uint64 {
		return func(seq uint64) []uint64 { return of[seq] }
	}
	for _, c := range []struct {
		name   string
		answer func(seq uint64) []uint64
		came   string
		failed int
		gone   uint64 // evicted: not who answers look-ups, but who answers what was not asked
	}{
		{"all is answered", func(seq uint64) []uint64 { return []uint64{seq} }, "[1=a@0 2=b@0 3=c@0]", 0, 0},
		{"an answer shows that those before it are lost", answers(map[uint64][]uint64{3: {3}, 4: {4}, 5: {5}}), "[1=a@0 2=b@0 3=c@0 4=a@0 5=b@0]", 0, 0},
		{"what is lost at the end is found by sending something again", answers(map[uint64][]uint64{1: {1}, 4: {4}, 5: {5}}), "[1=a@0 2=b@0 3=c@0 4=b@300 5=c@300]", 0, 0},
		{"what is sent again may be lost, too", answers(map[uint64][]uint64{5: {5}, 6: {6}, 7: {7}}), "[1=a@0 2=b@0 3=c@0 4=a@300 5=a@600 6=b@600 7=c@600]", 0, 0},
		{"who is slow is sent less again", answers(map[uint64][]uint64{4: {1}, 5: {2}, 6: {3, 4, 5, 6}}), "[1=a@0 2=b@0 3=c@0 4=a@300 5=b@900 6=c@2100]", 0, 0},
		{"who is silent for two seconds fails", answers(nil), "[1=a@0 2=b@0 3=c@0 4=a@300 5=a@600 6=a@900 7=a@1200 8=a@1500 9=a@1800]", 3, 0},
		{"an answer that comes twice ends the stream, and the rest goes over another one", answers(map[uint64][]uint64{1: {1, 1}}), "[1=a@0 1=b@0 1=c@0]", 0, 0},
		{"so does one to nothing", answers(map[uint64][]uint64{3: {4}}), "[1=a@0 2=b@0 3=c@0]", 3, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, tn *testNet) {
				from, to := tn.nodes[0], tn.nodes[1]
				s := &script{began: time.Now(), answer: c.answer}
				to.host.SetStreamHandler(frameProtocol, s.handle)
				var all sync.WaitGroup
				var mu sync.Mutex
				failed := 0
				for _, body := range []string{"a", "b", "c"} {
					all.Go(func() {
						if from.Send(t.Context(), to.ID(), []byte(body)) != nil {
							mu.Lock()
							failed++
							mu.Unlock()
						}
					})
					time.Sleep(time.Microsecond)
				}
				all.Wait()
				time.Sleep(time.Minute)
				if got := fmt.Sprint(s.came); got != c.came || failed != c.failed {
					t.Errorf("came %s, want %s; %d failed, want %d", got, c.came, failed, c.failed)
				}
				if s := from.Stats(); s.Evicted != c.gone {
					t.Errorf("%d evicted, want %d", s.Evicted, c.gone)
				}
			})
		})
	}
}

// lossy is a host of whose writes some vanish, while their streams go on.
type lossy struct {
	host.Host
	strikes func() bool
}

func (h lossy) NewStream(ctx context.Context, p peer.ID, protocols ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, protocols...)
	if err != nil {
		return nil, err
	}
	return lossyStream{s, h.strikes}, nil
}

func (h lossy) SetStreamHandler(p protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(p, func(s network.Stream) { handle(lossyStream{s, h.strikes}) })
}

type lossyStream struct {
	network.Stream
	strikes func() bool
}

func (s lossyStream) Write(p []byte) (int, error) {
	if s.strikes() {
		return len(p), nil
	}
	return s.Stream.Write(p)
}

// One message of five vanishes, and everything arrives all the same, everywhere where
// it should, and nobody is taken for dead.
func TestSilentLoss(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, tn *testNet) {
		var mu sync.Mutex
		dice, percent := rand.New(rand.NewPCG(1, 2)), 0
		strikes := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return dice.IntN(100) < percent
		}
		for range 24 {
			tn.start(Config{Host: lossy{tn.plug(), strikes}}, tn.nodes[:min(1, len(tn.nodes))]...)
		}
		tn.settle()
		mu.Lock()
		percent = 20
		mu.Unlock()
		const keys, r = 300, 5
		var all sync.WaitGroup
		var most time.Duration
		for i := range keys {
			all.Go(func() {
				from, began := tn.nodes[i%len(tn.nodes)], time.Now()
				acks, err := from.Deliver(t.Context(), testKey(i), r, fmt.Append(nil, i))
				if acks < r || err != nil { // more, where one that was given up had it after all
					t.Errorf("key %d: %d acknowledged, %v", i, acks, err)
				}
				mu.Lock()
				defer mu.Unlock()
				most = max(most, time.Since(began))
			})
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
		elsewhere := 0
		for i := range keys {
			for _, n := range tn.nearest(testKey(i), r) {
				if n.has(fmt.Sprint(i)) == 0 {
					elsewhere++
				}
			}
		}
		var evicted, repeated uint64
		for _, n := range tn.nodes {
			s := n.Stats()
			evicted, repeated = evicted+s.Evicted, repeated+s.Report.Repeated
		}
		t.Logf("the slowest took %s, %d of %d reports went to another collector, %d were sent again", most, elsewhere, keys*r, repeated)
		if most > 2*rpcTimeout+patience || elsewhere > keys*r/25 || evicted > 5 || repeated == 0 {
			t.Errorf("%d evicted", evicted)
		}
	})
}

func TestInsist(t *testing.T) {
	errs := func(d time.Duration) error { return fmt.Errorf("failed after %s", d) }
	for _, c := range []struct {
		name  string
		calls []time.Duration // until an answer, or below zero a failure; in turn
		limit time.Duration
		want  string
		took  time.Duration
	}{
		{"the first answers", []time.Duration{10}, 1000, "0", 10},
		{"the first is lost", []time.Duration{1e6, 20}, 1000, "1", 120},
		{"the first is slow and answers before the second", []time.Duration{150, 100}, 1000, "0", 150},
		{"all are lost", []time.Duration{1e6, 1e6, 1e6}, 1000, "context deadline exceeded", 1000},
		{"the first fails before there is a second", []time.Duration{-50}, 1000, "failed after 50ns", 50},
		{"the first fails, the second answers", []time.Duration{-150, 100}, 1000, "1", 200},
		{"both fail", []time.Duration{-150, -150}, 1000, "failed after 150ns", 250},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, _ *testNet) {
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				began, next := time.Now(), 0
				answer, err := insist(ctx, 100, len(c.calls), func(ctx context.Context) (string, error) {
					i := next // calls begin one after the other
					next++
					d := c.calls[i]
					select {
					case <-time.After(max(d, -d)):
					case <-ctx.Done():
						return "", ctx.Err()
					}
					if d < 0 {
						return "", errs(-d)
					}
					return fmt.Sprint(i), nil
				})
				if err != nil {
					answer = err.Error()
				}
				if took := time.Since(began); answer != c.want || took != c.took {
					t.Errorf("%q after %d, want %q after %d", answer, took, c.want, c.took)
				}
				if err != nil && errors.Is(err, context.DeadlineExceeded) != (ctx.Err() != nil) {
					t.Error(err)
				}
			})
		})
	}
}

package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/test"
	"github.com/multiformats/go-multiaddr"
)

// outsider returns a node that is not among the r nearest of the key.
func (tn *testNet) outsider(key [32]byte, r int) *testNode {
	for _, n := range tn.nodes {
		if !slices.Contains(tn.nearest(key, r), n) {
			return n
		}
	}
	tn.t.Fatal("no outsider")
	return nil
}

func (tn *testNet) wantAt(payload string, want []*testNode) {
	tn.t.Helper()
	for _, n := range tn.nodes {
		expected := 0
		if slices.Contains(want, n) {
			expected = 1
		}
		if got := n.has(payload); got != expected {
			tn.t.Errorf("node %s has %q %d times, want %d", n.ID(), payload, got, expected)
		}
	}
}

func TestDeliverReachesAllCollectors(t *testing.T) {
	inNet(t, 12, func(t *testing.T, tn *testNet) {
		for i, from := range tn.nodes {
			key, payload := testKey(i), fmt.Sprint("payload ", i)
			acks, err := from.Deliver(t.Context(), key, 3, []byte(payload))
			if acks != 3 || err != nil {
				t.Fatalf("%d acks, %v", acks, err)
			}
			tn.wantAt(payload, tn.nearest(key, 3))

			before := from.Stats()
			payload += " again"
			if acks, err := from.Deliver(t.Context(), key, 3, []byte(payload)); acks != 3 || err != nil {
				t.Fatalf("again: %d acks, %v", acks, err)
			}
			tn.wantAt(payload, tn.nearest(key, 3))
			if after := from.Stats(); after.LookupMessages != before.LookupMessages {
				t.Errorf("%d lookup messages for a cached route", after.LookupMessages-before.LookupMessages)
			}
		}
	})
}

func TestDeliverAlone(t *testing.T) {
	inNet(t, 1, func(t *testing.T, tn *testNet) {
		n := tn.nodes[0]
		acks, err := n.Deliver(t.Context(), testKey(1), 3, []byte("own"))
		if acks != 1 || err != nil || n.has("own") != 1 {
			t.Errorf("%d acks, %v", acks, err)
		}
		n.refuse = errors.New("not today")
		acks, err = n.Deliver(t.Context(), testKey(1), 3, []byte("own"))
		if acks != 0 || !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not today") {
			t.Errorf("%d acks, %v", acks, err)
		}
		if _, err := n.Deliver(t.Context(), testKey(1), 1, make([]byte, MaxPayload+1)); err == nil {
			t.Error("an oversize payload was taken")
		}
		if _, err := n.Deliver(t.Context(), testKey(1), MaxReplicas+1, nil); err == nil {
			t.Error("too many replicas were taken")
		}
		if n.Rank(testKey(1)) != 0 || n.Buckets() != nil {
			t.Error("a node alone knows others")
		}
	})
}

func TestDeliverLargestPayload(t *testing.T) {
	inNet(t, 2, func(t *testing.T, tn *testNet) {
		payload := bytes.Repeat([]byte("x"), MaxPayload)
		if acks, err := tn.nodes[0].Deliver(t.Context(), testKey(1), 2, payload); acks != 2 || err != nil {
			t.Errorf("%d acks, %v", acks, err)
		}
		if err := tn.nodes[0].Send(t.Context(), tn.nodes[1].ID(), payload); err != nil {
			t.Error(err)
		}
	})
}

func TestDeadCollectorIsReplaced(t *testing.T) {
	inBubble(t, 12, func(t *testing.T, tn *testNet) {
		key := testKey(1)
		from := tn.outsider(key, 4)
		if acks, err := from.Deliver(t.Context(), key, 3, []byte("before")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
		drain(from.Changed())
		tn.kill(tn.nearest(key, 3)[0])
		if acks, err := from.Deliver(t.Context(), key, 3, []byte("after")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
		tn.wantAt("after", tn.nearest(key, 3))
		select {
		case <-from.Changed():
		case <-time.After(time.Minute):
			t.Error("the change was not signalled")
		}
	})
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// A hung collector keeps its connections and acknowledges nothing. It is passed over,
// and keeps its place in the table as long as it answers look-ups.
func TestHungCollectorIsReplaced(t *testing.T) {
	hang := func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() }
	for name, c := range map[string]struct {
		protocols []protocol.ID
		evicted   bool
		limit     time.Duration // of the first delivery, and of the look-up for whom to turn to
	}{
		"reports": {[]protocol.ID{reportProtocol}, false, patience},
		"all":     {[]protocol.ID{reportProtocol, kadProtocol}, true, patience + rpcTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			inNet(t, 12, func(t *testing.T, tn *testNet) {
				key := testKey(2)
				from, hung := tn.outsider(key, 4), tn.nearest(key, 1)[0]
				if acks, err := from.Deliver(t.Context(), key, 3, []byte("before")); acks != 3 || err != nil {
					t.Fatalf("%d acks, %v", acks, err)
				}
				for _, p := range c.protocols {
					hung.host.SetStreamHandler(p, hang)
				}
				for _, conn := range from.host.Network().ConnsToPeer(hung.ID()) {
					for _, s := range conn.GetStreams() {
						s.Reset() // the next report opens another
					}
				}
				start := time.Now()
				acks, err := from.Deliver(t.Context(), key, 3, []byte("p"))
				if acks != 3 || err != nil {
					t.Fatalf("%d acks, %v", acks, err)
				}
				tn.wantAt("p", tn.nearest(key, 4)[1:])
				if late(start, c.limit+rpcTimeout/10) {
					t.Errorf("took %s, want about %s", time.Since(start), c.limit)
				}
				until(t, time.Minute, "end of the stream that hangs", func() bool { return from.Stats().Report.Failed > 0 })
				time.Sleep(2 * rpcTimeout)
				if s := from.Stats(); (s.Evicted > 0) != c.evicted {
					t.Errorf("%d evicted", s.Evicted)
				}
				start = time.Now()
				if acks, err := from.Deliver(t.Context(), key, 3, []byte("q")); acks != 3 || err != nil || late(start, time.Second) {
					t.Errorf("the next: %d acks after %s, %v", acks, time.Since(start), err)
				}
			})
		})
	}
}

func TestStaleRouteIsRedirected(t *testing.T) {
	inNet(t, 12, func(t *testing.T, tn *testNet) {
		key := testKey(3)
		order := tn.nearest(key, 12)
		from := order[5]
		from.routes.put(key, 3, ids(order[8:11]))
		if acks, err := from.Deliver(t.Context(), key, 3, []byte("p")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
		tn.wantAt("p", order[:3])
		if s := from.Stats(); s.Report.Redirects != 3 || s.Report.Acked != 3 {
			t.Errorf("stats %+v", s.Report)
		}
		from.Deliver(t.Context(), key, 3, []byte("q"))
		if s := from.Stats(); s.Report.Redirects != 3 {
			t.Error("the better route was not kept")
		}
	})
}

// A liar sends everybody on to members that do not exist. It keeps its place,
// so it gets the payload, and so do the honest ones.
func TestLiarCannotKeepDeliveriesAway(t *testing.T) {
	inNet(t, 12, func(t *testing.T, tn *testNet) {
		key := testKey(4)
		from, liar := tn.outsider(key, 3), tn.nearest(key, 1)[0]
		var lies []*peer.AddrInfo
		for len(lies) < 5 {
			id := test.RandPeerIDFatal(t)
			lies = append(lies, &peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/1")}})
		}
		liar.serve(reportProtocol, &liar.count.report, reportRate, func(ctx context.Context, from peer.ID, body []byte) (reply, error) {
			if p, err := decodeReport(body); err == nil && p.r > 0 {
				return reply{status: closer, closer: lies}, nil
			}
			return liar.answerReport(ctx, from, body)
		})
		if acks, err := from.Deliver(t.Context(), key, 3, []byte("p")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
		tn.wantAt("p", tn.nearest(key, 3))
	})
}

func TestRefusalIsFinal(t *testing.T) {
	inNet(t, 6, func(t *testing.T, tn *testNet) {
		key := testKey(5)
		from, picky := tn.outsider(key, 3), tn.nearest(key, 2)[1]
		picky.refuse = errors.New("bad signature")
		acks, err := from.Deliver(t.Context(), key, 3, []byte("p"))
		if acks != 2 || !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "bad signature") || !strings.Contains(err.Error(), picky.ID().String()) {
			t.Errorf("%d acks, %v", acks, err)
		}
		if s := from.Stats().Report; s.Refused != 1 || s.Failed != 0 || s.Acked != 2 {
			t.Errorf("stats %+v", s)
		}
		if err := from.Send(t.Context(), picky.ID(), []byte("f")); !errors.Is(err, ErrRefused) {
			t.Errorf("frame: %v", err)
		}
	})
}

func TestPayloadsShareWrites(t *testing.T) {
	inNet(t, 2, func(t *testing.T, tn *testNet) {
		from, to := tn.nodes[0], tn.nodes[1]
		var all sync.WaitGroup
		for i := range 2000 {
			all.Go(func() {
				if acks, err := from.Deliver(t.Context(), testKey(1), 2, fmt.Append(nil, i)); acks != 2 || err != nil {
					t.Errorf("%d: %d acks, %v", i, acks, err)
				}
			})
		}
		all.Wait()
		s := from.Stats().Report
		if s.Sent != 2000 || s.Acked != 2000 || s.Batches > s.Sent/4 {
			t.Errorf("stats %+v: want few batches", s)
		}
		// On a slow machine an answer may take long enough for a payload to be sent again.
		if r := to.Stats().Report.Received; r < s.Sent || r > s.Sent+s.Repeated {
			t.Errorf("received %d, of %d that were sent and %d sent again", r, s.Sent, s.Repeated)
		}
		t.Logf("%d payloads in %d writes", s.Sent, s.Batches)
	})
}

func TestFullQueueMakesCallersWait(t *testing.T) {
	inNet(t, 2, func(t *testing.T, tn *testNet) {
		from, to := tn.nodes[0], tn.nodes[1]
		to.host.SetStreamHandler(frameProtocol, func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 2 * maxOutstanding {
			all.Go(func() {
				if err := from.Send(ctx, to.ID(), []byte("f")); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if s := from.Stats().Broadcast; s.Sent > maxOutstanding {
			t.Errorf("%d sent, want at most %d outstanding", s.Sent, maxOutstanding)
		}
	})
}

// The connection breaks, as when a connection manager trims it: that is no
// reason to take the peer for dead.
func TestLostStreamIsOpenedAgain(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, tn *testNet) {
		from, to := tn.nodes[0], tn.nodes[1]
		for i := range 5 {
			if err := from.Send(t.Context(), to.ID(), fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
			tn.mn.DisconnectPeers(from.ID(), to.ID())
		}
		time.Sleep(time.Minute)
		if s := from.Stats(); s.Evicted != 0 {
			t.Errorf("stats %+v", s)
		}
		if _, size := from.Peers(); size != 1 {
			t.Errorf("table of %d", size)
		}
	})
}

func TestIdleStreamsAreClosed(t *testing.T) {
	inBubble(t, 2, func(t *testing.T, tn *testNet) {
		from, to := tn.nodes[0], tn.nodes[1]
		for range 2 {
			if err := from.Send(t.Context(), to.ID(), []byte("f")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(idleTimeout + time.Second)
			synctest.Wait()
			for _, c := range from.host.Network().ConnsToPeer(to.ID()) {
				for _, s := range c.GetStreams() {
					if s.Protocol() == frameProtocol {
						t.Error("an idle stream is still open")
					}
				}
			}
		}
	})
}

func TestPayloadsWaitForHandle(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, tn *testNet) {
		h, err := tn.mn.GenPeer()
		if err != nil {
			t.Fatal(err)
		}
		tn.mn.LinkPeers(h.ID(), tn.nodes[0].ID())
		late, err := New(t.Context(), Config{Host: h, Bootstrap: []peer.AddrInfo{{ID: tn.nodes[0].ID(), Addrs: tn.nodes[0].host.Addrs()}}})
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		until(t, time.Minute, "contact", func() bool { _, n := tn.nodes[0].Peers(); return n == 1 })
		node := &testNode{Overlay: late, got: map[string]int{}, frames: map[string]int{}}
		time.AfterFunc(time.Second, func() { late.Handle(node.collect, node.receive, nil) })
		if err := tn.nodes[0].Send(t.Context(), late.ID(), []byte("early")); err != nil {
			t.Error(err)
		}
		if node.frames["early"] == 0 { // it may come twice, as there was no answer
			t.Error("the frame got lost")
		}
	})
}

func TestRankAndBuckets(t *testing.T) {
	inNet(t, 20, func(t *testing.T, tn *testNet) {
		for k := range 10 {
			for i, n := range tn.nearest(testKey(k), 20) {
				if got := n.Rank(testKey(k)); got != i {
					t.Errorf("rank %d, want %d", got, i)
				}
			}
		}
		for _, n := range tn.nodes {
			seen := 0
			buckets := n.Buckets()
			for i, bucket := range buckets {
				for _, p := range bucket {
					seen++
					if got := n.self.PrefixLen(placeOf(p)); got != i {
						t.Errorf("bucket %d holds a peer with prefix %d", i, got)
					}
				}
			}
			if seen != 19 || len(buckets[len(buckets)-1]) == 0 {
				t.Errorf("%d contacts in buckets, want 19", seen)
			}
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	inBubble(t, 3, func(t *testing.T, tn *testNet) {
		n := tn.nodes[0]
		tn.nodes[1].host.SetStreamHandler(frameProtocol, func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() })
		errs := make(chan error)
		go func() { errs <- n.Send(t.Context(), tn.nodes[1].ID(), []byte("f")) }()
		synctest.Wait()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, errClosed) {
			t.Errorf("pending call ended with %v", err)
		}
		if _, err := n.Deliver(t.Context(), testKey(1), 1, nil); !errors.Is(err, errClosed) {
			t.Errorf("deliver after close: %v", err)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

package broadcast

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// simNet is a network of nodes with Kademlia buckets and instant calls.
type simNet struct {
	nodes []*simNode
	byID  map[peer.ID]*simNode

	state sync.RWMutex // guards loss, and down, side and drops of all nodes
	loss  float64      // of frames
}

// change changes what the state lock guards, while others may look.
func (sim *simNet) change(f func()) {
	sim.state.Lock()
	defer sim.state.Unlock()
	f()
}

// reachable reports whether a call of one node gets to the other.
func (sim *simNet) reachable(from, to *simNode) bool {
	sim.state.RLock()
	defer sim.state.RUnlock()
	return !from.down && !to.down && from.side == to.side
}

// frame is what becomes of one: it is lost, or taken by one who drops it.
func (sim *simNet) frame(to *simNode) (lost, dropped bool) {
	sim.state.RLock()
	defer sim.state.RUnlock()
	return sim.loss > 0 && rand.Float64() < sim.loss, to.drops
}

type simNode struct {
	*Broadcast
	net     *simNet
	id      peer.ID
	place   [32]byte
	buckets [][]peer.ID
	down    bool // does not answer
	side    int  // of a partition: who is on another does not answer
	drops   bool // acknowledges, and does nothing

	mu      sync.Mutex
	judged  map[string]int
	verdict func(payload string) Verdict
}

func (n *simNode) Attached() []peer.ID { return nil }

func (n *simNode) Ask(_ context.Context, to peer.ID, question []byte) ([]byte, error) {
	other := n.net.byID[to]
	if !n.net.reachable(n, other) {
		return nil, errors.New("no answer")
	}
	return other.Answer(question)
}

func (n *simNode) Buckets() [][]peer.ID {
	var out [][]peer.ID
	for _, b := range n.buckets {
		out = append(out, append([]peer.ID(nil), b...))
	}
	return out
}

func (n *simNode) Send(ctx context.Context, to peer.ID, data []byte) error {
	other := n.net.byID[to]
	lost, dropped := n.net.frame(other)
	switch {
	case lost || !n.net.reachable(n, other):
		return errors.New("no answer")
	case dropped:
		return nil
	}
	return other.Receive(ctx, n.id, data)
}

func (n *simNode) judge(_ context.Context, _ peer.ID, payload []byte) Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.judged[string(payload)]++
	if n.verdict != nil {
		return n.verdict(string(payload))
	}
	return Fresh
}

func (n *simNode) has(payload string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.judged[payload]
}

// newSim makes n nodes whose buckets hold up to k contacts.
func newSim(t *testing.T, n, k int) *simNet {
	sim := &simNet{byID: map[peer.ID]*simNode{}}
	for i := range n {
		id := peer.ID(fmt.Sprint("node ", i))
		node := &simNode{net: sim, id: id, place: sha256.Sum256([]byte(id)), judged: map[string]int{}}
		node.Broadcast = New(node, Config{Receive: node.judge, About: aboutTest})
		t.Cleanup(node.Close)
		sim.nodes = append(sim.nodes, node)
		sim.byID[id] = node
	}
	order := rand.New(rand.NewPCG(1, uint64(n)))
	for _, a := range sim.nodes {
		for _, i := range order.Perm(n) {
			b := sim.nodes[i]
			if a == b {
				continue
			}
			at := 0
			for a.place[at] == b.place[at] {
				at++
			}
			l := at*8 + bits.LeadingZeros8(a.place[at]^b.place[at])
			for len(a.buckets) <= l {
				a.buckets = append(a.buckets, nil)
			}
			if len(a.buckets[l]) < k {
				a.buckets[l] = append(a.buckets[l], b.id)
			}
		}
	}
	return sim
}

// reached counts the living nodes that have the payload, and checks that the
// application saw it once.
func (sim *simNet) reached(t *testing.T, payload string, from *simNode) (n, of int) {
	t.Helper()
	for _, node := range sim.nodes {
		if node.down || node.drops || node == from {
			continue
		}
		of++
		switch got := node.has(payload); {
		case got > 1:
			t.Errorf("%s judged %q %d times", node.id, payload, got)
		case got == 1:
			n++
		}
	}
	return n, of
}

func TestReachesAll(t *testing.T) {
	for _, size := range []int{1, 2, 7, 100, 500} {
		synctest.Test(t, func(t *testing.T) {
			sim := newSim(t, size, 20)
			from := sim.nodes[size/2]
			if err := from.Publish(t.Context(), []byte("alert")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n, of := sim.reached(t, "alert", from); n != of {
				t.Errorf("reached %d of %d", n, of)
			}
			if from.has("alert") != 0 {
				t.Error("the publisher judged its own payload")
			}
			var sum Stats
			for _, node := range sim.nodes {
				s := node.Stats()
				sum.Sent += s.Sent
				sum.New += s.New
				sum.Received += s.Received
				sum.Duplicates += s.Duplicates
				sum.MaxHop = max(sum.MaxHop, s.MaxHop)
			}
			if sum.Sent != sum.Received || sum.Received != sum.New+sum.Duplicates || sum.New != uint64(size-1) {
				t.Errorf("%d nodes: %+v", size, sum)
			}
			t.Logf("%d nodes: %.1f messages a node, at most %d hops", size, float64(sum.Sent)/float64(size), sum.MaxHop)
		})
	}
}

// A fifth of the nodes is gone, and the tables do not know it.
func TestDelegatesFailOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 100, 20)
		for i := range 20 {
			sim.nodes[i].down = true
		}
		from := sim.nodes[50]
		from.Publish(t.Context(), []byte("alert"))
		synctest.Wait()
		if n, of := sim.reached(t, "alert", from); n != of {
			t.Errorf("reached %d of %d", n, of)
		}
		if s := from.Stats(); s.Failed == 0 || s.Acked+s.Failed != s.Sent {
			t.Errorf("stats %+v", s)
		}
	})
}

// flaky loses the first messages to each contact.
type flaky struct {
	recorder
	loses int
}

func (f *flaky) Send(ctx context.Context, to peer.ID, data []byte) error {
	if err := f.recorder.Send(ctx, to, data); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	times := 0
	for _, sent := range f.sent {
		if strings.HasPrefix(sent, string(to)) {
			times++
		}
	}
	if times <= f.loses {
		return errors.New("no answer")
	}
	return nil
}

// Who did not acknowledge gets a second chance, once nobody else is left.
func TestEachIsTriedTwice(t *testing.T) {
	for _, c := range []struct{ loses, sent, acked uint64 }{
		{0, 2, 2},
		{1, 2 + 4, 2}, // a twice; b, c, d, and the first of them again
		{2, 2 + 6, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			net := &flaky{recorder: recorder{buckets: [][]peer.ID{{"a"}, {"b", "c", "d"}}}, loses: int(c.loses)}
			b := New(net, Config{Replicas: 1})
			defer b.Close()
			if err := b.Publish(t.Context(), []byte("p")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if s := b.Stats(); s.Sent != c.sent || s.Acked != c.acked {
				t.Errorf("%d lost: stats %+v, want %d sent and %d acknowledged", c.loses, s, c.sent, c.acked)
			}
		})
	}
}

// Peers that acknowledge and drop are what replicas are for. Delegates are
// chosen at random, so the bound holds for the mean of many payloads: with one
// replica it would be about 0.83.
func TestReplicasCoverDroppers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 200, 20)
		for i := range 10 {
			sim.nodes[i].drops = true
		}
		got, all := 0, 0
		for i := range 60 {
			payload := fmt.Sprint("alert ", i)
			from := sim.nodes[20+i]
			from.Publish(t.Context(), []byte(payload))
			synctest.Wait()
			n, of := sim.reached(t, payload, from)
			got, all = got+n, all+of
		}
		if share := float64(got) / float64(all); share < 0.95 {
			t.Errorf("coverage %.4f with 5 %% droppers, want 0.95", share)
		} else {
			t.Logf("coverage %.4f", share)
		}
	})
}

func TestInvalidIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 20, 20)
		n, from := sim.nodes[0], sim.nodes[1]
		good := false // guarded by n.mu, which judge holds
		n.verdict = func(string) Verdict {
			if good {
				return Fresh
			}
			return Invalid
		}
		data := frame{payload: []byte("p")}.encode()
		for range 2 {
			if err := n.Receive(t.Context(), from.id, data); err == nil {
				t.Error("an invalid payload was acknowledged")
			}
		}
		synctest.Wait()
		if s := n.Stats(); s.Invalid != 2 || s.Sent != 0 || s.Duplicates != 0 {
			t.Errorf("stats %+v", s)
		}
		good = true
		if err := n.Receive(t.Context(), from.id, data); err != nil {
			t.Errorf("the same payload, now valid: %v", err)
		}
		synctest.Wait()
		if got, of := sim.reached(t, "p", n); got != of {
			t.Errorf("reached %d of %d", got, of)
		}
		for _, short := range [][]byte{nil, {0}, {0, 0}} {
			if err := n.Receive(t.Context(), from.id, short); err == nil {
				t.Errorf("frame %x was acknowledged", short)
			}
		}
	})
}

func TestKnownIsNotForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t, 20, 20)
		n := sim.nodes[0]
		n.verdict = func(string) Verdict { return Known }
		for range 3 {
			if err := n.Receive(t.Context(), sim.nodes[1].id, frame{payload: []byte("p")}.encode()); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if s := n.Stats(); s.Known != 1 || s.Duplicates != 2 || s.Sent != 0 || n.has("p") != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A copy with a smaller depth asks for more of the tree: for that and no more.
func TestDuplicateExpandsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{buckets: [][]peer.ID{{"a"}, {"b"}, {"c"}, {"d"}}}
		b := New(rec, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { return Fresh }})
		defer b.Close()
		for _, c := range []struct {
			depth int
			want  string
		}{{2, "c3 d4"}, {3, ""}, {2, ""}, {1, "b2"}, {0, "a1"}, {0, ""}} {
			rec.sent = nil
			if err := b.Receive(t.Context(), "x", frame{depth: c.depth, hop: 4, payload: []byte("p")}.encode()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := rec.list(); got != c.want {
				t.Errorf("depth %d: sent to %q, want %q", c.depth, got, c.want)
			}
		}
		if s := b.Stats(); s.New != 1 || s.Duplicates != 5 || s.MaxHop != 4 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Two copies come at once, and the verdict takes its time.
func TestCopiesShareOneVerdict(t *testing.T) {
	for _, verdict := range []Verdict{Fresh, Known, Invalid} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			b := New(&recorder{}, Config{Receive: func(context.Context, peer.ID, []byte) Verdict {
				calls++
				time.Sleep(time.Second)
				return verdict
			}})
			defer b.Close()
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					err := b.Receive(t.Context(), "x", frame{payload: []byte("p")}.encode())
					if (err != nil) != (verdict == Invalid) {
						t.Errorf("verdict %d: %v", verdict, err)
					}
				})
			}
			all.Wait()
			if calls != 1 {
				t.Errorf("judged %d times", calls)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			go b.Receive(t.Context(), "x", frame{payload: []byte("slow")}.encode())
			synctest.Wait()
			if err := b.Receive(ctx, "x", frame{payload: []byte("slow")}.encode()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waiting for the verdict: %v", err)
			}
			time.Sleep(time.Minute)
		})
	}
}

func TestTooManyAreNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{buckets: [][]peer.ID{{"a"}}, hang: true}
		b := New(rec, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { return Fresh }})
		for i := range maxForwards {
			if err := b.Receive(t.Context(), "x", frame{payload: fmt.Append(nil, i)}.encode()); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Receive(t.Context(), "x", frame{payload: []byte("p")}.encode()); !errors.Is(err, errBusy) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Publish(ctx, []byte("own")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("publish: %v", err)
		}
		time.Sleep(2 * sendTimeout) // all have given up
		rec.mu.Lock()
		rec.sent, rec.hang = nil, false
		rec.mu.Unlock()
		if err := b.Receive(t.Context(), "y", frame{payload: []byte("p")}.encode()); err != nil {
			t.Errorf("the copy that another contact sends: %v", err)
		}
		synctest.Wait()
		if rec.list() != "a1" {
			t.Errorf("sent %q", rec.list())
		}
		b.Close()
		if err := b.Publish(t.Context(), []byte("late")); !errors.Is(err, errClosed) {
			t.Errorf("publish after close: %v", err)
		}
	})
}

func TestCloseEndsForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(&recorder{buckets: [][]peer.ID{{"a", "b", "c"}}, hang: true}, Config{})
		if err := b.Publish(t.Context(), []byte("p")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Close() // the bubble fails the test if anything is left
		if s := b.Stats(); s.Sent != 2 || s.Failed != 2 {
			t.Errorf("stats %+v: want no failover after Close", s)
		}
	})
}

func TestSeenIsBounded(t *testing.T) {
	s := seen{byID: map[id]*entry{}}
	now := time.Unix(1e9, 0)
	for i := range maxSeen + 10 {
		s.add(idOf(fmt.Append(nil, i)), now)
	}
	if len(s.byID) != maxSeen || s.get(idOf([]byte("9"))) != nil || s.get(idOf([]byte("10"))) == nil {
		t.Errorf("%d entries", len(s.byID))
	}
	s.add(idOf([]byte("later")), now.Add(seenTime+time.Second))
	if len(s.byID) != 1 || len(s.order) != 1 {
		t.Errorf("%d entries after an hour", len(s.byID))
	}
}

// recorder notes who was sent what depth.
type recorder struct {
	buckets  [][]peer.ID
	attached []peer.ID
	mu       sync.Mutex
	hang     bool
	sent     []string
}

func (r *recorder) Buckets() [][]peer.ID { return r.buckets }
func (r *recorder) Attached() []peer.ID  { return r.attached }

func (r *recorder) Ask(context.Context, peer.ID, []byte) ([]byte, error) {
	return nil, errors.New("no answer")
}

func (r *recorder) Send(ctx context.Context, to peer.ID, data []byte) error {
	f, err := decode(data)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.sent = append(r.sent, fmt.Sprintf("%s%d", string(to), f.depth))
	hang := r.hang
	r.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// list is sorted by the order of buckets, which is that of names here.
func (r *recorder) list() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := ""
	for _, name := range "abcd" {
		for _, s := range r.sent {
			if rune(s[0]) == name {
				if out != "" {
					out += " "
				}
				out += s
			}
		}
	}
	return out
}

// A leaf gets each payload once, at a depth at which there is nobody left to
// forward to, whatever part of the tree its host answers for.
func TestLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{buckets: [][]peer.ID{{"a"}, {"b"}}, attached: []peer.ID{"c", "d"}}
		host := New(rec, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { return Fresh }})
		defer host.Close()
		for _, depth := range []int{255, 1, 0} { // the first claims that there is nothing to do
			if err := host.Receive(t.Context(), "x", frame{depth: depth, payload: []byte("p")}.encode()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if got, want := rec.list(), "a1 b2 c255 d255"; got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
		rec.sent = nil
		if err := host.Publish(t.Context(), []byte("own")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := rec.list(), "a1 b2 c255 d255"; got != want {
			t.Errorf("published to %s, want %s", got, want)
		}
	})
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 0, 'p'})
	f.Add([]byte{255, 255, 'p'})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		rec := &recorder{buckets: [][]peer.ID{{"a"}, {"b"}, {"c"}, {"d"}}}
		b := New(rec, Config{Receive: func(context.Context, peer.ID, []byte) Verdict { return Fresh }})
		err := b.Receive(t.Context(), "x", data)
		for len(b.forwards) > 0 {
			time.Sleep(time.Microsecond)
		}
		b.Close()
		if (err == nil) != (len(data) >= 3) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		want := 0
		if err == nil {
			want = max(0, 4-int(data[0]))
		}
		if len(rec.sent) != want {
			t.Fatalf("%d sent, want %d", len(rec.sent), want)
		}
	})
}

// Who sends a payload first may have its verification take for ever: copies of
// others do not wait so long.
func TestCopiesDoNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		verified := make(chan struct{})
		b := New(&recorder{}, Config{Receive: func(context.Context, peer.ID, []byte) Verdict {
			<-verified
			return Fresh
		}})
		defer b.Close()
		payload := frame{payload: []byte("p")}.encode()
		go b.Receive(t.Context(), "liar", payload)
		synctest.Wait()
		began := time.Now()
		if err := b.Receive(t.Context(), "honest", payload); err == nil || time.Since(began) != verifyPatience {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		close(verified)
		synctest.Wait()
		if err := b.Receive(t.Context(), "honest", payload); err != nil {
			t.Errorf("once it is verified: %v", err)
		}
	})
}

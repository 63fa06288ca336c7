package overlay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/komondor/komondor/overlay/kademlia"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"
)

// testNet is a network of whole nodes in memory. Tests run it in virtual time.
type testNet struct {
	t       testing.TB
	mn      mocknet.Mocknet
	nodes   []*testNode
	severed []network.Conn
}

type testNode struct {
	*Overlay
	mu      sync.Mutex
	got     map[string]int // payloads by text
	frames  map[string]int
	notices []string
	refuse  error
	delay   time.Duration // of each payload
}

func (n *testNode) setRefusal(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = err
}

func (n *testNode) setDelay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = d
}

func (n *testNode) collect(_ context.Context, _ peer.ID, _ [32]byte, payload []byte) error {
	n.mu.Lock()
	delay := n.delay
	n.mu.Unlock()
	time.Sleep(delay)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != nil {
		return n.refuse
	}
	n.got[string(payload)]++
	return nil
}

func (n *testNode) receive(_ context.Context, _ peer.ID, frame []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != nil {
		return n.refuse
	}
	n.frames[string(frame)]++
	return nil
}

func (n *testNode) has(payload string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.got[payload]
}

func (n *testNode) said(part string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, s := range n.notices {
		if bytes.Contains([]byte(s), []byte(part)) {
			count++
		}
	}
	return count
}

// startNode fills the config's hooks and starts.
func startNode(t testing.TB, c Config) *testNode {
	t.Helper()
	n := &testNode{got: map[string]int{}, frames: map[string]int{}}
	c.Notice = func(s string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.notices = append(n.notices, s)
	}
	o, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	n.Overlay = o
	o.Handle(n.collect, n.receive, nil)
	return n
}

// inBubble runs a test in virtual time, with a network of n nodes in memory. Not
// under the race detector, which crashes in bubbles with many timers
// (go.dev/issue/78156).
func inBubble(t *testing.T, n int, f func(t *testing.T, tn *testNet)) {
	if raceDetector {
		t.Skip("the race detector crashes in long synctest bubbles")
	}
	synctest.Test(t, func(t *testing.T) {
		tn := newTestNet(t)
		defer tn.close()
		tn.grow(n)
		f(t, tn)
	})
}

// inNet runs a test that needs no virtual time: under the race detector in a
// real network, otherwise in a bubble.
func inNet(t *testing.T, n int, f func(t *testing.T, tn *testNet)) {
	if raceDetector {
		f(t, realNet(t, n, "/ip4/127.0.0.1/tcp/0"))
		return
	}
	inBubble(t, n, f)
}

func newTestNet(t testing.TB) *testNet {
	return &testNet{t: t, mn: mocknet.New()}
}

// plug makes a host that is linked to all others.
func (tn *testNet) plug() host.Host {
	tn.t.Helper()
	h, err := tn.mn.GenPeer()
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, other := range tn.mn.Peers() {
		if other != h.ID() {
			if _, err := tn.mn.LinkPeers(h.ID(), other); err != nil {
				tn.t.Fatal(err)
			}
		}
	}
	return h
}

// add starts a node that joins through the given ones.
func (tn *testNet) add(seeds ...*testNode) *testNode {
	tn.t.Helper()
	return tn.start(Config{Host: tn.plug()}, seeds...)
}

// addMember starts a node of an organisation, or of none, which joins through the first.
func (tn *testNet) addMember(r *roll, organisation string) *testNode {
	tn.t.Helper()
	h := tn.plug()
	if organisation != "" {
		r.enrol(h.ID(), organisation)
	}
	return tn.start(Config{Host: h, Admission: &badge{roll: r, self: h.ID()}}, tn.nodes[:min(1, len(tn.nodes))]...)
}

func (tn *testNet) start(c Config, seeds ...*testNode) *testNode {
	tn.t.Helper()
	for _, s := range seeds {
		c.Bootstrap = append(c.Bootstrap, peer.AddrInfo{ID: s.ID(), Addrs: s.host.Addrs()})
	}
	n := startNode(tn.t, c)
	tn.nodes = append(tn.nodes, n)
	return n
}

// grow adds n nodes that join through the first one, and waits for full tables.
func (tn *testNet) grow(n int) {
	tn.t.Helper()
	for range n {
		if len(tn.nodes) == 0 {
			tn.add()
		} else {
			tn.add(tn.nodes[0])
		}
	}
	tn.settle()
}

// settle waits until all nodes that fit in a table know one another.
func (tn *testNet) settle() {
	tn.t.Helper()
	tn.settleAt(min(len(tn.nodes)-1, kademlia.K))
}

func (tn *testNet) settleAt(want int) {
	tn.t.Helper()
	until(tn.t, 3*time.Minute, "full tables", func() bool {
		for _, n := range tn.nodes {
			if _, size := n.Peers(); size < want {
				return false
			}
		}
		return true
	})
	time.Sleep(30 * time.Second) // virtual: the last look-ups of joining end
}

// kill makes a node unreachable, as a crash of its host does.
func (tn *testNet) kill(n *testNode) {
	for _, other := range tn.nodes {
		tn.severed = append(tn.severed, other.host.Network().ConnsToPeer(n.ID())...)
	}
	tn.severed = append(tn.severed, n.host.Network().Conns()...)
	for _, other := range tn.mn.Peers() {
		tn.mn.UnlinkPeers(n.ID(), other)
		tn.mn.DisconnectPeers(n.ID(), other)
	}
	tn.nodes = slices.DeleteFunc(tn.nodes, func(m *testNode) bool { return m == n })
	n.Close()
}

func (tn *testNet) close() {
	for _, n := range tn.nodes {
		if err := n.Close(); err != nil {
			tn.t.Error(err)
		}
	}
	tn.mn.Close()
	// The network in memory lets streams be opened on a connection that is being
	// severed, and forgets their other ends.
	for _, c := range tn.severed {
		for _, stream := range c.GetStreams() {
			stream.Reset()
		}
	}
}

// nearest is the truth about the collectors of a key.
func (tn *testNet) nearest(key [32]byte, r int) []*testNode {
	target := placeOfKey(key)
	sorted := slices.Clone(tn.nodes)
	slices.SortFunc(sorted, func(a, b *testNode) int {
		da, db := a.self.Distance(target), b.self.Distance(target)
		return bytes.Compare(da[:], db[:])
	})
	return sorted[:min(r, len(sorted))]
}

func ids(nodes []*testNode) (out []peer.ID) {
	for _, n := range nodes {
		out = append(out, n.ID())
	}
	return out
}

func testKey(i int) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "key %d", i)) }

// late reports whether something took too long, where that is no fault of the
// machine: in virtual time, which inNet does without under the race detector.
func late(start time.Time, limit time.Duration) bool {
	return !raceDetector && time.Since(start) > limit
}

// until waits for a condition; in virtual time the waiting costs nothing.
func until(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s after %s", what, limit)
		}
	}
}

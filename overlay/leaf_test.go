package overlay

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// addLeaf starts a leaf that joins through the first node. Nobody knows an address
// of it.
func (tn *testNet) addLeaf(r *roll, organisation string) *testNode {
	tn.t.Helper()
	h := tn.plug()
	c := Config{Host: h, Leaf: true}
	if r != nil {
		r.enrol(h.ID(), organisation)
		c.Admission = &badge{roll: r, self: h.ID()}
	}
	return tn.start(c, tn.nodes[0])
}

func (tn *testNet) hangs(leaf *testNode) {
	tn.t.Helper()
	until(tn.t, time.Minute, "three hosts", func() bool { return len(leaf.Hosts()) == leafHosts })
}

// A leaf hangs on three nodes, of three organisations, is in no table and collects
// nothing; its reports arrive like those of others.
func TestLeaf(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, tn *testNet) {
		roll := newRoll()
		for i := range 12 {
			tn.addMember(roll, fmt.Sprint(i%4))
		}
		tn.settle()
		leaf := tn.addLeaf(roll, "leafy")
		tn.hangs(leaf)
		of := map[string]bool{}
		for _, p := range leaf.Hosts() {
			of[roll.of[p]] = true
		}
		if len(of) != leafHosts {
			t.Errorf("its hosts are of %d organisations", len(of))
		}
		time.Sleep(5 * time.Minute) // it stays attached, and tables are refreshed
		hosts := leaf.Hosts()
		for k := range 20 {
			key, payload := testKey(k), fmt.Sprint(k)
			if acks, err := leaf.Deliver(t.Context(), key, 3, []byte(payload)); acks != 3 || err != nil {
				t.Fatalf("%d acks, %v", acks, err)
			}
			if leaf.has(payload) != 0 {
				t.Error("a leaf collects")
			}
		}
		for _, n := range tn.nodes {
			if n == leaf {
				continue
			}
			if n.dht.RoutingTable().Find(leaf.ID()) != "" {
				t.Error("a leaf is in a table")
			}
			want := []peer.ID(nil)
			if slices.Contains(hosts, n.ID()) {
				want = []peer.ID{leaf.ID()}
			}
			if got := n.Attached(); !slices.Equal(got, want) {
				t.Errorf("on a node hang %v, want %v", got, want)
			}
		}
		if err := tn.byID(hosts[0]).Send(t.Context(), leaf.ID(), []byte("frame")); err != nil {
			t.Errorf("a frame for a leaf: %v", err)
		}
	})
}

func (tn *testNet) byID(p peer.ID) *testNode {
	return tn.nodes[slices.IndexFunc(tn.nodes, func(n *testNode) bool { return n.ID() == p })]
}

// When a host is gone the leaf has another one at once, and a host soon forgets a
// leaf that is gone.
func TestLeafReplacesItsHosts(t *testing.T) {
	inBubble(t, 12, func(t *testing.T, tn *testNet) {
		leaf := tn.addLeaf(nil, "")
		tn.hangs(leaf)
		for range 5 {
			gone := leaf.Hosts()[1]
			began := time.Now()
			tn.kill(tn.byID(gone))
			until(t, time.Minute, "another host", func() bool {
				hosts := leaf.Hosts()
				return len(hosts) == leafHosts && !slices.Contains(hosts, gone)
			})
			if took := time.Since(began); took > time.Second {
				t.Errorf("another host after %s", took)
			}
		}
		host := tn.byID(leaf.Hosts()[0])
		tn.kill(leaf)
		until(t, time.Second, "nobody attached", func() bool { return len(host.Attached()) == 0 })
	})
}

// One that does not answer any more, and keeps its connections, is left, too.
func TestLeafLeavesAHungHost(t *testing.T) {
	inBubble(t, 8, func(t *testing.T, tn *testNet) {
		leaf := tn.addLeaf(nil, "")
		tn.hangs(leaf)
		hung := leaf.Hosts()[0]
		tn.byID(hung).host.SetStreamHandler(attachProtocol, func(s network.Stream) { io.Copy(io.Discard, s); s.Reset() })
		for _, c := range tn.byID(hung).host.Network().ConnsToPeer(leaf.ID()) {
			for _, s := range c.GetStreams() {
				s.Reset()
			}
		}
		until(t, 2*attachEvery, "another host", func() bool {
			hosts := leaf.Hosts()
			return len(hosts) == leafHosts && !slices.Contains(hosts, hung)
		})
	})
}

// There is room for so many, and no organisation takes it all.
func TestRoomForLeavesIsShared(t *testing.T) {
	var ls leaves
	now := time.Unix(1e9, 0)
	enter := func(i int, organisation string) ([]peer.ID, bool) {
		return ls.enter(peer.ID(fmt.Sprint(organisation, i)), organisation, now.Add(time.Duration(i)*time.Millisecond))
	}
	for i := range maxLeaves {
		if gone, ok := enter(i, "large"); gone != nil || !ok {
			t.Fatalf("leaf %d: %q had to go, let in: %v", i, gone, ok)
		}
	}
	if _, ok := enter(maxLeaves, "large"); ok {
		t.Error("one too many was let in")
	}
	if gone, ok := enter(0, "small"); !slices.Equal(gone, []peer.ID{peer.ID(fmt.Sprint("large", maxLeaves-1))}) || !ok {
		t.Errorf("another organisation's first: %q had to go, let in: %v", gone, ok)
	}
	if gone, ok := enter(0, "small"); gone != nil || !ok {
		t.Errorf("who is in already: %q had to go, let in: %v", gone, ok)
	}
	small := 1
	for i := range maxLeaves {
		if _, ok := enter(i+1, "small"); ok {
			small++
		}
	}
	if small != maxLeaves/2 || len(ls.of) != maxLeaves {
		t.Errorf("%d of %d belong to the second organisation", small, len(ls.of))
	}
	now = now.Add(2 * attachLease)
	if gone, ok := enter(0, "later"); len(gone) != maxLeaves || !ok || len(ls.of) != 1 {
		t.Errorf("when all are long gone: %d had to go, let in: %v, there are %d", len(gone), ok, len(ls.of))
	}
}

// A leaf over TCP has no address at all.
func TestLeafListensNowhere(t *testing.T) {
	tn := realNet(t, 4, "/ip4/127.0.0.1/tcp/0")
	leaf := startNode(t, Config{Identity: newKey(t), Private: true, Leaf: true,
		Bootstrap: []peer.AddrInfo{info(tn.nodes[0])}})
	t.Cleanup(func() { leaf.Close() })
	until(t, time.Minute, "hosts", func() bool { return len(leaf.Hosts()) == leafHosts })
	if addrs := leaf.Addrs(); len(addrs) != 0 {
		t.Errorf("it listens at %v", addrs)
	}
	if err := tn.byID(leaf.Hosts()[0]).Send(t.Context(), leaf.ID(), []byte("frame")); err != nil {
		t.Errorf("a frame for it: %v", err)
	}
	if acks, err := leaf.Deliver(t.Context(), testKey(1), 3, []byte("p")); acks != 3 || err != nil {
		t.Errorf("%d acks, %v", acks, err)
	}
}

package overlay

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// roll is the list of the members of a federation, which all nodes of a test
// read. What a member shows is its own name and organisation.
type roll struct {
	mu     sync.Mutex
	of     map[peer.ID]string // the organisation
	leaves map[peer.ID]bool
	tokens map[string]bool // invitations
}

func newRoll() *roll {
	return &roll{of: map[peer.ID]string{}, leaves: map[peer.ID]bool{}, tokens: map[string]bool{}}
}

func (r *roll) enrol(p peer.ID, organisation string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[p] = organisation
}

func (r *roll) revoke(p peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, p)
}

func (r *roll) has(p peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.of[p]
	return ok
}

// badge is the roll as one node uses it. A node with handshakes knows whom it
// has met, one without knows all.
type badge struct {
	*roll
	self  peer.ID
	shows string // instead of the badge
	mu    sync.Mutex
	met   map[peer.ID]bool // nil: all
}

func (b *badge) badge(p peer.ID) string { return fmt.Sprintf("%s of %s", p, b.of[p]) }

func (b *badge) Hello() []byte {
	b.roll.mu.Lock()
	defer b.roll.mu.Unlock()
	if b.shows != "" {
		return []byte(b.shows)
	}
	return []byte(b.badge(b.self))
}

func (b *badge) Welcome(from peer.ID, said []byte) ([]byte, bool, error) {
	b.roll.mu.Lock()
	token, invited := strings.CutPrefix(string(said), "invited by ")
	redeemed := invited && b.tokens[token]
	b.roll.mu.Unlock()
	if redeemed {
		return []byte("certificate for " + from.String()), false, nil
	}
	if err := b.Meet(from, said); err != nil {
		return nil, false, err
	}
	return b.Hello(), true, nil
}

func (b *badge) Meet(from peer.ID, said []byte) error {
	b.roll.mu.Lock()
	defer b.roll.mu.Unlock()
	if _, ok := b.of[from]; !ok || string(said) != b.badge(from) {
		return errors.New("no member")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.met[from] = true
	return nil
}

func (b *badge) Admitted(p peer.ID) bool {
	b.mu.Lock()
	met := b.met == nil || b.met[p]
	b.mu.Unlock()
	return met && b.has(p)
}

func (b *badge) Standing(p peer.ID) (string, bool) {
	b.roll.mu.Lock()
	defer b.roll.mu.Unlock()
	return b.of[p], !b.leaves[p]
}

// join starts a node on loopback that is enrolled, unless its organisation is empty.
func (r *roll) join(t testing.TB, organisation string, seeds ...*testNode) *testNode {
	t.Helper()
	return r.joinAs(t, organisation, "", seeds...)
}

// joinAs starts a node that shows something else than its badge.
func (r *roll) joinAs(t testing.TB, organisation, shows string, seeds ...*testNode) *testNode {
	t.Helper()
	key := newKey(t)
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if organisation != "" {
		r.enrol(id, organisation)
	}
	c := Config{Identity: key, Listen: addrs("/ip4/127.0.0.1/tcp/0"), Private: true,
		Admission: &badge{roll: r, self: id, shows: shows, met: map[peer.ID]bool{}}}
	for _, s := range seeds {
		c.Bootstrap = append(c.Bootstrap, info(s))
	}
	n := startNode(t, c)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// wantStranger says that a node has found no way in.
func wantStranger(t *testing.T, member *testNode, id peer.ID) {
	t.Helper()
	if c := member.host.Network().Connectedness(id); c == network.Connected {
		t.Error("a stranger is connected")
	}
	if member.dht.RoutingTable().Find(id) != "" {
		t.Error("a stranger is in the table")
	}
	if protocols, _ := member.host.Peerstore().GetProtocols(id); len(protocols) > 0 {
		t.Errorf("a stranger got as far as identify: %v", protocols)
	}
}

func TestMembersMeet(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("network", func(t *testing.T) {
		r := newRoll()
		tn := &testNet{t: t, nodes: []*testNode{r.join(t, "A")}}
		for _, organisation := range []string{"A", "B", "C"} {
			tn.nodes = append(tn.nodes, r.join(t, organisation, tn.nodes[0]))
		}
		until(t, time.Minute, "full tables", func() bool {
			for _, n := range tn.nodes {
				if _, table := n.Peers(); table < 3 {
					return false
				}
			}
			return true
		})
		for _, n := range tn.nodes {
			if acks, err := n.Deliver(t.Context(), testKey(1), 3, []byte("p")); acks != 3 || err != nil {
				t.Errorf("%d acks, %v", acks, err)
			}
			for _, c := range n.host.Network().Conns() {
				if s := c.ConnState(); s.Security != handshakeProtocol || !s.UsedEarlyMuxerNegotiation {
					t.Errorf("connection %+v: want our handshake, with the muxer agreed upon in it", s)
				}
			}
			if got := n.Endpoints(); len(got) != 3 || !got[0].Addr().IsLoopback() || got[0].Port() == got[1].Port() {
				t.Errorf("endpoints %v, want the listeners of 3 members", got)
			}
			if n.Stats().Refused != 0 || n.Expel() != 0 {
				t.Error("a member was refused or expelled")
			}
		}
	})
	until(t, time.Minute, "end of all goroutines", func() bool { return runtime.NumGoroutine() <= before })
}

func TestStrangersStayOut(t *testing.T) {
	r := newRoll()
	member := r.join(t, "A")
	stolen := fmt.Sprintf("%s of A", member.ID()) // not the thief's name
	for name, stranger := range map[string]*testNode{
		"no badge":       r.join(t, "", member),
		"another's":      r.joinAs(t, "", stolen, member),
		"nonsense":       r.joinAs(t, "", "nonsense", member),
		"an invitation":  r.joinAs(t, "", "invited by nobody", member),
		"open overlay":   real(t, "/ip4/127.0.0.1/tcp/0", info(member)),
		"over-long":      r.joinAs(t, "B", strings.Repeat("x", maxHello+1), member),
		"longest it can": r.joinAs(t, "", strings.Repeat("x", maxHello), member),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := "do not admit each other"
			if name == "open overlay" {
				want = "speaks another protocol"
			}
			until(t, time.Minute, "complaint "+want, func() bool { return stranger.said(want) == 1 })
			if err := stranger.host.Connect(t.Context(), info(member)); err == nil {
				t.Error("connected")
			}
			if err := stranger.Send(t.Context(), member.ID(), []byte("f")); err == nil {
				t.Error("a stranger's frame was acknowledged")
			}
			// nor the other way round
			if err := member.host.Connect(t.Context(), info(stranger)); err == nil {
				t.Error("a member connected to a stranger")
			}
			wantStranger(t, member, stranger.ID())
		})
	}
	t.Run("plain noise", func(t *testing.T) {
		h, err := libp2p.New(libp2p.NoListenAddrs)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if err := h.Connect(t.Context(), info(member)); err == nil {
			t.Error("connected")
		}
		wantStranger(t, member, h.ID())
	})
	t.Cleanup(func() {
		if got := member.Stats().Refused; got < 4 {
			t.Errorf("%d refusals counted", got)
		}
	})
}

// A member is revoked while it is connected, and its routes are cached.
func TestRevokedMemberIsExpelled(t *testing.T) {
	r := newRoll()
	first := r.join(t, "A")
	other, bad := r.join(t, "B", first), r.join(t, "C", first)
	until(t, time.Minute, "full tables", func() bool {
		_, a := first.Peers()
		_, b := other.Peers()
		_, c := bad.Peers()
		return a == 2 && b == 2 && c == 2
	})
	for _, n := range []*testNode{first, other, bad} {
		if acks, err := n.Deliver(t.Context(), testKey(1), 3, []byte("before")); acks != 3 || err != nil {
			t.Fatalf("%d acks, %v", acks, err)
		}
	}
	if err := bad.Send(t.Context(), first.ID(), []byte("before")); err != nil {
		t.Fatal(err)
	}
	r.revoke(bad.ID())
	if err := bad.Send(t.Context(), first.ID(), []byte("after")); err == nil {
		t.Error("a revoked member's frame went through on the open stream")
	}
	if got := first.Expel(); got != 1 {
		t.Errorf("%d expelled, want 1", got)
	}
	other.Expel()
	if got := first.Expel(); got != 0 {
		t.Errorf("%d expelled once more", got)
	}
	if first.routes.leadTo(bad.ID()) || first.dht.RoutingTable().Find(bad.ID()) != "" {
		t.Error("an expelled member is still in the table or the routes")
	}
	until(t, time.Minute, "end of the connections", func() bool {
		return bad.host.Network().Connectedness(first.ID()) != network.Connected
	})
	for range 3 {
		err := bad.host.Connect(network.WithForceDirectDial(t.Context(), "again"), info(first))
		if err == nil {
			t.Fatal("an expelled member came back")
		}
	}
	for _, n := range []*testNode{first, other} {
		if acks, err := n.Deliver(t.Context(), testKey(1), 3, []byte("after")); acks != 2 || err != nil {
			t.Errorf("%d acks, %v, want those of the two who are left", acks, err)
		}
		if n.host.Network().Connectedness(bad.ID()) == network.Connected {
			t.Error("an expelled member is connected")
		}
	}
	if bad.has("after") != 0 || first.frames["after"] != 0 {
		t.Error("something reached or came from an expelled member")
	}
}

// Without a handshake, as in virtual networks, who is not admitted gets no
// stream and no place, whatever the hosts' connections are.
func TestAdmissionWithoutHandshake(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, tn *testNet) {
		r := newRoll()
		for i := range 8 {
			tn.addMember(r, fmt.Sprint(i%4))
		}
		stranger := tn.addMember(r, "")
		tn.nodes = tn.nodes[:8]
		defer stranger.Close()
		tn.settleAt(7)
		time.Sleep(time.Minute)
		for k := range 10 {
			for _, n := range tn.nodes {
				got, err := n.Collectors(t.Context(), testKey(k), 3)
				if err != nil || len(got) != 3 {
					t.Errorf("%v, %v", got, err)
				}
				for _, p := range got {
					if p == stranger.ID() {
						t.Error("a stranger collects")
					}
				}
			}
		}
		member := tn.nodes[0]
		if _, err := tn.mn.ConnectPeers(stranger.ID(), member.ID()); err != nil {
			t.Fatal(err)
		}
		if err := stranger.Send(t.Context(), member.ID(), []byte("f")); err == nil {
			t.Error("a stranger's frame was acknowledged")
		}
		if _, err := stranger.Ask(t.Context(), member.ID(), nil); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("a stranger's question: %v, want no stream", err)
		}
		if err := member.Send(t.Context(), stranger.ID(), []byte("f")); err == nil {
			t.Error("a frame went to a stranger")
		}
		if got := stranger.ask(t.Context(), member.ID(), testKey(1)); got.err == nil {
			t.Error("a stranger was told about members")
		}
		if member.dht.RoutingTable().Find(stranger.ID()) != "" {
			t.Error("a stranger is in the table")
		}
		if got := member.Expel(); got != 1 {
			t.Errorf("%d expelled, want 1", got)
		}
	})
}

package overlay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

func newKey(t testing.TB) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func addrs(texts ...string) (out []multiaddr.Multiaddr) {
	for _, s := range texts {
		out = append(out, multiaddr.StringCast(s))
	}
	return out
}

// real starts a node on loopback that joins through the given addresses.
func real(t testing.TB, listen string, seeds ...peer.AddrInfo) *testNode {
	t.Helper()
	n := startNode(t, Config{Identity: newKey(t), Listen: addrs(listen), Private: true, Bootstrap: seeds})
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func info(n *testNode) peer.AddrInfo { return peer.AddrInfo{ID: n.ID(), Addrs: n.host.Addrs()} }

// realNet starts nodes that join through the first, each when all before know one another:
// a slow machine has a few handshakes to make at a time, and not some hundreds.
func realNet(t testing.TB, size int, listen string) *testNet {
	tn := &testNet{t: t, nodes: []*testNode{real(t, listen)}}
	for len(tn.nodes) < size {
		tn.nodes = append(tn.nodes, real(t, listen, info(tn.nodes[0])))
		until(t, 5*time.Minute, "full tables", func() bool {
			return !slices.ContainsFunc(tn.nodes, func(n *testNode) bool {
				_, table := n.Peers()
				return table < len(tn.nodes)-1
			})
		})
	}
	return tn
}

func TestRealNetwork(t *testing.T) {
	for _, listen := range []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"} {
		t.Run(listen, func(t *testing.T) {
			tn := realNet(t, 6, listen)
			for k := range 20 {
				for _, n := range tn.nodes {
					got, err := n.Collectors(t.Context(), testKey(k), 3)
					if want := ids(tn.nearest(testKey(k), 3)); err != nil || !slices.Equal(got, want) {
						t.Errorf("got %v, %v, want %v", got, err, want)
					}
				}
			}
			key := testKey(1)
			from, gone := tn.outsider(key, 4), tn.nearest(key, 1)[0]
			if acks, err := from.Deliver(t.Context(), key, 3, []byte("before")); acks != 3 || err != nil {
				t.Fatalf("%d acks, %v", acks, err)
			}
			tn.nodes = slices.DeleteFunc(tn.nodes, func(n *testNode) bool { return n == gone })
			if err := gone.Close(); err != nil {
				t.Error(err)
			}
			start := time.Now()
			if acks, err := from.Deliver(t.Context(), key, 3, []byte("after")); acks != 3 || err != nil {
				t.Fatalf("%d acks, %v", acks, err)
			}
			t.Logf("failover took %s", time.Since(start))
			tn.wantAt("after", tn.nearest(key, 3))
		})
	}
}

func TestStartErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	key := newKey(t)
	for _, c := range []struct {
		name string
		conf Config
		want string
	}{
		{"port in use", Config{Identity: key, Private: true, Listen: addrs("/ip4/127.0.0.1/udp/0/quic-v1", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))}, "port is in use"},
		{"not our address", Config{Identity: key, Private: true, Listen: addrs("/ip4/192.0.2.1/tcp/0")}, "no such address"},
		{"no transport", Config{Identity: key, Private: true, Listen: addrs("/ip4/127.0.0.1/udp/0")}, "/ip4/127.0.0.1/udp/0"},
		{"nowhere to listen", Config{Identity: key}, "no address to listen on"},
		{"no identity", Config{Listen: addrs("/ip4/127.0.0.1/tcp/0")}, "no identity"},
	} {
		o, err := New(t.Context(), c.conf)
		if err == nil {
			o.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(gone, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// Two nodes never share a port, though TCP could: port reuse is off.
func TestSecondNodeOnOnePort(t *testing.T) {
	first := real(t, "/ip4/127.0.0.1/tcp/0")
	_, err := New(t.Context(), Config{Identity: newKey(t), Private: true, Listen: first.host.Addrs()})
	if err == nil || !strings.Contains(err.Error(), "port is in use") {
		t.Errorf("got %v", err)
	}
}

func TestBootstrapComesLate(t *testing.T) {
	key := newKey(t)
	id, _ := peer.IDFromPrivateKey(key)
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := addrs(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", probe.Addr().(*net.TCPAddr).Port))
	probe.Close()
	early := real(t, "/ip4/127.0.0.1/tcp/0", peer.AddrInfo{ID: id, Addrs: listen})
	until(t, time.Minute, "complaint", func() bool { return early.said(listen[0].String()) > 0 && early.said("does not answer") > 0 })

	late := startNode(t, Config{Identity: key, Listen: listen, Private: true})
	defer late.Close()
	until(t, time.Minute, "contact", func() bool { _, n := early.Peers(); return n == 1 })
	until(t, time.Minute, "good news", func() bool { return early.said("connected") == 1 })
	if n := early.said("does not answer"); n != 1 {
		t.Errorf("said so %d times", n)
	}
}

func TestForeignBootstraps(t *testing.T) {
	stranger, err := libp2p.New(libp2p.ListenAddrs(addrs("/ip4/127.0.0.1/tcp/0")...))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	other := real(t, "/ip4/127.0.0.1/tcp/0")
	wrong, _ := peer.IDFromPrivateKey(newKey(t))
	n := real(t, "/ip4/127.0.0.1/tcp/0",
		peer.AddrInfo{ID: stranger.ID(), Addrs: stranger.Addrs()},
		peer.AddrInfo{ID: wrong, Addrs: other.host.Addrs()})
	until(t, time.Minute, "complaints", func() bool {
		return n.said("does not speak /komondor/1") == 1 && n.said("is now "+other.ID().String()) == 1
	})
	if _, table := n.Peers(); table != 0 {
		t.Error("a stranger is in the table")
	}
	if err := n.Send(t.Context(), stranger.ID(), []byte("f")); err == nil {
		t.Error("a stranger acknowledged a frame")
	}
}

func TestPrivateAddressesStayOut(t *testing.T) {
	lab := real(t, "/ip4/127.0.0.1/tcp/0")
	n := startNode(t, Config{Identity: newKey(t), Listen: addrs("/ip4/127.0.0.1/tcp/0"), Bootstrap: []peer.AddrInfo{info(lab)}})
	defer n.Close()
	if n.said("none of this node's addresses is public") != 1 {
		t.Errorf("notices %q", n.notices)
	}
	until(t, time.Minute, "complaint", func() bool { return n.said("only private addresses") == 1 })
	if err := n.host.Connect(t.Context(), info(lab)); err == nil {
		t.Error("a private address was dialled")
	}
	if len(n.Addrs()) != 0 {
		t.Errorf("announces %v", n.Addrs())
	}
	for _, c := range []struct {
		addr string
		want bool
	}{
		{"/ip4/127.0.0.1/tcp/1", false}, {"/ip4/10.1.2.3/tcp/1", false}, {"/ip4/192.168.0.1/udp/1/quic-v1", false},
		{"/ip4/100.64.0.1/tcp/1", false}, {"/ip4/169.254.1.1/tcp/1", false}, {"/ip4/0.0.0.0/tcp/1", false},
		{"/ip6/::1/tcp/1", false}, {"/ip6/fe80::1/tcp/1", false}, {"/ip6/fd00::1/tcp/1", false},
		{"/ip6/::ffff:10.0.0.1/tcp/1", false}, {"/ip6zone/eth0/ip6/fe80::1/tcp/1", false},
		{"/ip4/192.0.2.1/tcp/1", true}, {"/ip6/2001:db8::1/tcp/1", true}, {"/dns4/node.example/tcp/1", true},
	} {
		if got := len(usable(addrs(c.addr), false)) == 1; got != c.want {
			t.Errorf("%s usable: %v", c.addr, got)
		}
	}
}

// A first node has no bootstrap: after a restart on another port it finds back
// by those whom it remembers.
func TestRememberedContactsBringBack(t *testing.T) {
	tn := realNet(t, 4, "/ip4/127.0.0.1/tcp/0")
	until(t, time.Minute, "the first to know all", func() bool { return len(tn.nodes[0].Contacts(8)) == 3 })
	remembered := tn.nodes[0].Contacts(8)
	if got := tn.nodes[0].Contacts(2); len(got) != 2 {
		t.Errorf("asked for 2, got %d", len(got))
	}
	gone := peer.AddrInfo{ID: tn.nodes[0].ID(), Addrs: addrs("/ip4/127.0.0.1/tcp/1")}
	n := startNode(t, Config{Identity: newKey(t), Listen: addrs("/ip4/127.0.0.1/tcp/0"), Private: true,
		Remembered: append([]peer.AddrInfo{gone}, remembered...)})
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	until(t, time.Minute, "all to be back", func() bool { _, table := n.Peers(); return table >= 3 })
	if n.said("bootstrap") != 0 {
		t.Error("the operator was told of remembered members that are gone")
	}
}

func TestLoopbackIsAnnouncedWhereThereIsNothingElse(t *testing.T) {
	all := addrs("/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1", "/ip6/::1/tcp/1")
	if got := announced(all, true); len(got) != 1 || got[0].String() != "/ip4/192.168.1.2/tcp/1" {
		t.Errorf("announced %v", got)
	}
	if got := announced(addrs("/ip4/127.0.0.1/tcp/1"), true); len(got) != 1 {
		t.Errorf("announced %v of loopback alone", got)
	}
	if got := announced(all, false); len(got) != 0 {
		t.Errorf("announced %v on the Internet", got)
	}
}

func TestAnnouncedAddressesAreTold(t *testing.T) {
	outside := addrs("/ip4/198.51.100.7/tcp/4001")
	n := startNode(t, Config{Identity: newKey(t), Listen: addrs("/ip4/127.0.0.1/tcp/0"), Announce: outside, Private: true})
	defer n.Close()
	got := n.Addrs()
	told := func(a multiaddr.Multiaddr) bool { return strings.HasPrefix(a.String(), outside[0].String()+"/p2p/") }
	if len(got) != 2 || !slices.ContainsFunc(got, told) {
		t.Errorf("addresses %v", got)
	}
}

package overlay

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

var attempts = flag.Int("attempts", 300, "connection attempts of non-members")

// Non-members knock at a member over a cable, from many addresses, since loopback
// is free of libp2p's limits. None gets a connection, and a member who comes
// meanwhile gets in.
func TestSiege(t *testing.T) {
	sources := *attempts/40 + 1 // so few from each that the limits by address spare them
	outside := cable(t, sources)
	r := newRoll()
	key := newKey(t)
	id, _ := peer.IDFromPrivateKey(key)
	r.enrol(id, "A")
	member := startNode(t, Config{Identity: key, Listen: addrs("/ip4/198.18.0.1/tcp/4001"), Private: true,
		Admission: &badge{roll: r, self: id, met: map[peer.ID]bool{}}})
	defer member.Close()
	var strangers atomic.Int64
	member.host.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		if !r.has(c.RemotePeer()) {
			strangers.Add(1)
		}
	}})
	heap := watchHeap()

	start := time.Now()
	var knocks atomic.Int64
	var silent sync.Map // connections that are left open and say nothing
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			enter(t, outside)
			for n := knocks.Add(1); n <= int64(*attempts); n = knocks.Add(1) {
				if conn := besiege(member, int(n), sources); conn != nil {
					silent.Store(conn, nil)
				}
			}
		})
	}
	until(t, time.Minute, "half of the attempts", func() bool { return knocks.Load() > int64(*attempts/2) })
	began := time.Now()
	late := r.joinFrom(t, outside, member)
	until(t, time.Minute, "late member", func() bool { return late.Send(t.Context(), member.ID(), []byte("in")) == nil })
	in, under := time.Since(began), knocks.Load() <= int64(*attempts)
	all.Wait()
	took := time.Since(start)
	silent.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
	grown := heap()

	s := member.Stats()
	t.Logf("%d attempts of non-members from %d addresses in %s, %d of them refused after Noise", *attempts, sources, took.Round(time.Millisecond), s.Refused)
	// make faults gathers these rows.
	t.Logf("fault | connections, and so streams, of %d attempts of non-members | 0 | %d", *attempts, strangers.Load())
	t.Logf("fault | memory grows meanwhile, the attackers' included, by | 64 MiB at most | %d MiB", grown>>20)
	t.Logf("fault | a member joins meanwhile | 10 s | %s", in.Round(time.Millisecond))
	if strangers.Load() > 0 || s.Report.Received+s.Ask.Received > 0 || s.Broadcast.Received == 0 {
		t.Errorf("%d strangers were connected; stats %+v", strangers.Load(), s)
	}
	if grown > 64<<20 || in > 10*time.Second {
		t.Error("a target is missed")
	}
	if !under {
		t.Error("the siege was over before the member came: raise the attempts")
	}
	if s.Refused < uint64(*attempts/4) {
		t.Errorf("only %d attempts got as far as the handshake", s.Refused)
	}
}

// besiege is one attempt of a non-member. It returns a connection that is open
// still because nobody has said anything yet.
func besiege(member *testNode, n, sources int) net.Conn {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: source(n % sources)}}
	raw, err := d.Dial("tcp", "198.18.0.1:4001")
	if err != nil {
		return nil
	}
	if n%50 == 0 {
		return raw
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(5 * time.Second))
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil
	}
	id := handshakeProtocol
	if n%5 == 0 {
		id = noise.ID
	}
	if multistream.SelectProtoOrFail(id, raw) != nil {
		return nil
	}
	transport, err := noise.New(id, key, nil)
	if err != nil {
		return nil
	}
	conn, err := transport.SecureOutbound(context.Background(), raw, member.ID())
	if err != nil {
		return nil
	}
	switch n % 4 {
	case 0: // no certificate
		writeHello(conn, nil)
	case 1: // another's
		writeHello(conn, member.admission.Hello())
	case 2: // over-long
		conn.Write([]byte{0xff, 0xff, 1, 2, 3})
	case 3: // none, but a stream at once, which reads like the beginning of a hello
		raw.SetDeadline(time.Now().Add(200 * time.Millisecond))
		multistream.SelectProtoOrFail(yamux.ID, conn)
	}
	io.Copy(io.Discard, conn)
	return nil
}

func source(i int) net.IP { return net.IPv4(198, 18, byte(1+i/250), byte(1+i%250)) }

// joinFrom starts a member in another network namespace: its own host, but one
// that dials there.
func (r *roll) joinFrom(t *testing.T, ns netns.NsHandle, seed *testNode) *testNode {
	t.Helper()
	key := newKey(t)
	id, _ := peer.IDFromPrivateKey(key)
	r.enrol(id, "B")
	b := &badge{roll: r, self: id, met: map[peer.ID]bool{}}
	dialer := func(multiaddr.Multiaddr) (tcp.ContextDialer, error) { return dialerIn{t, ns}, nil }
	h, err := libp2p.New(libp2p.Identity(key), libp2p.NoListenAddrs, libp2p.NoTransports, libp2p.DisableRelay(),
		libp2p.Transport(tcp.NewTCPTransport, tcp.WithDialerForAddr(dialer)),
		libp2p.Security(string(handshakeProtocol), newHandshake(b, new(atomic.Uint64))),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport))
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, Config{Host: h, Admission: b, Bootstrap: []peer.AddrInfo{info(seed)}})
	t.Cleanup(func() {
		if err := errors.Join(n.Close(), h.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

type dialerIn struct {
	t  *testing.T
	ns netns.NsHandle
}

func (d dialerIn) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		enter(d.t, d.ns)
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(198, 18, 0, 2)}}
		conn, err = dialer.DialContext(ctx, network, address)
	}()
	<-done
	return conn, err
}

// enter puts the calling goroutine into the namespace for good: its thread ends
// with it.
func enter(t *testing.T, ns netns.NsHandle) {
	runtime.LockOSThread()
	if err := netns.Set(ns); err != nil {
		t.Error(err)
	}
}

// cable makes two network namespaces that a cable joins, 198.18.0.1 on the side
// of the caller, who stays on its thread, and the rest on the other.
func cable(t *testing.T, sources int) (outside netns.NsHandle) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	runtime.LockOSThread()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("laboratory: %v", err)
		}
	}
	home, err := netns.Get()
	check(err)
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Errorf("leave the laboratory: %v", err) // and keep the thread, which dies with the goroutine
			return
		}
		home.Close()
		runtime.UnlockOSThread()
	})
	outside, err = netns.New()
	check(err)
	t.Cleanup(func() { outside.Close() })
	inside, err := netns.New()
	check(err)
	t.Cleanup(func() { inside.Close() })
	check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "inside"}, PeerName: "outside", PeerNamespace: netlink.NsFd(outside)}))
	up := func(name string, ips ...net.IP) {
		link, err := netlink.LinkByName(name)
		check(err)
		check(netlink.LinkSetUp(link))
		for _, ip := range ips {
			check(netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(15, 32)}}))
		}
	}
	check(netns.Set(outside))
	ips := []net.IP{net.IPv4(198, 18, 0, 2)}
	for i := range sources {
		ips = append(ips, source(i))
	}
	up("outside", ips...)
	check(netns.Set(inside))
	up("inside", net.IPv4(198, 18, 0, 1))
	return outside
}

// watchHeap returns a function that tells by how much the heap has grown at its
// highest, and ends the watch.
func watchHeap() func() uint64 {
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	first := inUse()
	highest := first
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-time.After(100 * time.Millisecond):
				highest = max(highest, inUse())
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return max(highest, inUse()) - first
	}
}

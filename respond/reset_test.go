package respond

import (
	"fmt"
	"iter"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	host4, host6     = "198.51.100.1", "2001:db8:1::1"
	victim4, victim6 = "198.51.100.80", "2001:db8:1::80"
)

// lab is two network namespaces joined by a cable: that of the host that takes part in
// an attack, in which the test runs, and that of the victim, whose answers to strangers
// all go by way of the host.
type lab struct {
	*testing.T
	host, victim netns.NsHandle
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	runtime.LockOSThread()
	l := &lab{T: t}
	before, err := netns.Get()
	l.check(err)
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Errorf("leave the laboratory: %v", err) // and keep the thread, which dies with the goroutine
			return
		}
		before.Close()
		runtime.UnlockOSThread()
	})
	l.victim, err = netns.New()
	l.check(err)
	l.host, err = netns.New()
	l.check(err)
	t.Cleanup(func() { l.victim.Close(); l.host.Close() })
	l.check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "inside"}, PeerName: "outside", PeerNamespace: netlink.NsFd(l.victim)}))
	// A router would tell the victim that it knows no such strangers.
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		l.check(os.WriteFile("/proc/sys/net/"+name, []byte("0"), 0o644))
	}
	l.up("inside", host4+"/24", host6+"/64")
	l.outside(func() {
		link := l.up("outside", victim4+"/24", victim6+"/64")
		for gateway, all := range map[string]string{host4: "0.0.0.0/0", host6: "::/0"} {
			_, to, err := net.ParseCIDR(all)
			l.check(err)
			l.check(netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to, Gw: net.ParseIP(gateway)}))
		}
	})
	return l
}

func (l *lab) check(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *lab) up(name string, addresses ...string) netlink.Link {
	l.Helper()
	for _, name := range []string{"lo", name} {
		link, err := netlink.LinkByName(name)
		l.check(err)
		l.check(netlink.LinkSetUp(link))
	}
	link, err := netlink.LinkByName(name)
	l.check(err)
	for _, a := range addresses {
		addr, err := netlink.ParseAddr(a)
		l.check(err)
		addr.Flags = 2 // IFA_F_NODAD: usable at once
		l.check(netlink.AddrAdd(link, addr))
	}
	return link
}

// outside runs f in the victim's namespace.
func (l *lab) outside(f func()) {
	l.Helper()
	l.check(netns.Set(l.victim))
	defer func() { l.check(netns.Set(l.host)) }()
	f()
}

// backlog is how many connections the victim holds half-open.
func (l *lab) backlog() (n int) {
	l.Helper()
	l.outside(func() {
		for _, name := range []string{"tcp", "tcp6"} {
			text, err := os.ReadFile("/proc/thread-self/net/" + name)
			l.check(err)
			for line := range strings.Lines(string(text)) {
				if words := strings.Fields(line); len(words) > 3 && words[3] == "03" { // SYN_RECV
					n++
				}
			}
		}
	})
	return n
}

// flood begins connections in the names of strangers, as an attacker's program would.
func (l *lab) flood(n int, server string) (begun []Conn) {
	l.Helper()
	to := netip.MustParseAddrPort(server)
	raw, err := openRaw(to.Addr(), 0)
	l.check(err)
	defer raw.close()
	for i := range n {
		client := netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		if to.Addr().Is6() {
			client = netip.MustParseAddr(fmt.Sprintf("2001:db8:2::%x", i+1))
		}
		c := Conn{netip.AddrPortFrom(client, uint16(5000+i)), to, uint32(i) * 1000, time.Now()}
		l.check(raw.send(l.syn(c)))
		begun = append(begun, c)
	}
	return begun
}

func (l *lab) syn(c Conn) []byte {
	l.Helper()
	source, target := c.Client.Addr().AsSlice(), c.Server.Addr().AsSlice()
	tcp := &layers.TCP{SrcPort: layers.TCPPort(c.Client.Port()), DstPort: layers.TCPPort(c.Server.Port()), Seq: c.ISN, SYN: true, Window: 1024}
	var ip gopacket.SerializableLayer
	var err error
	if c.Server.Addr().Is4() {
		four := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: source, DstIP: target}
		ip, err = four, tcp.SetNetworkLayerForChecksum(four)
	} else {
		six := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: source, DstIP: target}
		ip, err = six, tcp.SetNetworkLayerForChecksum(six)
	}
	l.check(err)
	b := gopacket.NewSerializeBuffer()
	l.check(gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp))
	return b.Bytes()
}

// tap captures what leaves and enters the host from now on; resets stops it and counts
// the resets that left by the connection that they end.
func (l *lab) tap() (resets func() map[Conn]int) {
	l.Helper()
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
	l.check(err)
	l.Cleanup(func() { unix.Close(fd) })
	l.check(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20))
	return func() map[Conn]int {
		found := map[Conn]int{}
		for b := make([]byte, 2000); ; {
			n, from, err := unix.Recvfrom(fd, b, 0)
			if err != nil {
				return found
			}
			if link, ok := from.(*unix.SockaddrLinklayer); !ok || link.Pkttype != unix.PACKET_OUTGOING {
				continue
			}
			p := gopacket.NewPacket(b[:n], layers.LayerTypeEthernet, gopacket.Default)
			tcp, ok := p.TransportLayer().(*layers.TCP)
			if !ok || !tcp.RST {
				continue
			}
			source, target := p.NetworkLayer().NetworkFlow().Endpoints()
			ends := func(e gopacket.Endpoint, port layers.TCPPort) netip.AddrPort {
				return netip.AddrPortFrom(netip.MustParseAddr(e.String()), uint16(port))
			}
			found[Conn{Client: ends(source, tcp.SrcPort), Server: ends(target, tcp.DstPort), ISN: tcp.Seq - 1}]++
		}
	}
}

// known is a list of connections as something that knows them.
type known []Conn

func (k known) HalfOpen(server netip.AddrPort) iter.Seq[Conn] {
	return func(yield func(Conn) bool) {
		for _, c := range k {
			if c.Server.Addr() == server.Addr() && (server.Port() == 0 || server.Port() == c.Server.Port()) && !yield(c) {
				return
			}
		}
	}
}

// TestFloodIsUndone is the paper's first counter measure, in both families: one reset for
// each half-open connection, none for others, and the victim is rid of them.
func TestFloodIsUndone(t *testing.T) {
	l := newLab(t)
	for _, server := range []string{victim4 + ":80", "[" + victim6 + "]:80"} {
		l.floodIsUndone(server)
	}
}

func (l *lab) floodIsUndone(server string) {
	l.Helper()
	var listener net.Listener
	l.outside(func() {
		var err error
		listener, err = net.Listen("tcp", server)
		l.check(err)
	})
	defer listener.Close()
	// A connection that stands, of which the packets that completed it were missed.
	honest, err := net.Dial("tcp", server)
	l.check(err)
	defer honest.Close()
	local, remote := netip.MustParseAddrPort(honest.LocalAddr().String()), netip.MustParseAddrPort(server)

	resets := l.tap()
	begun := l.flood(50, server)
	for deadline := time.Now().Add(5 * time.Second); l.backlog() < 50; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatalf(server+": the flood reached %d of 50", l.backlog())
		}
	}
	asked := time.Now()
	late := Conn{Client: netip.MustParseAddrPort("192.0.2.200:1"), Server: remote, Begun: asked.Add(time.Millisecond)}
	u := ResetUnit{HalfOpen: known(append(slices.Clone(begun), begun[0], Conn{Client: local, Server: remote, ISN: 7}, late)), Settle: 10 * time.Millisecond}
	a := Action{Name: ResetHalfOpen, Target: remote.Addr(), Port: 80}
	if plan, err := u.Plan(l.Context(), asked, a); plan != "would send 50 resets and close 0 sockets" || err != nil {
		l.Errorf(server+": plan %q, %v", plan, err)
	}
	did, err := u.Do(l.Context(), asked, a)
	if did != "50 resets sent, 0 of 0 sockets closed" || err != nil {
		l.Fatalf(server+": did %q, %v", did, err)
	}
	sent := resets()
	if len(sent) != len(begun) {
		l.Errorf(server+": resets of %d connections, want %d", len(sent), len(begun))
	}
	for _, c := range begun {
		c.Begun = time.Time{}
		if sent[c] != 1 {
			l.Errorf(server+": %d resets of %v", sent[c], c)
		}
	}
	if n := l.backlog(); n != 0 {
		l.Errorf(server+": the victim still holds %d", n)
	}
	if _, err := honest.Write([]byte("goes on")); err != nil {
		l.Errorf(server+": the connection that stood: %v", err)
	}
}

// TestCallingSocketsAreClosed: an attacker's sockets that call and get no answer.
func TestCallingSocketsAreClosed(t *testing.T) {
	l := newLab(t)
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs the nft program, for a victim that keeps silent")
	}
	l.outside(func() {
		out, err := exec.Command("nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in tcp dport 80 drop").CombinedOutput()
		if err != nil {
			t.Fatalf("nft: %v\n%s", err, out)
		}
	})
	var calling []int
	for range 5 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		l.check(err)
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: netip.MustParseAddr(victim4).As4()}); err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		calling = append(calling, fd)
	}
	u := ResetUnit{Settle: 10 * time.Millisecond}
	did, err := u.Do(t.Context(), time.Now(), Action{Name: ResetHalfOpen, Target: netip.MustParseAddr(victim4)})
	if err != nil {
		t.Fatal(err)
	}
	if did == "0 resets sent, 0 of 5 sockets closed" {
		t.Skip("this kernel closes no sockets (CONFIG_INET_DIAG_DESTROY)")
	}
	if did != "0 resets sent, 5 of 5 sockets closed" {
		t.Errorf("did %q", did)
	}
	for _, fd := range calling {
		if code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); syscall.Errno(code) != unix.ECONNABORTED {
			t.Errorf("a socket's error is %v, %v", syscall.Errno(code), err)
		}
	}
}

func TestResetsNeedATarget(t *testing.T) {
	for _, target := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("0.0.0.0")} {
		if _, err := (ResetUnit{}).Plan(t.Context(), time.Now(), Action{Name: ResetHalfOpen, Target: target}); err == nil {
			t.Errorf("%s is taken", target)
		}
	}
}

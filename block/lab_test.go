package block

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// patience is how long a packet may take in the laboratory before it counts as dropped.
const patience = 700 * time.Millisecond

const (
	host4, attacker4, stranger4 = "198.51.100.1", "198.51.100.7", "198.51.100.8"
	quiet4                      = "198.51.100.9" // sends what the test counts, and nothing else
	host6, attacker6, stranger6 = "2001:db8:1::1", "2001:db8:a:b::7", "2001:db8:a:c::8"
)

// A lab is two network namespaces joined by a cable: that of the host, in which
// the test runs, and that of the attackers.
type lab struct {
	*testing.T
	host, outside netns.NsHandle
}

// newLab must be called by the goroutine that runs the test, which stays on its thread.
func newLab(t testing.TB) (host, outside netns.NsHandle) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("needs the nft program, to compare with")
	}
	runtime.LockOSThread()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("laboratory: %v", err)
		}
	}
	before, err := netns.Get()
	check(err)
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Errorf("leave the laboratory: %v", err) // and keep the thread, which dies with the goroutine
			return
		}
		before.Close()
		runtime.UnlockOSThread()
	})
	outside, err = netns.New()
	check(err)
	t.Cleanup(func() { outside.Close() })
	host, err = netns.New()
	check(err)
	t.Cleanup(func() { host.Close() })

	check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "inside"}, PeerName: "outside", PeerNamespace: netlink.NsFd(outside)}))
	up := func(name string, addresses ...string) net.HardwareAddr {
		for _, name := range []string{"lo", name} {
			link, err := netlink.LinkByName(name)
			check(err)
			check(netlink.LinkSetUp(link))
		}
		link, err := netlink.LinkByName(name)
		check(err)
		for _, a := range addresses {
			addr, err := netlink.ParseAddr(a)
			check(err)
			addr.Flags = 2 // IFA_F_NODAD: usable at once
			check(netlink.AddrAdd(link, addr))
		}
		return link.Attrs().HardwareAddr
	}
	// Neighbour discovery is IPv6, and so is blocked with all else: while it
	// was, the kernel may have given the neighbour up for a second.
	know := func(name string, mac net.HardwareAddr, addresses ...string) {
		link, err := netlink.LinkByName(name)
		check(err)
		for _, a := range addresses {
			check(netlink.NeighAdd(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(a), HardwareAddr: mac}))
		}
	}
	hostMAC := up("inside", host4+"/24", host6+"/32")
	check(netns.Set(outside))
	outsideMAC := up("outside", attacker4+"/24", stranger4+"/24", quiet4+"/24", attacker6+"/32", stranger6+"/32")
	know("outside", hostMAC, host6)
	check(netns.Set(host))
	know("inside", outsideMAC, attacker6, stranger6)
	return host, outside
}

// startLab is for tests that may run beside others.
func startLab(t *testing.T) *lab {
	t.Parallel()
	host, outside := newLab(t)
	return &lab{t, host, outside}
}

// outsideDo runs f in the attackers' namespace.
func (l *lab) outsideDo(f func()) {
	l.Helper()
	if err := netns.Set(l.outside); err != nil {
		l.Fatal(err)
	}
	defer func() {
		if err := netns.Set(l.host); err != nil {
			l.Fatal(err)
		}
	}()
	f()
}

func (l *lab) nft(args ...string) string {
	l.Helper()
	out, err := exec.Command("nft", args...).CombinedOutput()
	if err != nil {
		l.Fatalf("nft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func addrPort(addr string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
}

// tcp connects from one address to a listener on the other.
func (l *lab) tcp(from, to string, port uint16, outbound bool) (passed bool) {
	l.Helper()
	return l.connect(addrPort(from, 0), addrPort(to, port), outbound)
}

func (l *lab) connect(from, to netip.AddrPort, outbound bool) (passed bool) {
	l.Helper()
	serve := func() net.Listener {
		server, err := net.Listen("tcp", to.String())
		if err != nil {
			l.Fatal(err)
		}
		return server
	}
	dial := func() {
		d := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(from)}
		if conn, err := d.Dial("tcp", to.String()); err == nil {
			conn.Close()
			passed = true
		}
	}
	var server net.Listener
	if outbound {
		l.outsideDo(func() { server = serve() })
		dial()
	} else {
		server = serve()
		l.outsideDo(dial)
	}
	server.Close()
	return passed
}

// tcpLocal connects the host to itself.
func (l *lab) tcpLocal(addr string, port uint16) bool {
	l.Helper()
	server, err := net.Listen("tcp", addrPort(addr, port).String())
	if err != nil {
		l.Fatal(err)
	}
	defer server.Close()
	conn, err := net.DialTimeout("tcp", server.Addr().String(), patience)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// udp sends a packet of 100 bytes from one address to the other, inbound or outbound.
func (l *lab) udp(from, to string, port uint16) (passed bool) {
	l.Helper()
	open := func(addr string, port uint16) (c *net.UDPConn) {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(addr, port)))
		if err != nil {
			l.Fatal(err)
		}
		return c
	}
	var sender, receiver *net.UDPConn
	if from == host4 || from == host6 {
		sender = open(from, 0)
		l.outsideDo(func() { receiver = open(to, port) })
	} else {
		receiver = open(to, port)
		l.outsideDo(func() { sender = open(from, 0) })
	}
	defer sender.Close()
	defer receiver.Close()
	if _, err := sender.WriteToUDPAddrPort(make([]byte, 100), addrPort(to, port)); err != nil {
		return false // a local drop is told to the sender
	}
	receiver.SetReadDeadline(time.Now().Add(patience))
	n, _ := receiver.Read(make([]byte, 200))
	return n == 100
}

// ping sends an ICMP echo request from outside to the host.
func (l *lab) ping(from string) (answered bool) {
	l.Helper()
	var conn *net.IPConn
	l.outsideDo(func() {
		var err error
		if conn, err = net.ListenIP("ip4:icmp", &net.IPAddr{IP: net.ParseIP(from)}); err != nil {
			l.Fatal(err)
		}
	})
	defer conn.Close()
	echo := []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1} // type, code, checksum, id, sequence
	if _, err := conn.WriteTo(echo, &net.IPAddr{IP: net.ParseIP(host4)}); err != nil {
		l.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	reply := make([]byte, 64)
	n, _, _ := conn.ReadFrom(reply) // without the IP header, which Read would leave
	return n == len(echo) && reply[0] == 0
}

// firewall opens and sets up a firewall in the host's namespace.
func (l *lab) firewall(o Options) *Firewall {
	l.Helper()
	f, err := NewFirewall(o)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { f.Close() })
	if err := f.Setup(l.Context()); err != nil {
		l.Fatal(err)
	}
	return f
}

func (l *lab) block(f *Firewall, ttl time.Duration, prefixes ...string) {
	l.Helper()
	var entries []Entry
	for _, p := range prefixes {
		entries = append(entries, Entry{netip.MustParsePrefix(p), ttl})
	}
	if err := f.Add(l.Context(), entries); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) counters(f *Firewall, prefixes ...string) map[netip.Prefix]Counter {
	l.Helper()
	var asked []netip.Prefix
	for _, p := range prefixes {
		asked = append(asked, netip.MustParsePrefix(p))
	}
	counters, err := f.Counters(l.Context(), asked...)
	if err != nil {
		l.Fatal(err)
	}
	return counters
}

// eventually waits for a condition.
func (l *lab) eventually(within time.Duration, what string, holds func() bool) {
	l.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !holds(); <-tick.C {
		if time.Now().After(end) {
			l.Fatalf("%s: not within %s", what, within)
		}
	}
}

const childTTL = "KOMONDOR_BLOCK_CHILD"

// TestMain is also the process that blocks the attacker and is then killed.
func TestMain(m *testing.M) {
	text, child := os.LookupEnv(childTTL)
	if !child {
		os.Exit(m.Run())
	}
	ttl, err := time.ParseDuration(text)
	if err == nil {
		err = blockAndHang(ttl)
	}
	fmt.Println(err)
	os.Exit(1)
}

func blockAndHang(ttl time.Duration) error {
	ctx := context.Background()
	f, err := NewFirewall(Options{})
	if err != nil {
		return err
	}
	if err := f.Setup(ctx); err != nil {
		return err
	}
	if err := f.Add(ctx, []Entry{{netip.MustParsePrefix(attacker4 + "/32"), ttl}}); err != nil {
		return err
	}
	fmt.Println("blocked")
	_, err = io.Copy(io.Discard, os.Stdin) // until killed
	return err
}

// killedChild runs the child in the host's namespace, and kills it once it has blocked.
func (l *lab) killedChild(ttl time.Duration) {
	l.Helper()
	self, err := os.Executable()
	if err != nil {
		l.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childTTL+"="+ttl.String())
	stdin, err := child.StdinPipe()
	if err != nil {
		l.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		l.Fatal(err)
	}
	if err := child.Start(); err != nil {
		l.Fatal(err)
	}
	said := make([]byte, 200)
	n, _ := stdout.Read(said)
	child.Process.Kill()
	child.Wait()
	if !bytes.Equal(said[:n], []byte("blocked\n")) {
		l.Fatalf("the child says %q", said[:n])
	}
}

//go:build linux

package packet

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// inNamespace moves the test to a network namespace of its own, with a pair of
// Ethernet devices that are each other's far end, and everything else silent.
func inNamespace(t testing.TB, near, far string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces, devices and packet sockets")
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no network namespace: %v", err)
	}
	t.Cleanup(func() {
		netns.Set(before)
		ns.Close()
		before.Close()
		runtime.UnlockOSThread()
	})
	// Without IPv6 no device speaks by itself.
	for _, which := range []string{"all", "default"} {
		os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0o644)
	}
	addPair(t, near, far)
}

func addPair(t testing.TB, near, far string) {
	t.Helper()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: near, HardwareAddr: serverMAC}, PeerName: far, PeerHardwareAddr: clientMAC}); err != nil {
		t.Skipf("no pair of devices (veth): %v", err)
	}
	for _, name := range []string{near, far} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

// sender sends frames from a device.
func sender(t testing.TB, device string) (send func(frame []byte)) {
	t.Helper()
	link, err := netlink.LinkByName(device)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	to := &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index, Halen: 6}
	return func(frame []byte) {
		if err := unix.Sendto(fd, frame, 0, to); err != nil {
			t.Error(err)
		}
	}
}

func TestLive(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inNamespace(t, "c1near", "c1far")
	const n = 20_000
	ip := ip4(layers.IPProtocolTCP)
	plain := build(t, etherTo(layers.EthernetTypeIPv4), ip, tcpOver(ip), text("numbered"))
	tagged := build(t, etherTo(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeDot1Q},
		&layers.Dot1Q{VLANIdentifier: 42, Type: layers.EthernetTypeIPv4}, ip, tcpOver(ip), text("numbered"))
	single := build(t, etherTo(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4}, ip, tcpOver(ip), text("numbered"))

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l, err := Listen(Device{Name: "c1near", Promiscuous: true})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().UnixNano()
	incoming, outwards := sender(t, "c1far"), sender(t, "c1near")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			frame := [][]byte{plain, tagged, single}[i%3]
			binary.BigEndian.PutUint64(frame[len(frame)-8:], uint64(i))
			if i%100 == 0 {
				outwards(frame)
			} else {
				incoming(frame)
			}
		}
	}()
	seen := 0
	err = l.Each(ctx, func(p *Packet) error {
		if len(p.Payload) != 8 {
			return fmt.Errorf("a stranger: %+v", p)
		}
		i := seen
		seen++
		vlan, length := []uint16{0, 42, 7}[i%3], []int{len(plain), len(tagged), len(single)}[i%3]
		if got := int(binary.BigEndian.Uint64(p.Payload)); got != i || p.Number != int64(i+1) {
			return fmt.Errorf("packet %d came as %d, number %d", got, i, p.Number)
		}
		if p.Source.String() != "203.0.113.9" || p.SourcePort != 40000 || p.TargetPort != 22 || p.Flags != SYN || p.Protocol != TCP {
			return fmt.Errorf("packet %d: %+v", i, p)
		}
		if p.VLAN != vlan || p.Outgoing != (i%100 == 0) || p.SourceMAC != [6]byte(clientMAC) || p.Length != length || p.FromDevice == 0 {
			return fmt.Errorf("packet %d: %+v, want VLAN %d, outgoing %v, from %v, %d bytes", i, p, vlan, i%100 == 0, clientMAC, length)
		}
		if p.Time < begin-1e9 || p.Time > time.Now().UnixNano()+1e9 {
			return fmt.Errorf("packet %d is of %v", i, time.Unix(0, p.Time))
		}
		if seen == n {
			cancel()
		}
		return nil
	})
	<-sent
	if err != nil || seen != n {
		t.Fatalf("%d packets of %d, error %v, %+v", seen, n, err, l.Stats())
	}
	if s := l.Stats(); s.Handed != n || s.Dropped != 0 {
		t.Errorf("%+v, want %d handed on", s, n)
	}
}

// TestLiveDrops sends more than the ring holds before anybody reads: what is lost must
// be counted and told of, and what is not be right, if cut to the snaplen.
func TestLiveDrops(t *testing.T) {
	inNamespace(t, "c1near", "c1far")
	const n = 20_000
	ip := ip4(layers.IPProtocolUDP)
	frame := build(t, etherTo(layers.EthernetTypeIPv4), ip, udpOver(ip, 53), text(strings.Repeat("x", 500)))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var notices []string
	l, err := Listen(Device{Name: "c1near", RingMiB: 1, Snaplen: 64,
		Notice: func(notice string) { notices = append(notices, notice) },
		Tick: func(int64) error { // a second later: all that there was is read
			cancel()
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	send := sender(t, "c1far")
	for range n {
		send(frame)
	}
	err = l.Each(ctx, func(p *Packet) error {
		if len(p.Payload) != 64-14-20-8 || p.PayloadLength != 500 || p.Length != len(frame) {
			return fmt.Errorf("%d bytes of %d, of a frame of %d", len(p.Payload), p.PayloadLength, p.Length)
		}
		return nil
	})
	s := l.Stats()
	if err != nil || s.Dropped == 0 || s.Handed+s.Dropped != n || s.Truncated != s.Handed {
		t.Errorf("error %v; of %d packets %+v", err, n, s)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "are lost") {
		t.Errorf("notices %q", notices)
	}
}

// TestLiveComesBack takes the device away under the capture, and puts a new one of
// its name there. All steps happen on the one goroutine that is in the namespace.
func TestLiveComesBack(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inNamespace(t, "c1near", "c1far")
	ip := ip4(layers.IPProtocolUDP)
	frame := build(t, etherTo(layers.EthernetTypeIPv4), ip, udpOver(ip, 53), text("hello"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var notices []string
	ticks, replaced := 0, false
	var l *Live
	l, err := Listen(Device{Name: "c1near", RingMiB: 1, Notice: func(notice string) {
		notices = append(notices, notice)
		if len(notices) == 2 {
			sender(t, "c1far")(frame)
		}
	}, Tick: func(now int64) error {
		if l.Away() && !replaced {
			replaced = true
			addPair(t, "c1near", "c1far")
		}
		if d := time.Now().UnixNano() - now; d < 0 || d > 60e9 {
			return fmt.Errorf("a tick at %d", now)
		}
		ticks++
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	sender(t, "c1far")(frame)
	seen := 0
	err = l.Each(ctx, func(p *Packet) error {
		switch seen++; seen {
		case 1:
			link, err := netlink.LinkByName("c1near")
			if err != nil {
				return err
			}
			return netlink.LinkDel(link)
		default:
			cancel()
			return nil
		}
	})
	if err != nil || seen != 2 || ticks == 0 {
		t.Errorf("%d packets, %d ticks, error %v; want 2 and some", seen, ticks, err)
	}
	if len(notices) != 2 || !strings.Contains(notices[0], "waiting") || !strings.Contains(notices[1], "is back") {
		t.Errorf("notices %q", notices)
	}
}

// TestLiveWithoutEthernet captures where no link header is, and on all devices.
func TestLiveWithoutEthernet(t *testing.T) {
	inNamespace(t, "c1near", "c1far")
	tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "c1tun"}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI, Queues: 1}
	if err := netlink.LinkAdd(tun); err != nil {
		t.Skipf("no tun device: %v", err)
	}
	defer tun.Fds[0].Close()
	link, err := netlink.LinkByName("c1tun")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(Device{Name: "any", RingMiB: 1})
	if err != nil {
		t.Fatal(err)
	}
	v4, v6 := ip4(layers.IPProtocolUDP), ip6(layers.IPProtocolUDP)
	for _, packet := range [][]byte{build(t, v4, udpOver(v4, 53), text("hello")), build(t, v6, udpOver(v6, 53), text("hello"))} {
		if _, err := tun.Fds[0].Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	sender(t, "c1far")(build(t, etherTo(layers.EthernetTypeIPv4), v4, udpOver(v4, 53), text("hello")))
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("hello"))

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	seen := map[string]int{}
	last := 0
	err = l.Each(ctx, func(p *Packet) error {
		if p.Protocol != UDP || string(p.Payload) != "hello" {
			return nil // the refusal of the one to the loopback
		}
		seen[fmt.Sprint(p.Source, " ", p.Length-p.PayloadLength, " ", p.Outgoing, " ", p.FromDevice == link.Attrs().Index)]++
		if last++; last == 5 { // the pair shows its packet at both ends; Ethernet has padded it
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"203.0.113.9 28 false true": 1, "2001:db8::9 48 false true": 1,
		"203.0.113.9 55 true false": 1, "203.0.113.9 55 false false": 1, "127.0.0.1 42 false false": 1,
	}
	if !maps.Equal(seen, want) || l.Stats().Twice == 0 {
		t.Errorf("seen %v, want %v; %+v", seen, want, l.Stats())
	}
}

func TestListenRefuses(t *testing.T) {
	if os.Geteuid() != 0 {
		_, err := Listen(Device{Name: "lo"})
		if err == nil || !strings.Contains(err.Error(), "CAP_NET_RAW") {
			t.Errorf("without root: %v, want what is needed", err)
		}
		return
	}
	inNamespace(t, "c1near", "c1far")
	down, err := netlink.LinkByName("c1far")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(down); err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string]string{
		"c1none": "there are any, lo, c1",
		"c1far":  "ip link set c1far up",
		"":       "there are any",
	} {
		if _, err := Listen(Device{Name: device}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", device)) {
			t.Errorf("%q: %v, want an error with its name and %q", device, err, want)
		}
	}
	if err := dropRights(t); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Device{Name: "c1near"}); err == nil || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("without rights: %v, want what is needed", err)
	}
}

// dropRights takes CAP_NET_RAW from this thread for the rest of the test.
func dropRights(t *testing.T) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return err
	}
	t.Cleanup(func() { unix.Capset(&head, &have[0]) })
	less := have
	less[0].Effective &^= 1 << unix.CAP_NET_RAW
	return unix.Capset(&head, &less[0])
}

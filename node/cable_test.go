package node

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/komondor/komondor/control"
)

// newCable moves the test to a network namespace of its own (198.51.100.1 on inside), with
// a cable to another one (198.51.100.80 on outside), whose answers all come by it.
func newCable(t *testing.T) (outside netns.NsHandle) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("network namespaces: %v", err)
		}
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	check(err)
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Error(err) // and keep the thread, which dies with the goroutine
			return
		}
		before.Close()
		runtime.UnlockOSThread()
	})
	outside, err = netns.New()
	check(err)
	t.Cleanup(func() { outside.Close() })
	inside, err := netns.New()
	check(err)
	t.Cleanup(func() { inside.Close() })
	// A router would tell the other side that it knows no strangers.
	check(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0o644))
	check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "inside"}, PeerName: "outside", PeerNamespace: netlink.NsFd(outside)}))
	up := func(name, address string) {
		link, err := netlink.LinkByName(name)
		check(err)
		addr, err := netlink.ParseAddr(address)
		check(err)
		check(netlink.AddrAdd(link, addr))
		check(netlink.LinkSetUp(link))
	}
	up("inside", "198.51.100.1/24")
	in(t, outside, func() {
		up("outside", "198.51.100.80/24")
		_, everywhere, _ := net.ParseCIDR("0.0.0.0/0")
		check(netlink.RouteAdd(&netlink.Route{Dst: everywhere, Gw: net.IPv4(198, 51, 100, 1)}))
	})
	return outside
}

// in runs f in a network namespace.
func in(t *testing.T, ns netns.NsHandle, f func()) {
	t.Helper()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := netns.Set(here); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// callAs begins a connection to port 80 in somebody's name, as an attacker's program would.
func callAs(t *testing.T, client, server netip.Addr) {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: client.AsSlice(), DstIP: server.AsSlice()}
	tcp := &layers.TCP{SrcPort: 4711, DstPort: 80, Seq: 1000, SYN: true, Window: 1024}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, b.Bytes(), 0, &unix.SockaddrInet4{Addr: server.As4()}); err != nil && err != unix.EPERM { // which a block says
		t.Fatal(err)
	}
}

// backlog is how many connections are half-open in a network namespace.
func backlog(t *testing.T, ns netns.NsHandle) (n int) {
	t.Helper()
	in(t, ns, func() {
		text, err := os.ReadFile("/proc/thread-self/net/tcp")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 3 && words[3] == "03" { // SYN_RECV
				n++
			}
		}
	})
	return n
}

func controlAction(name string, target netip.Addr) control.Action {
	return control.Action{Action: name, Target: target, Reason: "a test"}
}

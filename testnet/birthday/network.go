// Package birthday is a laboratory for the BIND Birthday Attack of paper 000: the
// networks of an attacker's hosts and of victim.org in network namespaces of this
// machine, a name server and a real resolver in the one, the three floods of the
// attack from the other, and what is seen of them on the wire. Nothing of it is
// added to the machine's own network.
package birthday

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"runtime"
	"strconv"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// The addresses of the laboratory. The hosts that lodge the cells are in one network,
// victim.org in another, and a router joins them that looks at no source.
var (
	Corporate = netip.MustParsePrefix("198.51.100.0/24")
	Victim    = netip.MustParsePrefix("203.0.113.0/24")
	N1        = netip.MustParseAddr("203.0.113.1") // n1.victim.org, which is asked for all names of victim.org
	N2        = netip.MustParseAddr("203.0.113.2") // n2.victim.org, the resolver
)

// Cells is how many hosts lodge a cell.
const Cells = 3

// Cell is the address of the host that lodges a cell, 1 to Cells.
func Cell(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }

// A Host is a network namespace with one device, eth0.
type Host struct {
	Name string
	Addr netip.Addr
	ns   netns.NsHandle
}

// Network is the namespaces, and the cables between them.
type Network struct {
	Cells  [Cells]*Host
	N1, N2 *Host
	router *Host
	all    []*Host
}

// NewNetwork lays the cables. It needs root.
func NewNetwork() (n *Network, err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("network namespaces need root: %w", os.ErrPermission)
	}
	n = new(Network)
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if n.router, err = n.host("router", netip.Addr{}); err != nil {
		return n, err
	}
	err = n.router.Do(func() error {
		// A packet may come from where its source is not: that is the router's fault in this attack.
		return errors.Join(sysctl("ipv4/ip_forward", 1), sysctl("ipv4/conf/all/rp_filter", 0), sysctl("ipv4/conf/default/rp_filter", 0),
			bridge("corporate", Corporate), bridge("victim", Victim))
	})
	if err != nil {
		return n, err
	}
	for i := range n.Cells {
		if n.Cells[i], err = n.plug(fmt.Sprintf("pcell%d", i+1), Cell(i+1), "corporate", Corporate); err != nil {
			return n, err
		}
	}
	if n.N1, err = n.plug("n1", N1, "victim", Victim); err != nil {
		return n, err
	}
	n.N2, err = n.plug("n2", N2, "victim", Victim)
	return n, err
}

// Close gives the namespaces up: what still runs in them keeps them.
func (n *Network) Close() error {
	var errs []error
	for _, h := range n.all {
		errs = append(errs, h.ns.Close())
	}
	return errors.Join(errs...)
}

// host makes a namespace in which only the loopback device is up, and no device speaks by itself.
func (n *Network) host(name string, addr netip.Addr) (*Host, error) {
	runtime.LockOSThread()
	own, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	defer own.Close()
	ns, err := netns.New() // and this thread is in it
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("network namespace of %s: %w", name, err)
	}
	h := &Host{Name: name, Addr: addr, ns: ns}
	n.all = append(n.all, h)
	if err := netns.Set(own); err != nil {
		return nil, err // the thread is of no more use, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return h, h.Do(func() error {
		return errors.Join(up("lo"), sysctl("ipv6/conf/all/disable_ipv6", 1), sysctl("ipv6/conf/default/disable_ipv6", 1))
	})
}

// plug makes a host at a bridge of the router's, which is its gateway.
func (n *Network) plug(name string, addr netip.Addr, bridge string, network netip.Prefix) (*Host, error) {
	h, err := n.host(name, addr)
	if err != nil {
		return nil, err
	}
	err = n.router.Do(func() error {
		at, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: at.Attrs().Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(h.ns)}
		return errors.Join(netlink.LinkAdd(cable), netlink.LinkSetUp(cable))
	})
	if err != nil {
		return nil, fmt.Errorf("cable of %s: %w", name, err)
	}
	return h, h.Do(func() error {
		if err := errors.Join(up("eth0"), address("eth0", netip.PrefixFrom(addr, network.Bits()))); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Gw: gateway(network).AsSlice()})
	})
}

// Do runs f in the host's namespace. Sockets stay where they were opened, and so do
// programs where they were started.
func (h *Host) Do(f func() error) error {
	runtime.LockOSThread()
	own, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer own.Close()
	if err := netns.Set(h.ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: %w", h.Name, err)
	}
	err = f()
	if back := netns.Set(own); back != nil {
		return errors.Join(err, fmt.Errorf("leave %s: %w", h.Name, back)) // on a thread that is of no more use
	}
	runtime.UnlockOSThread()
	return err
}

// gateway is the router's address in a network.
func gateway(network netip.Prefix) netip.Addr {
	bytes := network.Addr().As4()
	bytes[3] = 254
	return netip.AddrFrom4(bytes)
}

func bridge(name string, network netip.Prefix) error {
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
		return fmt.Errorf("bridge %s: %w", name, err)
	}
	return errors.Join(up(name), address(name, netip.PrefixFrom(gateway(network), network.Bits())))
}

func up(device string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

func address(device string, addr netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), 32)}})
}

// sysctl sets a variable of this thread's network namespace.
func sysctl(name string, value int) error {
	return os.WriteFile(path.Join("/proc/sys/net", name), []byte(strconv.Itoa(value)), 0o644)
}

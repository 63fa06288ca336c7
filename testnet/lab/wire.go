package lab

import (
	"errors"
	"fmt"
	"net"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// bridge is in a network namespace of its own, so that nothing is added to the
// machine's network.
type bridge struct {
	handle *netlink.Handle
	link   netlink.Link
}

func (l Netns) bridge() (*bridge, error) {
	ns, err := l.create("bridge")
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, err
	}
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "segment"}}
	if err := errors.Join(handle.LinkAdd(link), handle.LinkSetUp(link)); err != nil {
		handle.Close()
		return nil, err
	}
	return &bridge{handle, link}, nil
}

// Close leaves the bridge as it is.
func (b *bridge) Close() { b.handle.Close() }

// create makes a network namespace with a name, as `ip netns add` does.
func (l Netns) create(name string) (ns netns.NsHandle, err error) {
	runtime.LockOSThread() // which is in the new namespace for a moment
	own, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return ns, err
	}
	defer own.Close()
	if ns, err = netns.NewNamed(l.namespace(name)); err != nil {
		err = fmt.Errorf("network namespace %s: %w", name, err)
	}
	if back := netns.Set(own); back != nil {
		return ns, errors.Join(err, fmt.Errorf("leave the network namespace %s: %w", name, back)) // on a thread that is of no more use
	}
	runtime.UnlockOSThread()
	return ns, err
}

// plug gives the member a namespace with an eth0 at the bridge.
func (l Netns) plug(b *bridge, member string) error {
	address, err := Address(member)
	if err != nil {
		return err
	}
	ns, err := l.create(member)
	if err != nil {
		return err
	}
	defer ns.Close()
	cable := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: member, MasterIndex: b.link.Attrs().Index},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(ns),
	}
	if err := errors.Join(b.handle.LinkAdd(cable), b.handle.LinkSetUp(cable)); err != nil {
		return err
	}
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		return err
	}
	defer handle.Close()
	eth0, err := handle.LinkByName("eth0")
	if err != nil {
		return err
	}
	lo, err := handle.LinkByName("lo")
	if err != nil {
		return err
	}
	on := &netlink.Addr{IPNet: &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(Network().Bits(), 32)}}
	return errors.Join(handle.LinkSetUp(lo), handle.LinkSetUp(eth0), handle.AddrAdd(eth0, on))
}

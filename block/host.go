package block

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
)

// fixed is what is the same on every host (IANA special-purpose address
// registries). The documentation ranges are not in it: laboratories and tests
// use them as public addresses.
func fixed(lab bool) []exemption {
	list := []exemption{
		exempt("127.0.0.0/8", "loopback"),
		exempt("::1/128", "loopback"),
		exempt("0.0.0.0/8", "unspecified"),
		exempt("::/128", "unspecified"),
		exempt("169.254.0.0/16", "link-local"),
		exempt("fe80::/10", "link-local"),
		exempt("224.0.0.0/4", "multicast"),
		exempt("ff00::/8", "multicast"),
		exempt("255.255.255.255/32", "broadcast"),
	}
	if lab {
		return list
	}
	for _, private := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"} {
		list = append(list, exempt(private, "a private range"))
	}
	return list
}

func exempt(prefix, why string) exemption {
	return exemption{prefix: netip.MustParsePrefix(prefix), why: why}
}

// host is where the surroundings are read: its files below root, and the
// ancestors of the process pid.
type host struct {
	root string
	pid  int
}

func thisHost() host { return host{root: "/", pid: os.Getpid()} }

func (h host) path(name string) string { return filepath.Join(h.root, name) }

// sources are the surroundings that change, each with the function that reads it.
func (h host) sources() map[string]func() ([]exemption, error) {
	return map[string]func() ([]exemption, error){
		"own addresses":    ownAddresses,
		"default gateways": defaultGateways,
		"resolvers":        h.resolvers,
		"SSH sessions":     h.sessions,
		"time servers":     h.timeServers,
	}
}

const ownAddress = "this host's own address"

func ownAddresses() ([]exemption, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(n.IP)
			own = append(own, addr)
		}
	}
	return exemptions(own, ownAddress), nil
}

func defaultGateways() ([]exemption, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // what was read counts
		return nil, err
	}
	var gateways []netip.Addr
	add := func(ip net.IP) {
		addr, _ := netip.AddrFromSlice(ip)
		gateways = append(gateways, addr)
	}
	for _, r := range routes {
		if r.Dst != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		add(r.Gw)
		for _, hop := range r.MultiPath {
			add(hop.Gw)
		}
		if via, ok := r.Via.(*netlink.Via); ok { // IPv4 through an IPv6 neighbour
			add(via.Addr)
		}
	}
	return exemptions(gateways, "the default gateway"), nil
}

// resolvers reads resolv.conf, and the one with the true servers where
// systemd-resolved puts itself into the first.
func (h host) resolvers() ([]exemption, error) {
	var servers []netip.Addr
	for _, name := range []string{"etc/resolv.conf", "run/systemd/resolve/resolv.conf"} {
		data, err := os.ReadFile(h.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		servers = append(servers, nameservers(data)...)
	}
	return exemptions(servers, "a DNS resolver of this host"), nil
}

// nameservers reads the nameserver lines of a resolv.conf (resolv.conf(5)).
func nameservers(data []byte) []netip.Addr {
	var servers []netip.Addr
	for line := range bytes.Lines(data) {
		words := bytes.Fields(line)
		if len(words) < 2 || string(words[0]) != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(string(words[1])); err == nil {
			servers = append(servers, addr)
		}
	}
	return servers
}

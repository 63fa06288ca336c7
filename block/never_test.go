package block

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// neverFor is a never-block set of a host whose files are below root.
func neverFor(t testing.TB, root string, o NeverOptions) *Never {
	t.Helper()
	n, err := NewNever(o)
	if err != nil {
		t.Fatal(err)
	}
	n.sources = host{root: root, pid: 100}.sources()
	delete(n.sources, "own addresses") // these two ask the kernel: see TestOwnNetwork
	delete(n.sources, "default gateways")
	return n
}

func TestNeverCheck(t *testing.T) {
	n := neverFor(t, t.TempDir(), NeverOptions{Allow: []string{"203.0.113.7", "2001:db8:a:b::7", "203.0.113.64/26"}})
	lab := neverFor(t, t.TempDir(), NeverOptions{LabPrivate: true})
	for _, test := range []struct {
		prefix, want, wantLab string // "" where it may be blocked
	}{
		{"198.51.100.7/32", "", ""},
		{"192.0.2.1/32", "", ""},
		{"2001:db8::/64", "", ""},
		{"8.8.8.8/32", "", ""},
		{"127.3.2.1/32", "127.3.2.1 is in 127.0.0.0/8: loopback", "127.3.2.1 is in 127.0.0.0/8: loopback"},
		{"::1/128", "::1 is loopback", "::1 is loopback"},
		{"::/64", "::/64 holds ::: unspecified", "::/64 holds ::: unspecified"},
		{"0.0.0.0/32", "0.0.0.0 is in 0.0.0.0/8: unspecified", "0.0.0.0 is in 0.0.0.0/8: unspecified"},
		{"255.255.255.255/32", "255.255.255.255 is broadcast", "255.255.255.255 is broadcast"},
		{"169.254.169.254/32", "169.254.169.254 is in 169.254.0.0/16: link-local", "169.254.169.254 is in 169.254.0.0/16: link-local"},
		{"fe80::/64", "fe80::/64 is in fe80::/10: link-local", "fe80::/64 is in fe80::/10: link-local"},
		{"239.1.2.3/32", "239.1.2.3 is in 224.0.0.0/4: multicast", "239.1.2.3 is in 224.0.0.0/4: multicast"},
		{"ff02::/64", "ff02::/64 is in ff00::/8: multicast", "ff02::/64 is in ff00::/8: multicast"},
		{"10.1.2.3/32", "10.1.2.3 is in 10.0.0.0/8: a private range", ""},
		{"172.31.255.255/32", "172.31.255.255 is in 172.16.0.0/12: a private range", ""},
		{"172.32.0.0/32", "", ""},
		{"192.168.1.0/24", "192.168.1.0/24 is in 192.168.0.0/16: a private range", ""},
		{"100.64.0.1/32", "100.64.0.1 is in 100.64.0.0/10: a private range", ""},
		{"fd00:1:2:3::/64", "fd00:1:2:3::/64 is in fc00::/7: a private range", ""},
		{"::ffff:10.0.0.1/128", "10.0.0.1 is in 10.0.0.0/8: a private range", ""},
		{"203.0.113.7/32", "203.0.113.7 is on the allow-list", ""},
		{"203.0.113.0/24", "203.0.113.0/24 holds 203.0.113.7: on the allow-list", ""},
		{"203.0.113.127/32", "203.0.113.127 is in 203.0.113.64/26: on the allow-list", ""},
		{"203.0.113.128/32", "", ""},
		{"2001:db8:a:b::/64", "2001:db8:a:b::/64 holds 2001:db8:a:b::7: on the allow-list", ""},
	} {
		p := netip.MustParsePrefix(test.prefix)
		if got, never := n.Check(p); got != test.want || never != (test.want != "") {
			t.Errorf("%s: %q, want %q", p, got, test.want)
		}
		if got, never := lab.Check(p); got != test.wantLab || never != (test.wantLab != "") {
			t.Errorf("%s in a laboratory: %q, want %q", p, got, test.wantLab)
		}
	}
	if _, never := n.Check(netip.Prefix{}); !never {
		t.Error("no prefix may be blocked")
	}
}

func TestAllowList(t *testing.T) {
	for entry, want := range map[string]bool{
		"192.0.2.1": true, "2001:db8::/32": true, "fe80::1%eth0": true, "host": true, "a-b.example.org": true, "_x.example.": true,
		"192.0.2.1/33": false, "192.0.2": false, "300.1.1.1": false, "": false, "a..b": false, "-a": false, "a-.b": false, "a b": false,
		"x/24": false, strings.Repeat("a", 64): false, strings.Repeat("a.", 130): false,
	} {
		if _, err := NewNever(NeverOptions{Allow: []string{entry}}); (err == nil) != want {
			t.Errorf("%q: %v", entry, err)
		}
	}

	answer, broken := []netip.Addr{netip.MustParseAddr("198.51.100.7")}, error(nil)
	n := neverFor(t, t.TempDir(), NeverOptions{Allow: []string{"office.example"}, Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
		if name != "office.example" {
			t.Errorf("looked up %q", name)
		}
		return answer, broken
	}})
	blockable := func(prefix string) bool {
		_, never := n.Check(netip.MustParsePrefix(prefix))
		return !never
	}
	now := time.Now()
	refresh := func() error { return n.Refresh(t.Context(), now) }
	if err := refresh(); err != nil || blockable("198.51.100.7/32") {
		t.Errorf("resolved: %v", err)
	}
	broken = errors.New("no resolver")
	if err := refresh(); !errors.Is(err, broken) || !strings.Contains(err.Error(), `"office.example"`) || blockable("198.51.100.7/32") {
		t.Errorf("a failed look-up must keep the former addresses: %v", err)
	}
	answer, broken = []netip.Addr{netip.MustParseAddr("::ffff:198.51.100.8")}, nil
	if err := refresh(); err != nil || !blockable("198.51.100.7/32") || blockable("198.51.100.8/32") {
		t.Errorf("moved: %v", err)
	}
	if reason, _ := n.Check(netip.MustParsePrefix("198.51.100.8/32")); reason != "198.51.100.8 is on the allow-list as office.example" {
		t.Error(reason)
	}
	if err := n.SetAllow(nil); err != nil || !blockable("198.51.100.8/32") {
		t.Errorf("taken off: %v", err)
	}
}

// write makes the files of a host.
func write(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// utmpRecord writes what utmp(5) describes.
func utmpRecord(kind uint16, pid uint32, name string, addr string) string {
	length, at := 384, 348
	if slices.Contains([]string{"arm64", "riscv64", "loong64"}, runtime.GOARCH) {
		length, at = 400, 360
	}
	r := make([]byte, length)
	binary.NativeEndian.PutUint16(r, kind)
	binary.NativeEndian.PutUint32(r[4:], pid)
	copy(r[44:], "root")
	copy(r[76:], name)
	if addr != "" {
		copy(r[at:], netip.MustParseAddr(addr).AsSlice())
	}
	return string(r)
}

func TestSurroundings(t *testing.T) {
	little := binary.NativeEndian.Uint16([]byte{1, 0}) == 1
	if !little {
		t.Skip("the /proc/net/tcp below is of a little-endian machine")
	}
	root := t.TempDir()
	write(t, root, map[string]string{
		"etc/resolv.conf":                  "# nameserver 192.0.2.50\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nsearch example.org\nnameserver\n",
		"run/systemd/resolve/resolv.conf":  "nameserver 2001:db8::53\n",
		"run/utmp":                         utmpRecord(7, 500, "", "198.51.100.10") + utmpRecord(7, 500, "", "2001:db8:5::10") + utmpRecord(7, 500, "198.51.100.11", "") + utmpRecord(6, 500, "", "198.51.100.12") + utmpRecord(7, 501, "", "198.51.100.13") + utmpRecord(7, 500, "tty1", "") + "rest",
		"proc/500/status":                  "",
		"run/systemd/sessions/1":           "UID=0\nSTATE=active\nREMOTE=1\nREMOTE_HOST=198.51.100.20\n",
		"run/systemd/sessions/2":           "STATE=closing\nREMOTE=1\nREMOTE_HOST=198.51.100.21\n",
		"run/systemd/sessions/3":           "STATE=active\nREMOTE=0\nREMOTE_HOST=198.51.100.22\n",
		"run/systemd/sessions/4":           "STATE=online\nREMOTE=1\nREMOTE_HOST=evil.example\n",
		"proc/100/environ":                 "PATH=/bin\x00LANG=C\x00", // sudo has cleared it
		"proc/100/status":                  "Name:\tkomondor\nPPid:\t90\n",
		"proc/90/environ":                  "SSH_CONNECTION=198.51.100.31 50000 192.0.2.1 22\x00", // of a former session
		"proc/90/status":                   "Name:\ttmux\nPPid:\t80\n",
		"proc/80/environ":                  "SSH_CONNECTION=198.51.100.30 50000 192.0.2.1 22\x00",
		"proc/80/status":                   "Name:\tbash\nPPid:\t1\n",
		"proc/net/tcp":                     "  sl  local_address rem_address   st\n   0: 010200C0:0016 1E6433C6:C350 01 00000000:00000000\n   1: 010200C0:0016 286433C6:C350 01 00000000:00000000\n   2: 010200C0:0016 1F6433C6:C350 06 00000000:00000000\n",
		"proc/net/tcp6":                    "  sl  local_address rem_address st\n",
		"proc/200/environ":                 "SSH_CONNECTION=198.51.100.40 50000 192.0.2.1 22\x00", // of somebody else's process
		"run/systemd/sessions/1.ref/inner": "REMOTE=1\nREMOTE_HOST=198.51.100.23\n",
	})
	n := neverFor(t, root, NeverOptions{LabPrivate: true})
	if err := n.Refresh(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	resolver, admin := "a DNS resolver of this host", "the administrator's SSH session"
	for addr, why := range map[string]string{
		"192.0.2.53": resolver, "2001:db8::53": resolver, "192.0.2.50": "",
		"198.51.100.10": admin, "2001:db8:5::10": admin, "198.51.100.11": admin,
		"198.51.100.12": "", // sshd's own, before the login
		"198.51.100.13": "", // whose process is dead
		"198.51.100.20": admin, "198.51.100.21": "", "198.51.100.22": "", "198.51.100.23": "",
		"198.51.100.30": admin, "198.51.100.31": "",
		"198.51.100.40": "", // has a connection to port 22, and a process that claims a session
	} {
		a := netip.MustParseAddr(addr)
		got, _ := n.Check(netip.PrefixFrom(a, a.BitLen()))
		if want := addr + " is " + why; why != "" && got != want || why == "" && got != "" {
			t.Errorf("%s: %q, want %q", addr, got, why)
		}
	}
}

func TestUnreadableKeepsFormer(t *testing.T) {
	n := neverFor(t, t.TempDir(), NeverOptions{})
	broken := false
	n.sources["own addresses"] = func() ([]exemption, error) {
		if broken {
			return nil, errBroken
		}
		return exemptions([]netip.Addr{netip.MustParseAddr("198.51.100.1")}, "this host's own address"), nil
	}
	now := time.Now()
	if err := n.Fresh(now); err != nil {
		t.Fatal(err)
	}
	broken = true
	if err := n.Fresh(now.Add(freshness - 1)); err != nil {
		t.Errorf("looked again too soon: %v", err)
	}
	if err := n.Fresh(now.Add(freshness)); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "own addresses") {
		t.Errorf("got %v", err)
	}
	if err := n.Fresh(now.Add(-time.Hour)); !errors.Is(err, errBroken) {
		t.Errorf("a clock set back must not stop the looking: %v", err)
	}
	if reason, _ := n.Check(netip.MustParsePrefix("198.51.100.1/32")); reason != "198.51.100.1 is this host's own address" {
		t.Error(reason)
	}
}

func TestOwnNetwork(t *testing.T) {
	l := startLab(t)
	link, err := netlink.LinkByName("inside")
	if err != nil {
		l.Fatal(err)
	}
	route := func(family int, via string) *netlink.Route {
		return &netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(via), Family: family}
	}
	other := route(netlink.FAMILY_V4, "198.51.100.253")
	other.Dst = &net.IPNet{IP: net.IPv4(203, 0, 113, 0).To4(), Mask: net.CIDRMask(24, 32)}
	for _, r := range []*netlink.Route{route(netlink.FAMILY_V4, "198.51.100.254"), route(netlink.FAMILY_V6, "2001:db8:f::1"), other} {
		if err := netlink.RouteAdd(r); err != nil {
			l.Fatal(err)
		}
	}
	n, err := NewNever(NeverOptions{})
	if err != nil {
		l.Fatal(err)
	}
	if err := n.Refresh(t.Context(), time.Now()); err != nil {
		l.Fatal(err)
	}
	for prefix, want := range map[string]string{
		host4 + "/32":       host4 + " is this host's own address",
		host6 + "/128":      host6 + " is this host's own address",
		"2001:db8:1::/64":   "2001:db8:1::/64 holds 2001:db8:1::1: this host's own address",
		"198.51.100.254/32": "198.51.100.254 is the default gateway",
		"2001:db8:f::/64":   "2001:db8:f::/64 holds 2001:db8:f::1: the default gateway",
		"198.51.100.253/32": "",
		attacker4 + "/32":   "",
	} {
		if got, _ := n.Check(netip.MustParsePrefix(prefix)); got != want {
			l.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
}

func TestMerge(t *testing.T) {
	var prefixes []netip.Prefix
	for _, s := range []string{"10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25", "10.0.3.0/24", "255.255.255.255/32", "::/128", "::1/128", "::/96", "ffff::/16", "240.0.0.0/5"} {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	want := "10.0.0.0-10.0.1.255 10.0.3.0-10.0.3.255 240.0.0.0-247.255.255.255 255.255.255.255-255.255.255.255 ::-::ffff:ffff ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	got := ""
	for _, s := range merge(prefixes) {
		got += fmt.Sprintf("%s-%s ", s.from, s.to)
	}
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

package block

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestBlockedMember: a member's host is blocked like any other, but for the
// overlay.
func TestBlockedMember(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{OverlayPorts: []uint16{4001}})
	members := []netip.AddrPort{
		addrPort(attacker4, 4002), addrPort(attacker6, 4002), addrPort("::ffff:"+attacker4, 4002), addrPort("203.0.113.200", 4002),
	}
	if err := f.SetMembers(t.Context(), members); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for _, pair := range [][2]string{{attacker4, host4}, {attacker6, host6}} {
			member, host := pair[0], pair[1]
			for _, test := range []struct {
				what     string
				from, to netip.AddrPort
				outbound bool
				want     bool
			}{
				{"its overlay to ours", addrPort(member, 0), addrPort(host, 4001), false, true},
				{"our overlay to its", addrPort(host, 0), addrPort(member, 4002), true, true},
				{"its SSH to ours", addrPort(member, 0), addrPort(host, 22), false, false},
				{"our SSH to its", addrPort(host, 0), addrPort(member, 22), true, false},
				{"its overlay's port to our SSH", addrPort(member, 4002), addrPort(host, 22), false, false},
			} {
				if got := l.connect(test.from, test.to, test.outbound); got != test.want {
					l.Errorf("%s, %s: %s passes: %v", when, member, test.what, got)
				}
			}
			if l.udp(host, member, 4002) {
				l.Errorf("%s: UDP to %s passes", when, member)
			}
		}
	}
	if !l.connect(addrPort(stranger4, 4002), addrPort(host4, 22), false) { // else the last case says nothing
		t.Fatal("nobody reaches us from such a port")
	}
	l.block(f, time.Minute, attacker4+"/32", stranger4+"/32", "2001:db8:a:b::/64")
	check("blocked")
	if l.tcp(host4, stranger4, 4002, true) {
		t.Error("a connection to the port of one who is no member passes")
	}
	l.nft("flush ruleset")
	l.block(f, time.Minute, attacker4+"/32", "2001:db8:a:b::/64") // makes the table anew, with the members
	check("after a flush")

	if got, want := l.nft("list", "set", "inet", "komondor", "members4"), attacker4+" . 4002"; !strings.Contains(got, want) {
		t.Errorf("the nft program reads\n%s\nwant %s in it", got, want)
	}
	if err := f.SetMembers(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if l.tcp(host4, attacker4, 4002, true) {
		t.Error("a former member's overlay passes")
	}
}

func TestManyMembers(t *testing.T) {
	l := startLab(t)
	f := l.firewall(Options{})
	var members []netip.AddrPort
	addr4, addr6 := netip.MustParseAddr("203.0.113.0"), netip.MustParseAddr("2001:db8::")
	for range 2500 {
		addr4, addr6 = addr4.Next(), addr6.Next()
		members = append(members, netip.AddrPortFrom(addr4, 4001), netip.AddrPortFrom(addr6, 4001))
	}
	if err := f.SetMembers(t.Context(), members); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []netip.AddrPort{{}, addrPort(attacker4, 0)} {
		if err := f.SetMembers(t.Context(), []netip.AddrPort{bad}); err == nil || !strings.Contains(err.Error(), "want an address and a port") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, set := range []string{"members4", "members6"} {
		if got := strings.Count(l.nft("list", "set", "inet", "komondor", set), " . 4001"); got != 2500 {
			t.Errorf("%s holds %d, want 2500", set, got)
		}
	}
}

package detect

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/packet"
)

var ours = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}

func TestForgedSource(t *testing.T) {
	tests := map[string]struct {
		source, target string
		home           []netip.Prefix
		named          bool // the source is in the event
		says           string
	}{
		"loopback":              {"127.0.0.1", "203.0.113.7", nil, false, "nobody's"},
		"class E":               {"240.1.2.3", "203.0.113.7", nil, false, "nobody's"},
		"multicast":             {"224.0.0.5", "203.0.113.7", nil, false, "nobody's"},
		"broadcast":             {"255.255.255.255", "203.0.113.7", nil, false, "nobody's"},
		"nowhere":               {"0.0.0.0", "203.0.113.7", nil, false, "nobody's"},
		"loopback, IPv6":        {"::1", "2001:db8::7", nil, false, "nobody's"},
		"land":                  {"203.0.113.7", "203.0.113.7", nil, false, "the target itself"},
		"private":               {"192.168.1.1", "203.0.113.7", ours, true, "private"},
		"private, among ours":   {"192.168.1.1", "10.0.0.7", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, false, ""},
		"private, whose target": {"192.168.1.1", "203.0.113.7", nil, false, ""},
		"no address yet":        {"0.0.0.0", "255.255.255.255", nil, false, ""},
		"no address yet, IPv6":  {"::", "ff02::1:ff00:1", nil, false, ""},
		"link-local":            {"fe80::1", "2001:db8::7", ours, false, ""},
		"a stranger":            {"198.51.100.9", "203.0.113.7", ours, false, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, Config{Home: test.home})
			source, target := ip(test.source), ip(test.target)
			for i := range uint16(5) {
				w.send(time.Millisecond, udpPacket(source, target, 4000+i, 9999, []byte("x")))
			}
			w.only(event.SpoofSource)
			got := w.told(event.SpoofSource)
			if test.says == "" {
				if len(got) > 0 {
					t.Fatalf("%+v", got)
				}
				return
			}
			if len(got) != 3 || got[0].Count != 1 || got[1].Count != 1 || got[2].Count != 2 { // of five: the first, the second, the fourth
				t.Fatalf("%+v", got)
			}
			e := got[0]
			if e.Target.Addr != target || e.Proof != event.Spoofable || !strings.Contains(e.Detail, test.says) || (e.Source.Addr == source) != test.named ||
				!test.named && e.Source != (event.Endpoint{}) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestForgedIsNobodysTry: what is forged tells nothing of who is named.
func TestForgedIsNobodysTry(t *testing.T) {
	w := newWire(t, Config{})
	for i := range 100 {
		w.send(time.Millisecond, syn(ip("240.1.2.3"), host4(i), 4000, 22))
	}
	w.wait(time.Minute)
	w.only(event.SpoofSource)
}

// TestForgedMany: a flood of sources that are nobody's is told of now and then, not each time.
func TestForgedMany(t *testing.T) {
	w := newWire(t, Config{})
	for i := range 10_000 {
		w.send(time.Second, syn(netip.AddrFrom4([4]byte{240 + byte(i>>14), byte(i >> 8), byte(i), 1}), victim, 4000, 80))
	}
	if n := len(w.told(event.SpoofSource)); n != 14 { // 2^0 to 2^13
		t.Errorf("%d events", n)
	}
}

// TestStation: a gateway that brings one of ours from outside, and a host of ours that sends
// in a stranger's name.
func TestStation(t *testing.T) {
	gateway, host, router := [6]byte{2, 1}, [6]byte{2, 2}, [6]byte{2, 3}
	from := func(mac [6]byte, source, target netip.Addr, port uint16) packet.Packet {
		p := udpPacket(source, target, port, 9999, []byte("x"))
		p.SourceMAC = mac
		return p
	}
	w := newWire(t, Config{Home: ours})
	for i := range uint16(200) {
		w.send(time.Millisecond,
			from(gateway, stranger(int(i)), host4(7), 1000+i),
			from(host, host4(9), stranger(int(i)), 1000+i),
			from(router, host4(int(i)), stranger(int(i)), 3000+i))
	}
	w.only()
	w.send(time.Millisecond,
		from(gateway, host4(9), host4(7), 5000),
		from(host, ip("192.0.2.1"), ip("192.0.2.99"), 5000),
		from(router, ip("192.0.2.1"), ip("192.0.2.98"), 5000))
	w.only(event.SpoofSource, event.SpoofEgress)
	forged, egress := w.told(event.SpoofSource), w.told(event.SpoofEgress)
	if len(forged) != 1 || forged[0].Source.Addr.IsValid() || forged[0].Target.Addr != host4(7) {
		t.Errorf("from outside: %+v", forged)
	}
	if len(egress) != 2 || egress[0].Source.Addr != host4(9) || egress[0].Target.Addr != ip("192.0.2.99") || egress[1].Source.Addr.IsValid() {
		t.Errorf("from inside: %+v", egress)
	}
	if egress[0].Severity != 3 {
		t.Errorf("%+v", egress[0])
	}
}

// TestInnerRouter: whoever forwards between our own networks and brings strangers as well accuses nobody for long.
func TestInnerRouter(t *testing.T) {
	w := newWire(t, Config{Home: ours})
	for i := range 2000 {
		source := host4(10 + i%200)
		if i > 100 && i%2 == 0 {
			source = stranger(i)
		}
		p := udpPacket(source, host4(7), uint16(i), 9999, []byte("x"))
		p.SourceMAC = [6]byte{2, 9}
		w.send(time.Millisecond, p)
	}
	if n := len(w.events); n > 2 {
		t.Errorf("%d events: %+v", n, w.events)
	}
}

package keyselect

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/komondor/komondor/event"
)

func at(addr string, port uint16) event.Endpoint {
	if addr == "" {
		return event.Endpoint{Port: port}
	}
	return event.Endpoint{Addr: netip.MustParseAddr(addr), Port: port}
}

var groupings = []Grouping{
	{By: event.BySource, Kinds: []string{"ssh.*"}},
	{By: event.BySource, Kinds: []string{"scan.*", "ids.*"}},
	{By: event.ByPort, Kinds: []string{"scan.*"}},
	{By: event.ByVulnerability, Kinds: []string{"ids.*"}},
	{By: event.BySubnet, Kinds: []string{"scan.*", "ids.*"}},
	{By: event.BySourceSubnet, Kinds: []string{"ftp.*"}},
}

func TestKeysFollowTheRules(t *testing.T) {
	for _, c := range []struct {
		name string
		ev   event.Event
		want []event.Key
	}{
		{"login: only the attacker", event.Event{Kind: event.SSHLoginFailed, Source: at("203.0.113.9", 4000), Target: at("192.0.2.1", 22), Protocol: "tcp"},
			[]event.Key{{Selector: event.BySource, Value: "203.0.113.9"}}},
		{"IPv6 by /64", event.Event{Kind: event.SSHLoginFailed, Source: at("2001:db8:1:2:3:4:5:6", 4000)},
			[]event.Key{{Selector: event.BySource, Value: "2001:db8:1:2::/64"}}},
		{"IPv4 in IPv6 clothes", event.Event{Kind: event.SSHLoginFailed, Source: at("::ffff:203.0.113.9", 0)},
			[]event.Key{{Selector: event.BySource, Value: "203.0.113.9"}}},
		{"scan: attacker, port, subnet", event.Event{Kind: event.ScanPort, Source: at("203.0.113.9", 4000), Target: at("192.0.2.1", 22), Protocol: "tcp"},
			[]event.Key{{Selector: event.BySource, Value: "203.0.113.9"}, {Selector: event.ByPort, Value: "tcp/22"}, {Selector: event.BySubnet, Value: "192.0.2.0/24"}}},
		{"IDS: the vulnerability, IPv6 targets by /48", event.Event{Kind: event.IDSHigh, Vulnerability: "CVE-2002-0013", Source: at("203.0.113.9", 4000), Target: at("2001:db8:1:2::1", 161), Protocol: "udp"},
			[]event.Key{{Selector: event.BySource, Value: "203.0.113.9"}, {Selector: event.ByVulnerability, Value: "CVE-2002-0013"}, {Selector: event.BySubnet, Value: "2001:db8:1::/48"}}},
		{"what the event lacks makes no key", event.Event{Kind: event.ScanPort, Source: at("203.0.113.9", 0)},
			[]event.Key{{Selector: event.BySource, Value: "203.0.113.9"}}},
		{"the attacker's neighbours", event.Event{Kind: event.FTPLoginFailed, Source: at("203.0.113.9", 0)},
			[]event.Key{{Selector: event.BySourceSubnet, Value: "203.0.113.0/24"}}},
		{"those of IPv6", event.Event{Kind: event.FTPLoginFailed, Source: at("2001:db8:1:2::5", 0)},
			[]event.Key{{Selector: event.BySourceSubnet, Value: "2001:db8:1::/48"}}},
		{"what happens on a host has no source", event.Event{Kind: "ssh.of.the.host", User: "www-data"}, nil},
		{"no rule, no key", event.Event{Kind: "dns.flood.query", Source: at("203.0.113.9", 0)}, nil},
	} {
		if got := New(groupings).Append(nil, c.ev); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSelectionAllocatesOnlyTheValue(t *testing.T) {
	keys, dst := New(groupings), make([]event.Key, 0, 8)
	ev := event.Event{Kind: event.SSHLoginFailed, Source: at("203.0.113.9", 4000)}
	if n := testing.AllocsPerRun(100, func() { dst = keys.Append(dst[:0], ev) }); n > 1 {
		t.Errorf("%v allocations an event, want the value's one", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	keys, dst := New(groupings), make([]event.Key, 0, 8)
	ev := event.Event{Kind: event.ScanPort, Source: at("203.0.113.9", 4000), Target: at("192.0.2.1", 22), Protocol: "tcp"}
	b.ReportAllocs()
	for b.Loop() {
		dst = keys.Append(dst[:0], ev)
	}
}

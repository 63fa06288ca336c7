package packet

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// show writes what the tests compare, without what the captures say by themselves.
func (p *Packet) show() string {
	if p == nil {
		return "nothing"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v:%d > %v:%d %d ttl %d", p.Source, p.SourcePort, p.Target, p.TargetPort, p.Protocol, p.TTL)
	switch p.Protocol {
	case TCP:
		fmt.Fprintf(&b, " flags %06b seq %d ack %d win %d", p.Flags, p.Sequence, p.Ack, p.Window)
	case ICMP, ICMPv6:
		fmt.Fprintf(&b, " type %d code %d", p.ICMPType, p.ICMPCode)
	}
	fmt.Fprintf(&b, " %q of %d", p.Payload[:min(len(p.Payload), 16)], p.PayloadLength)
	if p.Inner != nil {
		quoted, ok := Quoted(p.Inner)
		fmt.Fprintf(&b, " about %v:%d > %v:%d %v", quoted.Source, quoted.SourcePort, quoted.Target, quoted.TargetPort, ok)
	}
	for _, note := range []struct {
		is   bool
		name string
	}{{p.Fragment, "fragment"}, {p.Tunnel, "tunnel"}, {p.Outgoing, "outgoing"}} {
		if note.is {
			fmt.Fprintf(&b, " %s", note.name)
		}
	}
	if p.VLAN != 0 {
		fmt.Fprintf(&b, " vlan %d", p.VLAN)
	}
	if p.SourceMAC != [6]byte{} {
		fmt.Fprintf(&b, " from %x", p.SourceMAC)
	}
	return b.String()
}

const (
	syn4 = "203.0.113.9:40000 > 198.51.100.1:22 6 ttl 64 flags 000010 seq 1000 ack 0 win 1024 \"hello\" of 5"
	syn6 = "[2001:db8::9]:40000 > [2001:db8:1::1]:22 6 ttl 64 flags 000010 seq 1000 ack 0 win 1024 \"hello\" of 5"
	udp4 = "203.0.113.9:40000 > 198.51.100.1:53 17 ttl 64 \"hello\" of 5"
	mac  = " from 020000000001"
)

type layer = gopacket.SerializableLayer

// inner4 and inner6 are a TCP segment in IP, to put something around it.
func inner4(around ...layer) []layer {
	ip := ip4(layers.IPProtocolTCP)
	return append(around, ip, tcpOver(ip), text("hello"))
}

func inner6(around ...layer) []layer {
	ip := ip6(layers.IPProtocolTCP)
	return append(around, ip, tcpOver(ip), text("hello"))
}

// header is bytes in hex that gopacket has no layer for.
func header(hex string) gopacket.Payload {
	var b []byte
	fmt.Sscanf(strings.ReplaceAll(hex, " ", ""), "%x", &b)
	return b
}

// extended puts an IPv6 extension header, 8 bytes and more, before TCP.
func extended(first layers.IPProtocol, headers ...string) []layer {
	ip := ip6(first)
	parts := []layer{ip}
	for _, h := range headers {
		parts = append(parts, header(h))
	}
	over := ip6(layers.IPProtocolTCP)
	return append(parts, tcpOver(over), text("hello"))
}

func TestDecode(t *testing.T) {
	v4, v6 := ip4(layers.IPProtocolUDP), ip6(layers.IPProtocolUDP)
	icmp4, icmp6 := ip4(layers.IPProtocolICMPv4), ip6(layers.IPProtocolICMPv6)
	echo6 := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)}
	echo6.SetNetworkLayerForChecksum(icmp6)
	gone6 := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, 4)}
	gone6.SetNetworkLayerForChecksum(icmp6)
	vxlan := outer4(layers.IPProtocolUDP)
	vxlan6 := outer6(layers.IPProtocolUDP)
	bridged := func() []layer { return inner4(etherTo(layers.EthernetTypeIPv4)) }
	gre := func(head string, inside ...layer) []layer {
		return append([]layer{etherTo(layers.EthernetTypeIPv4), outer4(layers.IPProtocolGRE), header(head)}, inside...)
	}
	geneve := func(head string, inside ...layer) []layer {
		return append([]layer{etherTo(layers.EthernetTypeIPv4), vxlan, udpOver(vxlan, 6081), header(head)}, inside...)
	}
	around := func(inside []layer, outside ...layer) []layer { return append(outside, inside...) }

	for name, tc := range map[string]struct {
		link  link
		parts []layer
		want  string
	}{
		"Ethernet":          {linkEthernet, inner4(etherTo(layers.EthernetTypeIPv4)), syn4 + mac},
		"Ethernet, IPv6":    {linkEthernet, inner6(etherTo(layers.EthernetTypeIPv6)), syn6 + mac},
		"UDP":               {linkEthernet, []layer{etherTo(layers.EthernetTypeIPv4), v4, udpOver(v4, 53), text("hello")}, udp4 + mac},
		"UDP over IPv6":     {linkEthernet, []layer{etherTo(layers.EthernetTypeIPv6), v6, udpOver(v6, 53), text("hello")}, "[2001:db8::9]:40000 > [2001:db8:1::1]:53 17 ttl 64 \"hello\" of 5" + mac},
		"ping":              {linkRaw, []layer{icmp4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 2}, text("hello")}, "203.0.113.9:0 > 198.51.100.1:0 1 ttl 64 type 8 code 0 \"hello\" of 5"},
		"ping over IPv6":    {linkRaw, []layer{icmp6, echo6, header("00010002"), text("hello")}, "[2001:db8::9]:0 > [2001:db8:1::1]:0 58 ttl 64 type 128 code 0 \"hello\" of 5"},
		"unreachable":       {linkRaw, []layer{icmp4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(build(t, v4, udpOver(v4, 53)))}, `203.0.113.9:0 > 198.51.100.1:0 1 ttl 64 type 3 code 3 "E\x00\x00\x1c\x00\a\x00\x00@\x11\x14\x8c\xcb\x00q\t" of 28 about 203.0.113.9:40000 > 198.51.100.1:53 true`},
		"unreachable, IPv6": {linkRaw, []layer{icmp6, gone6, header("00000000"), gopacket.Payload(build(t, v6, udpOver(v6, 53)))}, "[2001:db8::9]:0 > [2001:db8:1::1]:0 58 ttl 64 type 1 code 4 \"`\\x00\\x00\\x00\\x00\\b\\x11@ \\x01\\r\\xb8\\x00\\x00\\x00\\x00\" of 48 about 2001:db8::9:40000 > 2001:db8:1::1:53 true"},
		"VLAN":              {linkEthernet, inner4(etherTo(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 42, Type: layers.EthernetTypeIPv4}), syn4 + " vlan 42" + mac},
		"QinQ":              {linkEthernet, inner6(etherTo(layers.EthernetTypeQinQ), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeDot1Q}, &layers.Dot1Q{VLANIdentifier: 42, Type: layers.EthernetTypeIPv6}), syn6 + " vlan 42" + mac},
		"MPLS":              {linkEthernet, inner4(etherTo(layers.EthernetTypeMPLSUnicast), header("00010040 00011140")), syn4 + mac},
		"PPPoE":             {linkEthernet, inner4(etherTo(layers.EthernetTypePPPoESession), header("1100 0001 0033 0021")), syn4 + mac},
		"LLC and SNAP":      {linkEthernet, inner4(header("020000000002 020000000001 003b aaaa03 000000 0800")), syn4 + mac},
		"loopback":          {linkNull, inner4(header("02000000")), syn4},
		"loopback, macOS":   {linkNull, inner6(header("1e000000")), syn6},
		"loopback, OpenBSD": {linkLoop, inner6(header("00000018")), syn6},
		"raw":               {linkRaw, inner4(), syn4},
		"raw, IPv6":         {linkIPv6, inner6(), syn6},
		"PPP":               {linkPPP, inner4(header("ff03 0021")), syn4},
		"PPP, compressed":   {linkPPP, inner6(header("57")), syn6},
		"PPP as HDLC":       {linkPPP, inner4(header("0f00 0800")), syn4},
		"Cisco's HDLC":      {linkHDLC, inner4(header("0f00 0800")), syn4},
		"SLL":               {linkSLL, inner4(header("0004 0001 0006 020000000001 0000 0800")), syn4 + " outgoing" + mac},
		"SLL, tagged":       {linkSLL, inner4(header("0000 0001 0006 020000000001 0000 8100 002a 0800")), syn4 + " vlan 42" + mac},
		"SLL2":              {linkSLL2, inner6(header("86dd 0000 00000002 0001 04 06 020000000001 0000")), syn6 + " outgoing" + mac},
		"NFLOG":             {linkNFLOG, inner4(header("0200 0001 0800 0100 08000100 0500 0a00 41000000 3600 0900")), syn4},

		"hop-by-hop":            {linkRaw, extended(layers.IPProtocolIPv6HopByHop, "06 00 010400000000"), syn6},
		"destination options":   {linkRaw, extended(layers.IPProtocolIPv6Destination, "06 01 010c 000000000000000000000000"), syn6},
		"all extension headers": {linkRaw, extended(layers.IPProtocolIPv6HopByHop, "2b 00 010400000000", "3c 00 000000000000", "2c 00 010400000000", "33 00 0000 00000001", "06 01 0000 00000001 00000002"), syn6},
		"AH":                    {linkRaw, around([]layer{tcpOver(ip4(layers.IPProtocolTCP)), text("hello")}, ip4(layers.IPProtocolAH), header("06 01 0000 00000001 00000002")), syn4},
		"ESP":                   {linkRaw, []layer{ip4(layers.IPProtocolESP), text("secret")}, "203.0.113.9:0 > 198.51.100.1:0 50 ttl 64 \"secret\" of 6"},
		"length 0":              {linkRaw, []layer{header("45000000 00070000 40060000 cb007109 c6336401"), tcpOver(ip4(layers.IPProtocolTCP)), text("hello")}, syn4},
		"IPv6 of length 0":      {linkRaw, []layer{header("60000000 0000 06 40 20010db8000000000000000000000009 20010db8000100000000000000000001"), tcpOver(ip6(layers.IPProtocolTCP)), text("hello")}, syn6},

		"IP in IP":        {linkEthernet, inner4(etherTo(layers.EthernetTypeIPv4), outer4(layers.IPProtocolIPv4)), syn4 + " tunnel" + mac},
		"6in4":            {linkEthernet, inner6(etherTo(layers.EthernetTypeIPv4), outer4(layers.IPProtocolIPv6)), syn6 + " tunnel" + mac},
		"4in6":            {linkEthernet, inner4(etherTo(layers.EthernetTypeIPv6), outer6(layers.IPProtocolIPv4)), syn4 + " tunnel" + mac},
		"GRE":             {linkEthernet, gre("0000 0800", inner4()...), syn4 + " tunnel" + mac},
		"GRE, all fields": {linkEthernet, gre("b000 86dd 00000000 00000001 00000002", inner6()...), syn6 + " tunnel" + mac},
		"GRE, bridged":    {linkEthernet, gre("0000 6558", bridged()...), syn4 + " tunnel" + mac},
		"PPTP":            {linkEthernet, gre("3081 880b 0039 0001 00000001 00000002 ff03 0021", inner4()...), syn4 + " tunnel" + mac},
		"ERSPAN I":        {linkEthernet, gre("0000 88be", bridged()...), syn4 + " tunnel" + mac},
		"ERSPAN II":       {linkEthernet, gre("1000 88be 00000001 10000000 00000000", bridged()...), syn4 + " tunnel" + mac},
		"ERSPAN III":      {linkEthernet, gre("1000 22eb 00000001 20000000 00000000 00000001 0000000000000000", bridged()...), syn4 + " tunnel" + mac},
		"VXLAN":           {linkEthernet, around(bridged(), etherTo(layers.EthernetTypeIPv4), vxlan, udpOver(vxlan, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 5}), syn4 + " tunnel" + mac},
		"VXLAN over IPv6": {linkEthernet, around(bridged(), etherTo(layers.EthernetTypeIPv6), vxlan6, udpOver(vxlan6, 8472), &layers.VXLAN{ValidIDFlag: true, VNI: 5}), syn4 + " tunnel" + mac},
		"Geneve":          {linkEthernet, geneve("0200 6558 00000500 0001 8001 00000001", bridged()...), syn4 + " tunnel" + mac},
		"Geneve of IP":    {linkEthernet, geneve("0000 86dd 00000500", inner6()...), syn6 + " tunnel" + mac},
		"GRE in VXLAN": {linkEthernet, append([]layer{etherTo(layers.EthernetTypeIPv4), vxlan, udpOver(vxlan, 4789), &layers.VXLAN{ValidIDFlag: true, VNI: 5}},
			gre("0000 0800", inner4()...)...), syn4 + " tunnel" + mac},

		"ARP in VXLAN":     {linkRaw, []layer{vxlan, udpOver(vxlan, 4789), &layers.VXLAN{ValidIDFlag: true}, etherTo(layers.EthernetTypeARP), text("who has?")}, "192.0.2.1:40000 > 192.0.2.2:4789 17 ttl 9 \"\\b\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x02\\x02\\x00\" of 68"},
		"not VXLAN":        {linkRaw, []layer{vxlan, udpOver(vxlan, 4789), text("something else")}, "192.0.2.1:40000 > 192.0.2.2:4789 17 ttl 9 \"something else\" of 14"},
		"nonsense in GRE":  {linkRaw, []layer{outer4(layers.IPProtocolGRE), header("0000 0800"), text("nonsense")}, "192.0.2.1:0 > 192.0.2.2:0 47 ttl 9 \"\\x00\\x00\\b\\x00nonsense\" of 12"},
		"GRE with routes":  {linkRaw, []layer{outer4(layers.IPProtocolGRE), header("4000 0800 00000000 00000000")}, "192.0.2.1:0 > 192.0.2.2:0 47 ttl 9 \"@\\x00\\b\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\" of 12"},
		"GRE cut":          {linkRaw, []layer{outer4(layers.IPProtocolGRE), header("f0")}, "192.0.2.1:0 > 192.0.2.2:0 47 ttl 9 \"\\xf0\" of 1"},
		"Geneve cut":       {linkRaw, []layer{vxlan, udpOver(vxlan, 6081), header("3f00 0800 00000000")}, "192.0.2.1:40000 > 192.0.2.2:6081 17 ttl 9 \"?\\x00\\b\\x00\\x00\\x00\\x00\\x00\" of 8"},
		"bad TCP options":  {linkRaw, []layer{ip4(layers.IPProtocolTCP), header("9c40 0016 000003e8 00000000 60 02 0400 0000 0000 0200 0000"), text("hello")}, syn4},
		"UDP length 0":     {linkRaw, []layer{v4, header("9c40 0035 0000 0000"), text("hello")}, udp4},
		"UDP that is less": {linkRaw, []layer{v4, header("9c40 0035 000d 0000"), text("hello, padding")}, udp4},
	} {
		t.Run(name, func(t *testing.T) {
			var d decoder
			frame := frame{link: tc.link, data: build(t, tc.parts...)}
			frame.length = len(frame.data)
			got := d.decode(&frame)
			if want := tc.want; got.show() != normal(want) {
				t.Errorf("%x\n got %s\nwant %s\n%+v", frame.data, got.show(), normal(want), d.stats)
			}
			if got != nil && (got.Number != 1 || got.Length != len(frame.data)) {
				t.Errorf("number %d, length %d, want 1 and %d", got.Number, got.Length, len(frame.data))
			}
		})
	}
}

// normal lets the table write IPv6 in brackets.
func normal(s string) string { return strings.NewReplacer("[", "", "]", "").Replace(s) }

func TestDecodeGivesUp(t *testing.T) {
	whole := func(parts ...layer) []byte { return build(t, parts...) }
	tcp := whole(inner4()...)
	change := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	mapped := whole(inner6()...)
	copy(mapped[8:], []byte{10: 0xff, 11: 0xff, 12: 198, 13: 51, 14: 100, 15: 77, 0: 0, 1: 0, 2: 0, 3: 0, 9: 0})
	deep := []layer{ip4(layers.IPProtocolTCP), tcpOver(ip4(layers.IPProtocolTCP))}
	for range maxDepth + 1 {
		deep = append([]layer{outer4(layers.IPProtocolIPv4)}, deep...)
	}
	long := make([]string, maxHeaders+1)
	for i := range long {
		long[i] = "3c 00 010400000000"
	}
	for name, tc := range map[string]struct {
		link link
		data []byte
		want Stats // but for Read
	}{
		"link type":          {105, tcp, Stats{UnknownLink: 1}},
		"ARP":                {linkEthernet, whole(etherTo(layers.EthernetTypeARP), text("who has?")), Stats{NotIP: 1}},
		"spanning tree":      {linkEthernet, whole(header("0180c2000000 020000000001 0007 424203 000000")), Stats{NotIP: 1}},
		"empty":              {linkEthernet, nil, Stats{BadLink: 1}},
		"empty SLL":          {linkSLL, nil, Stats{BadLink: 1}},
		"empty SLL2":         {linkSLL2, make([]byte, 19), Stats{BadLink: 1}},
		"empty loopback":     {linkNull, nil, Stats{BadLink: 1}},
		"empty raw":          {linkRaw, nil, Stats{BadIP: 1}},
		"tags without end":   {linkEthernet, whole(etherTo(layers.EthernetTypeDot1Q), gopacket.Payload(bytes.Repeat([]byte{0, 1, 0x81, 0}, 100))), Stats{BadLink: 1}},
		"labels without end": {linkEthernet, whole(etherTo(layers.EthernetTypeMPLSUnicast), gopacket.Payload(make([]byte, 100))), Stats{BadLink: 1}},
		"version 5":          {linkRaw, change(tcp, 0, 0x55), Stats{BadIP: 1}},
		"version 6 as 4":     {linkEthernet, whole(etherTo(layers.EthernetTypeIPv4), gopacket.Payload(whole(inner6()...))), Stats{BadIP: 1}},
		"header length":      {linkRaw, change(tcp, 0, 0x44), Stats{BadIP: 1}},
		"total length":       {linkRaw, change(tcp, 3, 19), Stats{BadIP: 1}},
		"IPv6 cut":           {linkRaw, whole(inner6()...)[:39], Stats{BadIP: 1}},
		"IPv4 in IPv6":       {linkRaw, mapped, Stats{BadIP: 1}},
		"chain without end":  {linkRaw, whole(extended(layers.IPProtocolIPv6Destination, long...)...), Stats{BadIP: 1}},
		"chain cut":          {linkRaw, whole(ip6(layers.IPProtocolIPv6Destination), header("06 ff 010400000000")), Stats{BadIP: 1}},
		"TCP offset":         {linkRaw, change(tcp, 32, 0x40), Stats{BadTransport: 1}},
		"TCP offset beyond":  {linkRaw, change(tcp, 32, 0xf0), Stats{BadTransport: 1}},
		"TCP cut":            {linkRaw, tcp[:39], Stats{BadTransport: 1}},
		"UDP cut":            {linkRaw, whole(ip4(layers.IPProtocolUDP), header("9c40 0035")), Stats{BadTransport: 1}},
		"UDP length":         {linkRaw, whole(ip4(layers.IPProtocolUDP), header("9c40 0035 0007 0000")), Stats{BadTransport: 1}},
		"ICMP cut":           {linkRaw, whole(ip4(layers.IPProtocolICMPv4), header("0800")), Stats{BadTransport: 1}},
		"ICMPv6 cut":         {linkRaw, whole(ip6(layers.IPProtocolICMPv6), header("8000")), Stats{BadTransport: 1}},
		"too deep":           {linkRaw, whole(deep...), Stats{Handed: 1, Tunnels: 1, BadTunnels: 1}},
		"captured in part":   {linkRaw, tcp[:40], Stats{Handed: 1, Truncated: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var d decoder
			length := len(tc.data)
			if tc.want.Truncated > 0 {
				length = len(tcp)
			}
			d.decode(&frame{link: tc.link, data: tc.data, length: length})
			tc.want.Read = 1
			if d.stats != tc.want {
				t.Errorf("%x\n got %+v\nwant %+v", tc.data, d.stats, tc.want)
			}
		})
	}
}

// TestPanic holds that a mistake of ours costs one packet, and is told.
func TestPanic(t *testing.T) {
	frame := frame{link: linkRaw, data: pieces(t, 4, 24)[0]}
	d := decoder{fragments: fragments{waiting: map[datagram]*list.Element{}}}
	d.fragments.oldest.PushBack("no datagram")
	d.decode(&frame)
	d.fragments = fragments{}
	if p := d.decode(&frame); p == nil || d.stats.Panics != 1 || !strings.HasPrefix(d.stats.Panic, "packet 1: ") {
		t.Errorf("%+v, then %v; want one panic that names packet 1", d.stats, p)
	}
}

func TestQuoted(t *testing.T) {
	v4, v6 := ip4(layers.IPProtocolUDP), ip6(layers.IPProtocolUDP)
	b4, b6 := build(t, v4, udpOver(v4, 53)), build(t, v6, udpOver(v6, 53))
	later := bytes.Clone(b4)
	binary.BigEndian.PutUint16(later[6:], 5)
	for name, tc := range map[string]struct {
		inner []byte
		ok    bool
	}{
		"IPv4": {b4, true}, "IPv6": {b6, true}, "ports only": {b4[:24], true},
		"none": {nil, false}, "cut": {b4[:19], false}, "no ports": {b4[:23], false}, "IPv6 cut": {b6[:39], false},
		"later fragment": {later, false}, "nonsense": {[]byte("something that is no packet"), false},
	} {
		p, ok := Quoted(tc.inner)
		if ok != tc.ok || ok && (p.SourcePort != 40000 || p.TargetPort != 53 || p.Protocol != UDP || p.Source != netip.MustParseAddr("203.0.113.9") && p.Source != netip.MustParseAddr("2001:db8::9")) {
			t.Errorf("%s: %+v, %v", name, p, ok)
		}
	}
}

// TestNoAllocations holds what the design promises: a packet costs none, whatever is
// in it, but for fragments.
func TestNoAllocations(t *testing.T) {
	for name, frame := range plainFrames(t) {
		var d decoder
		d.decode(&frame)
		if allocs := testing.AllocsPerRun(100, func() {
			if d.decode(&frame) == nil {
				t.Error(name, d.stats)
			}
		}); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// plainFrames are small packets of the kinds that there are most of.
func plainFrames(t testing.TB) map[string]frame {
	v4, v6, udp := ip4(layers.IPProtocolTCP), ip6(layers.IPProtocolTCP), ip4(layers.IPProtocolUDP)
	outer := outer4(layers.IPProtocolUDP)
	frames := map[string]frame{}
	for name, parts := range map[string][]layer{
		"SYN":         {etherTo(layers.EthernetTypeIPv4), v4, tcpOver(v4)},
		"SYN6":        {etherTo(layers.EthernetTypeIPv6), v6, tcpOver(v6)},
		"UDP":         {etherTo(layers.EthernetTypeIPv4), udp, udpOver(udp, 53), text("a question of 32 bytes, not more")},
		"ping":        {etherTo(layers.EthernetTypeIPv4), ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}, text("hello")},
		"VLAN":        {etherTo(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 42, Type: layers.EthernetTypeIPv4}, v4, tcpOver(v4)},
		"extensions":  append([]layer{etherTo(layers.EthernetTypeIPv6)}, extended(layers.IPProtocolIPv6HopByHop, "3c 00 010400000000", "06 00 010400000000")...),
		"VXLAN":       {etherTo(layers.EthernetTypeIPv4), outer, udpOver(outer, 4789), &layers.VXLAN{ValidIDFlag: true}, etherTo(layers.EthernetTypeIPv4), v4, tcpOver(v4)},
		"bad options": {etherTo(layers.EthernetTypeIPv4), ip4(layers.IPProtocolTCP), header("9c40 0016 000003e8 00000000 60 02 0400 0000 0000 0200 0000")},
		"GRE":         {etherTo(layers.EthernetTypeIPv4), outer4(layers.IPProtocolGRE), header("0000 0800"), v4, tcpOver(v4)},
	} {
		b := build(t, parts...)
		frames[name] = frame{link: linkEthernet, data: b, length: len(b)}
	}
	return frames
}

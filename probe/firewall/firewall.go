// Package firewall reads what packet filters log of the packets that they kept out, and
// what PortSentry logs of those that came to its ports.
//
// A logged packet proves nothing about who sent it: all of this evidence is spoofable.
package firewall

import (
	"net/netip"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	return []text.Format{netfilterFormat(), filterlogFormat(), mikrotikFormat(), asaFormat(), unifiFormat(), portsentryFormat()}
}

// packet is one that a firewall kept out.
type packet struct {
	source, target []byte // addresses as written
	from, to       uint16 // ports, where there are any
	protocol       string // "tcp", "udp", "icmp", "icmpv6" …; what is none of these is no evidence
	flags          flags  // of tcp
	icmp           int    // the type of an ICMP message
}

type flags uint8

const (
	fin flags = 1 << iota
	syn
	rst
	psh
	ack
	urg
	noFlags flags = 1 << 7 // the record has the field, and no flag is set
)

// judge says what a packet is evidence of. What answers something is none: where
// a firewall has forgotten a connection, or never knew of it because somebody else
// claimed to be here, honest servers' packets are refused.
func (p *packet) judge() (event.Kind, bool) {
	switch p.protocol {
	case "tcp":
		switch f := p.flags; {
		case p.to == 0:
			return "", false
		case f&syn != 0 && f&(fin|rst) != 0, f&(fin|psh|urg|noFlags) != 0 && f&(syn|rst|ack) == 0:
			return event.ScanStealth, true
		case f&syn != 0 && f&ack == 0:
			return event.ConnectionRefused, true
		}
	case "udp", "udplite", "sctp", "dccp":
		// From a service's port to a client's: a late answer.
		return event.ConnectionRefused, p.to != 0 && (p.from == 0 || p.from >= 1024 || p.to < 1024)
	case "icmp":
		return event.ConnectionRefused, p.icmp == 8 || p.icmp == 13 || p.icmp == 17 // echo, timestamp and address mask requests
	case "icmpv6":
		return event.ConnectionRefused, p.icmp == 128 // echo request
	case "esp", "ah", "gre":
		return event.ConnectionRefused, true
	}
	return "", false
}

// event makes the event, but for its time; ok is false where there is nobody to blame, or
// nobody in particular was called.
func (p *packet) event(kind event.Kind, sensor string, line text.Line) (ev event.Event, ok bool) {
	source, ok1 := text.Address(p.source)
	target, ok2 := text.Address(p.target)
	if !ok1 || !ok2 || target.IsMulticast() || source.IsMulticast() || target == broadcast {
		return ev, false
	}
	protocol := p.protocol
	if protocol == "icmpv6" {
		protocol = "icmp"
	}
	return event.Event{
		Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Spoofable, Protocol: protocol,
		Source: event.Endpoint{Addr: source, Port: p.from}, Target: event.Endpoint{Addr: target, Port: p.to},
		Sensor: sensor, File: line.File, Line: line.Number,
	}, true
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// protocolOf gives the name of a protocol in lower case; "" is one that is not looked at.
func protocolOf(name []byte) string {
	switch string(name) {
	case "TCP", "tcp", "6":
		return "tcp"
	case "UDP", "udp", "17":
		return "udp"
	case "ICMP", "icmp", "1":
		return "icmp"
	case "ICMPv6", "icmp6", "ipv6-icmp", "58":
		return "icmpv6"
	case "UDPLITE", "udplite", "136":
		return "udplite"
	case "SCTP", "sctp", "132":
		return "sctp"
	case "DCCP", "dccp", "33":
		return "dccp"
	case "ESP", "esp", "50":
		return "esp"
	case "AH", "ah", "51":
		return "ah"
	case "GRE", "gre", "47":
		return "gre"
	}
	return ""
}

// letters reads flags as "S", "SA", "FPU".
func letters(b []byte) flags {
	var f flags
	for _, c := range b {
		switch c {
		case 'F':
			f |= fin
		case 'S':
			f |= syn
		case 'R':
			f |= rst
		case 'P':
			f |= psh
		case 'A', '.':
			f |= ack
		case 'U':
			f |= urg
		}
	}
	if f == 0 {
		f = noFlags
	}
	return f
}

// stamped is the header and the time of a line that a firewall's own process wrote.
type stamped struct {
	text.Header
	epoch int64 // where the line begins with it: Unix seconds
}

// read gives a line's time.
func (s *stamped) read(c *text.HeaderClock) (time.Time, error) {
	if s.epoch != 0 {
		return time.Unix(s.epoch, 0).UTC(), nil
	}
	return c.Read(&s.Header)
}

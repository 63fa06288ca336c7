package block

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Flow names packets by what is written in them, whoever has written it: of a
// forged source, only what bears it is dropped, and only on its way to the
// target. So a flow can be blocked where an address must not be.
type Flow struct {
	// Source is the address that the packets bear; not valid for any. It must be
	// named where the target is this host, which would not be reached otherwise.
	Source netip.Addr `json:"source,omitzero"`
	Target netip.Addr `json:"target"`
	// Protocol is tcp, udp or icmp (of the target's family), or empty for any.
	Protocol string `json:"protocol,omitempty"`
	// Port is the target's, 0 for any. Only tcp and udp have ports.
	Port uint16 `json:"port,omitempty"`
}

// FlowEntry is a flow to block for a time to live, which is at least a millisecond.
type FlowEntry struct {
	Flow
	TTL time.Duration
}

// String is for people, and is the key under which a flow is kept:
// "udp 192.0.2.53 > 198.51.100.7:53".
func (f Flow) String() string {
	protocol, source, target := "any", "any", f.Target.String()
	if f.Protocol != "" {
		protocol = f.Protocol
	}
	if f.Source.IsValid() {
		source = f.Source.String()
	}
	if f.Port != 0 {
		target = netip.AddrPortFrom(f.Target, f.Port).String()
	}
	return protocol + " " + source + " > " + target
}

// canonical returns the flow as it is stored, or what is wrong with it.
func (f Flow) canonical() (Flow, error) {
	f.Source, f.Target = f.Source.Unmap().WithZone(""), f.Target.Unmap().WithZone("")
	_, known := f.protocol()
	switch {
	case !f.Target.IsValid():
		return f, fmt.Errorf("flow %s: it needs a target, for instance 198.51.100.7", f)
	case f.Source.IsValid() && f.Source.Is4() != f.Target.Is4():
		return f, fmt.Errorf("flow %s: its source and its target must both be IPv4, or both IPv6", f)
	case !known:
		return f, fmt.Errorf("flow %s: protocol %q: want tcp, udp or icmp, or none for any", f, f.Protocol)
	case f.Port != 0 && f.Protocol != "tcp" && f.Protocol != "udp":
		return f, fmt.Errorf("flow %s: a port needs its protocol, tcp or udp", f)
	}
	return f, nil
}

// protocol is IP's number.
func (f Flow) protocol() (number byte, known bool) {
	switch {
	case f.Protocol == "":
		return 0, true
	case f.Protocol == "tcp":
		return unix.IPPROTO_TCP, true
	case f.Protocol == "udp":
		return unix.IPPROTO_UDP, true
	case f.Protocol == "icmp" && f.Target.Is4():
		return unix.IPPROTO_ICMP, true
	case f.Protocol == "icmp":
		return unix.IPPROTO_ICMPV6, true
	}
	return 0, false
}

// A shape is what flows name beside their target. All flows of one shape are in
// one hash set, whose keys are those fields: no packet costs more for there being
// many, and a shape that nobody has used costs nothing.
type shape struct {
	family                 byte // 4 or 6
	source, protocol, port bool
}

func shapeOf(f Flow) shape {
	s := shape{6, f.Source.IsValid(), f.Protocol != "", f.Port != 0}
	if f.Target.Is4() {
		s.family = 4
	}
	return s
}

// shapes are all that there can be: a port without a protocol is none.
func shapes() (all []shape) {
	for _, family := range []byte{4, 6} {
		for _, source := range []bool{true, false} {
			all = append(all, shape{family, source, true, true}, shape{family, source, true, false}, shape{family, source, false, false})
		}
	}
	return all
}

// set is the name of the shape's set: flow4_source_target_protocol_port.
func (s shape) set() string {
	name := fmt.Sprintf("flow%d", s.family)
	for _, field := range s.fields() {
		name += "_" + field.name
	}
	return name
}

// parseShape reads what set wrote.
func parseShape(name string) (shape, bool) {
	if strings.HasPrefix(name, "flow") {
		for _, s := range shapes() {
			if s.set() == name {
				return s, true
			}
		}
	}
	return shape{}, false
}

// A field of a key fills whole registers of four bytes.
type field struct {
	name   string
	length int // in bytes
}

func (s shape) fields() []field {
	address := 4
	if s.family == 6 {
		address = 16
	}
	var fields []field
	for _, f := range []struct {
		field
		there bool
	}{{field{"source", address}, s.source}, {field{"target", address}, true}, {field{"protocol", 1}, s.protocol}, {field{"port", 2}, s.port}} {
		if f.there {
			fields = append(fields, f.field)
		}
	}
	return fields
}

// key is the flow as an element of its shape's set.
func (f Flow) key() []byte {
	s := shapeOf(f)
	var key []byte
	if s.source {
		key = append(key, f.Source.AsSlice()...)
	}
	key = append(key, f.Target.AsSlice()...)
	if number, _ := f.protocol(); s.protocol {
		key = append(key, number, 0, 0, 0)
	}
	if s.port {
		key = append(binary.BigEndian.AppendUint16(key, f.Port), 0, 0)
	}
	return key
}

// flow reads an element of the shape's set.
func (s shape) flow(key []byte) (f Flow, ok bool) {
	for _, field := range s.fields() {
		width := (field.length + 3) &^ 3
		if len(key) < width {
			return f, false
		}
		value := key[:field.length]
		switch field.name {
		case "source":
			f.Source, _ = netip.AddrFromSlice(value)
		case "target":
			f.Target, _ = netip.AddrFromSlice(value)
		case "protocol":
			f.Protocol = map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_ICMPV6: "icmp"}[value[0]]
		case "port":
			f.Port = binary.BigEndian.Uint16(value)
		}
		key = key[width:]
	}
	canonical, err := f.canonical()
	return f, err == nil && canonical == f && shapeOf(f) == s && len(key) == 0
}

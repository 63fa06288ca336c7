package firewall

import (
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func filterlogFormat() text.Format {
	return text.Format{
		Name:     "filterlog",
		Aliases:  []string{"pf", "pfsense", "opnsense"},
		About:    "the packet filter's log of pfSense and OPNsense",
		Programs: []string{"filterlog"},
		New:      func(c text.Clock) text.Parser { return &filterlogParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r filterlogRecord
			return r.split(line)
		}),
	}
}

type filterlogParser struct {
	clock text.HeaderClock
}

func (p *filterlogParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r filterlogRecord
	if !r.split(line.Bytes) || !r.blocked() || !r.read() {
		return ev, false, nil
	}
	kind, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	if ev, ok = r.event(kind, "filterlog", line); !ok {
		return ev, false, nil
	}
	if ev.Time, err = p.clock.Read(&r.Header); err != nil {
		return event.Event{}, false, text.Malformed("filterlog", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every packet is one line.
func (p *filterlogParser) Flush() (ev event.Event, ok bool, err error) { return }

// filterlogRecord is a line of comma-separated values, all of the filter's own writing
// (docs.netgate.com, Raw Filter Log Format):
//
//	rule,subrule,anchor,tracker,interface,reason,action,direction,version, then for IPv4
//	tos,ecn,ttl,id,offset,flags,protocol number,protocol,length,source,target, and for IPv6
//	class,flow,hops,protocol,protocol number,length,source,target; then
//	source port,target port,length[,flags,…]
type filterlogRecord struct {
	text.Header
	packet
	general [9][]byte
	rest    []byte
}

func (r *filterlogRecord) split(line []byte) (ok bool) {
	if !r.Split(line) || string(r.Process) != "filterlog" {
		return false
	}
	r.rest = r.Message
	return cutFields(&r.rest, r.general[:])
}

// cutFields takes comma-separated values off the front of b.
func cutFields(b *[]byte, fields [][]byte) bool {
	for i := range fields {
		var ok bool
		if fields[i], *b, ok = text.CutByte(*b, ','); !ok && (i < len(fields)-1 || len(fields[i]) == 0) {
			return false
		}
	}
	return true
}

// blocked tells whether the packet came from outside and was not let in.
func (r *filterlogRecord) blocked() bool {
	return (string(r.general[6]) == "block" || string(r.general[6]) == "reject") && string(r.general[7]) == "in"
}

func (r *filterlogRecord) read() bool {
	var fragment []byte
	switch string(r.general[8]) {
	case "4":
		var ip [11][]byte
		if !cutFields(&r.rest, ip[:]) {
			return false
		}
		fragment, r.protocol, r.source, r.target = ip[4], protocolOf(ip[6]), ip[9], ip[10]
	case "6":
		var ip [8][]byte
		if !cutFields(&r.rest, ip[:]) {
			return false
		}
		r.protocol, r.source, r.target = protocolOf(ip[4]), ip[6], ip[7]
	}
	r.icmp = -1
	switch r.protocol {
	case "":
		return false
	case "tcp", "udp", "sctp", "udplite", "dccp":
		if len(fragment) > 0 && string(fragment) != "0" {
			return false // not the first fragment: no ports
		}
		var ports [3][]byte
		if !cutFields(&r.rest, ports[:]) {
			return false
		}
		var ok1, ok2 bool
		r.from, ok1 = text.Port(ports[0])
		r.to, ok2 = text.Port(ports[1])
		if r.protocol == "tcp" {
			names, _, _ := text.CutByte(r.rest, ',')
			r.flags = letters(names)
		}
		return ok1 && ok2
	case "icmp":
		switch name, _, _ := text.CutByte(r.rest, ','); string(name) {
		case "request":
			r.icmp = 8
		case "tstamp":
			r.icmp = 13
		}
	}
	return true
}

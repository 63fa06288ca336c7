package firewall

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func netfilterFormat() text.Format {
	return text.Format{
		Name:     "netfilter",
		Aliases:  []string{"iptables", "nftables", "ufw", "firewalld", "shorewall", "dshield", "proxmox-firewall"},
		About:    "the Linux kernel's LOG lines of iptables, nftables, ufw, firewalld, Shorewall, UniFi and Proxmox; DShield's form of them",
		Programs: []string{"kernel"},
		New: func(c text.Clock) text.Parser {
			return &netfilterParser{clock: text.HeaderClock{Clock: c}}
		},
		Recognise: text.EachLine(func(line []byte) bool {
			var r netfilterRecord
			if !r.split(line) && string(r.Process) != "kernel" {
				return false
			}
			_, err := (&netfilterParser{}).time(&r)
			return err == nil
		}),
	}
}

type netfilterParser struct {
	clock  text.HeaderClock
	common text.CommonClock // Proxmox'
	shows  map[string]bool  // what showsOnly says of the administrator's few prefixes
}

const prefixesKept = 64

func (p *netfilterParser) showsOnly(prefix []byte) bool {
	shows, known := p.shows[string(prefix)]
	if !known {
		if len(p.shows) >= prefixesKept || p.shows == nil {
			p.shows = make(map[string]bool)
		}
		shows = showsOnly(prefix)
		p.shows[string(prefix)] = shows
	}
	return shows
}

func (p *netfilterParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r netfilterRecord
	if !r.split(line.Bytes) || string(r.in) == "lo" || p.showsOnly(r.prefix) || !r.read() {
		return ev, false, nil
	}
	kind, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	if ev, ok = r.event(kind, "netfilter", line); !ok {
		return ev, false, nil
	}
	if ev.Time, err = p.time(&r); err != nil {
		return event.Event{}, false, text.Malformed("netfilter", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every packet is one line.
func (p *netfilterParser) Flush() (ev event.Event, ok bool, err error) { return }

// netfilterRecord is a line "PREFIXIN=eth0 OUT= MAC=… SRC=… DST=… … PROTO=TCP SPT=… DPT=…
// … SYN URGP=0" (nf_log_syslog.c). The prefix is the administrator's, and before IN=
// there is nothing that comes from a packet.
type netfilterRecord struct {
	packet
	stamped
	common []byte // Proxmox' timestamp, in the place of a header
	prefix []byte
	in     []byte
	fields []byte // from SRC= on
}

// maxPrefix is the longest prefix, in bytes, with the uptime and the rule's name before
// it; NF_LOG_PREFIXLEN is 128.
const maxPrefix = 200

func (r *netfilterRecord) split(line []byte) bool {
	m, ok := r.head(line)
	if !ok {
		return false
	}
	if len(m) > 2 && m[0] == '[' && (m[1] == ' ' || m[1] >= '0' && m[1] <= '9') {
		if end := bytes.IndexByte(m[:min(len(m), 24)], ']'); end > 0 {
			m = text.TrimBlanks(m[end+1:]) // the uptime
		}
	}
	at := bytes.Index(m[:min(len(m), maxPrefix)], []byte("IN="))
	if at < 0 {
		return false
	}
	r.prefix = m[:at]
	r.in, m, ok = text.CutByte(m[at+len("IN="):], ' ')
	if !ok || len(r.in) == 0 || len(r.in) > 32 {
		return false // a packet that leaves from here
	}
	for range 8 {
		if len(m) > 4 && string(m[:4]) == "SRC=" {
			r.fields = m
			return true
		}
		var field []byte
		if field, m, ok = text.CutByte(m, ' '); !ok || !beforeSource(field) {
			return false
		}
	}
	return false
}

// beforeSource tells what can stand between IN= and SRC=.
func beforeSource(field []byte) bool {
	key, _, ok := text.CutByte(field, '=')
	switch string(key) {
	case "OUT", "PHYSIN", "PHYSOUT", "MAC", "MACSRC", "MACDST", "MACPROTO", "VPROTO", "VID":
		return ok
	}
	return false
}

// read reads the packet's fields. What follows a bracket is the packet that an ICMP
// error quotes, which its sender made up.
func (r *netfilterRecord) read() bool {
	r.icmp = -1
	inFlags := false
	for b := r.fields; len(b) > 0; {
		equals, end := -1, 0
		for end < len(b) && b[end] != ' ' {
			if b[end] == '=' && equals < 0 {
				equals = end
			}
			end++
		}
		field := b[:end]
		b = b[min(end+1, len(b)):]
		if end == 0 {
			continue
		}
		if field[0] == '[' {
			break
		}
		if equals < 0 {
			if inFlags {
				r.flags |= flagOf(field)
			}
			continue
		}
		value, ok := field[equals+1:], true
		switch string(field[:equals]) {
		case "SRC":
			r.source = value
		case "DST":
			r.target = value
		case "PROTO":
			if r.protocol = protocolOf(value); r.protocol == "" {
				return false
			}
		case "SPT":
			r.from, ok = text.Port(value)
		case "DPT":
			r.to, ok = text.Port(value)
		case "TYPE":
			r.icmp, ok = text.Number(value)
		case "WINDOW", "RES":
			inFlags = true
		case "URGP":
			if inFlags && r.flags == 0 {
				r.flags = noFlags
			}
			inFlags = false
		}
		if !ok {
			return false
		}
	}
	return r.source != nil && r.target != nil
}

func flagOf(name []byte) flags {
	switch string(name) {
	case "FIN":
		return fin
	case "SYN":
		return syn
	case "RST":
		return rst
	case "PSH":
		return psh
	case "ACK":
		return ack
	case "URG":
		return urg
	}
	return 0
}

func (p *netfilterParser) time(r *netfilterRecord) (time.Time, error) {
	if r.common != nil {
		return p.common.Read(r.common)
	}
	return r.stamped.read(&p.clock)
}

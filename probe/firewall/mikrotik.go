package firewall

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func mikrotikFormat() text.Format {
	return text.Format{
		Name:    "mikrotik",
		Aliases: []string{"routeros"},
		About:   "MikroTik RouterOS by syslog: packets that firewall rules log, refused logins",
		New:     func(c text.Clock) text.Parser { return &mikrotikParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r mikrotikRecord
			return r.split(line)
		}),
	}
}

type mikrotikParser struct {
	clock text.HeaderClock
}

func (p *mikrotikParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r mikrotikRecord
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	if r.login != nil {
		ev, ok = r.refusedLogin(line)
	} else if r.read() {
		var kind event.Kind
		if kind, ok = r.judge(); ok {
			ev, ok = r.event(kind, "mikrotik", line)
		}
	}
	if !ok {
		return ev, false, nil
	}
	if ev.Time, err = r.time(&p.clock); err != nil {
		return event.Event{}, false, text.Malformed("mikrotik", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *mikrotikParser) Flush() (ev event.Event, ok bool, err error) { return }

// mikrotikRecord is "STAMP HOST TOPICS MESSAGE" where the topics are "firewall,info", or
// "system,error,critical" and the message is "login failure for user NAME from IP via SERVICE".
// A packet is "[PREFIX ]CHAIN: in:IF out:IF, …proto TCP (SYN), IP:PORT->IP:PORT, len N"; the
// prefix is the administrator's.
type mikrotikRecord struct {
	packet
	stamp  []byte
	iso    bool
	rule   []byte // of a packet: what stands before " in:"
	fields []byte // behind it
	login  []byte // behind "login failure for user "
}

func (r *mikrotikRecord) split(line []byte) bool {
	rest, ok := line, false
	switch {
	case len(line) > 20 && line[3] == ' ' && line[15] == ' ':
		r.stamp, rest = line[:15], line[16:]
	case len(line) > 20 && line[4] == '-' && line[10] == 'T':
		if r.stamp, rest, ok = bytes.Cut(line, []byte(" ")); !ok {
			return false
		}
		r.iso = true
	default:
		return false
	}
	topics, rest, ok := bytes.Cut(rest, []byte(" "))
	if ok && bytes.IndexByte(topics, ',') < 0 { // the host, which can be left away
		topics, rest, ok = bytes.Cut(rest, []byte(" "))
	}
	if !ok {
		return false
	}
	if r.login, ok = text.CutPrefix(rest, "login failure for user "); ok {
		return bytes.HasPrefix(topics, []byte("system,error"))
	}
	r.login = nil
	if !bytes.HasPrefix(topics, []byte("firewall,")) {
		return false
	}
	at := bytes.Index(rest[:min(len(rest), maxPrefix)], []byte(": in:"))
	if at < 0 {
		return false
	}
	r.rule, r.fields = rest[:at], rest[at+len(": in:"):]
	return true
}

// read reads the packet.
func (r *mikrotikRecord) read() bool {
	var room [maxPrefix]byte
	rule := lower(room[:0], r.rule)
	if containsAny(rule, "accept", "pass", "allow", "output") {
		return false
	}
	_, what, ok := text.CutOnce(r.fields, " proto ")
	if !ok {
		return false // an interface can have the name of who dialled in
	}
	name, rest, ok := text.Cut(what, ", ")
	name, detail, ok2 := text.Cut(name, " (")
	if ok2 {
		detail, rest, ok = text.Cut(what[len(name)+len(" ("):], "), ")
	}
	if !ok {
		return false
	}
	r.icmp = -1
	switch r.protocol = protocolOf(name); r.protocol {
	case "":
		return false
	case "tcp":
		r.flags = named(detail)
	case "icmp", "icmpv6":
		if kind, ok := text.CutPrefix(detail, "type "); ok {
			kind, _, _ = bytes.Cut(kind, []byte(","))
			r.icmp, _ = text.Number(kind)
		}
	}
	peers, _, _ := text.Cut(rest, ", ")
	from, to, ok := text.Cut(peers, "->")
	if !ok {
		return false
	}
	r.source, r.from = hostPort(from)
	r.target, r.to = hostPort(to)
	return true
}

// named reads flags as "SYN" or "ACK,FIN".
func named(b []byte) (f flags) {
	for len(b) > 0 {
		var name []byte
		name, b, _ = text.CutByte(b, ',')
		f |= flagOf(name)
	}
	if f == 0 {
		f = noFlags
	}
	return f
}

// hostPort splits "IP:PORT" and "[IP]:PORT"; both may lack the port.
func hostPort(b []byte) (host []byte, n uint16) {
	host, port, ok := text.CutLastByte(b, ':')
	if ok {
		if n, ok = text.Port(port); !ok || bytes.IndexByte(host, ':') >= 0 && host[0] != '[' {
			host, n = b, 0 // an IPv6 address
		}
	}
	if inner, ok := text.CutPrefix(host, "["); ok {
		host = bytes.TrimSuffix(inner, []byte("]"))
	}
	return host, n
}

// refusedLogin reads "NAME from IP via SERVICE": the name is the client's choice, and what
// stands at the end is the router's.
func (r *mikrotikRecord) refusedLogin(line text.Line) (ev event.Event, ok bool) {
	rest, service, ok1 := text.CutLast(r.login, " via ")
	user, host, ok2 := text.CutLast(rest, " from ")
	source, ok3 := text.Address(host)
	if !ok1 || !ok2 || !ok3 {
		return ev, false // of the console, or by a MAC address
	}
	kind, port := event.HTTPLoginFailed, uint16(0)
	switch string(service) {
	case "ssh":
		kind, port = event.SSHLoginFailed, 22
	case "ftp":
		kind, port = event.FTPLoginFailed, 21
	case "telnet":
		port = 23
	case "winbox":
		port = 8291
	case "web":
		port = 80
	case "api":
		port = 8728
	case "api-ssl":
		port = 8729
	default:
		return ev, false
	}
	return event.Event{
		Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: source}, Target: event.Endpoint{Port: port}, User: text.String(user),
		Detail: text.String(service), Sensor: "mikrotik", File: line.File, Line: line.Number,
	}, true
}

func (r *mikrotikRecord) time(c *text.HeaderClock) (time.Time, error) {
	return c.Read(&text.Header{Stamp: r.stamp, ISO: r.iso})
}

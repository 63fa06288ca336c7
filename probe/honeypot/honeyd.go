package honeypot

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func honeydFormat() text.Format {
	return text.Format{
		Name:     "honeyd",
		About:    "Honeyd, which answers for hosts that are none: its packet log, and its messages to syslog",
		Programs: []string{"honeyd"},
		New:      func(c text.Clock) text.Parser { return &honeydParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r honeydLine
			return r.split(line)
		}),
	}
}

type honeydParser struct {
	clock text.HeaderClock
}

func (p *honeydParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r honeydLine
	if !r.split(line.Bytes) || !r.read() {
		return ev, false, nil
	}
	ev = visit(event.HoneypotContact, "honeyd", line)
	ev.Protocol, ev.Source, ev.Target = r.protocol, r.source, r.target
	if !r.answered {
		ev.Proof = event.Spoofable
	}
	if r.stamp == nil {
		ev.Time, err = p.clock.Read(&r.header)
	} else {
		ev.Time, err = r.time(p.clock.Clock)
	}
	if err != nil {
		return event.Event{}, false, text.Malformed("honeyd", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every packet is one line.
func (p *honeydParser) Flush() (ev event.Event, ok bool, err error) { return }

// honeydLine is one of
//
//	2006-01-02-15:04:05.0000 tcp(6) S IP PORT IP PORT [SYSTEM]
//	SYSLOG Connection established: tcp (IP:PORT - IP:PORT) <-> SCRIPT
//
// S begins a connection and E ends it, with the bytes received and sent; a dash is a single
// packet. All of it is Honeyd's own writing.
type honeydLine struct {
	header text.Header
	stamp  []byte
	rest   []byte

	protocol       string
	source, target event.Endpoint
	answered       bool
}

func (r *honeydLine) split(line []byte) (ok bool) {
	const stamp = len("2006-01-02-15:04:05.")
	if len(line) > stamp && line[4] == '-' && line[10] == '-' {
		r.stamp, r.rest, ok = bytes.Cut(line, []byte(" "))
		return ok && len(r.stamp) >= stamp
	}
	if !r.header.Split(line) || string(r.header.Process) != "honeyd" {
		return false
	}
	r.rest = r.header.Message
	return true
}

func (r *honeydLine) read() bool {
	if r.stamp != nil {
		return r.packet()
	}
	what, rest, ok := bytes.Cut(r.rest, []byte(": "))
	if !ok {
		return false
	}
	switch string(what) {
	case "Connection request", "Connection to closed port", "Connection", "Killing attempted connection":
	case "Connection established":
		r.answered = true
	default:
		return false // the end of a connection that was reported, or what Honeyd itself sends
	}
	protocol, rest, ok := bytes.Cut(rest, []byte(" ("))
	peers, _, ok2 := bytes.Cut(rest, []byte(")"))
	from, to, ok3 := bytes.Cut(peers, []byte(" - "))
	if !ok || !ok2 || !ok3 || !r.transport(protocol) {
		return false
	}
	r.answered = r.answered && r.protocol == "tcp"
	r.source, ok = endpoint(from)
	r.target, ok2 = endpoint(to)
	return ok && ok2
}

func (r *honeydLine) transport(name []byte) bool {
	name, _, _ = bytes.Cut(name, []byte("("))
	switch string(name) {
	case "tcp":
		r.protocol = "tcp"
	case "udp":
		r.protocol = "udp"
	case "icmp":
		r.protocol = "icmp"
	}
	return r.protocol != ""
}

func (r *honeydLine) packet() bool {
	var fields [7][]byte // protocol, what, source, its port, target, its port, bytes received
	rest := r.rest
	for i := range fields {
		fields[i], rest, _ = bytes.Cut(rest, []byte(" "))
		if i == 1 && r.protocol == "icmp" || i == 0 && !r.transport(fields[0]) {
			break
		}
	}
	if r.protocol == "icmp" { // icmp(1) - IP IP: TYPE(CODE): LENGTH
		from, to, _ := bytes.Cut(rest, []byte(" "))
		to, kind, ok := bytes.Cut(to, []byte(": "))
		var ok1, ok2 bool
		r.source.Addr, ok1 = text.Address(from)
		r.target.Addr, ok2 = text.Address(to)
		return ok && ok1 && ok2 && bytes.HasPrefix(kind, []byte("8("))
	}
	switch string(fields[1]) {
	case "S", "-":
	case "E":
		// Only where the client has sent data was there a dialogue; that it began is reported.
		n, ok := text.Number(fields[6])
		if r.answered = ok && n > 0 && r.protocol == "tcp"; !r.answered {
			return false
		}
	default:
		return false
	}
	var ok1, ok2, ok3, ok4 bool
	r.source.Addr, ok1 = text.Address(fields[2])
	r.source.Port, ok2 = text.Port(fields[3])
	r.target.Addr, ok3 = text.Address(fields[4])
	r.target.Port, ok4 = text.Port(bytes.TrimSuffix(fields[5], []byte(":")))
	return ok1 && ok2 && ok3 && ok4
}

// time reads "2006-01-02-15:04:05.0000", local time.
func (r *honeydLine) time(c text.Clock) (time.Time, error) {
	return c.ISO(r.stamp)
}

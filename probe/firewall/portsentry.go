package firewall

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func portsentryFormat() text.Format {
	return text.Format{
		Name:     "portsentry",
		About:    "PortSentry: its messages to syslog, and its history and blocked files",
		Programs: []string{"portsentry"},
		New:      func(c text.Clock) text.Parser { return &portsentryParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r portsentryRecord
			return r.split(line)
		}),
	}
}

type portsentryParser struct {
	clock text.HeaderClock
}

func (p *portsentryParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r portsentryRecord
	if !r.split(line.Bytes) || !r.read() {
		return ev, false, nil
	}
	kind := event.ConnectionRefused
	if r.stealth {
		kind = event.ScanStealth
	}
	source, ok := text.Address(r.source)
	if !ok {
		return ev, false, nil
	}
	ev = event.Event{
		Kind: kind, Severity: kind.Severity(), Count: 1, Protocol: r.protocol,
		Source: event.Endpoint{Addr: source}, Target: event.Endpoint{Port: r.to},
		Sensor: "portsentry", File: line.File, Line: line.Number,
	}
	if r.connected {
		ev.Proof = event.Handshake
	}
	if ev.Time, err = r.stamped.read(&p.clock); err != nil {
		return event.Event{}, false, text.Malformed("portsentry", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *portsentryParser) Flush() (ev event.Event, ok bool, err error) { return }

// portsentryRecord is one of
//
//	SYSLOG attackalert: WHAT from host: NAME/IP to TCP port: N
//	EPOCH - 01/02/2006 15:04:05 Host: NAME/IP Port: N TCP Blocked
//
// The name is what the source's owner has put into the name service, so the address is
// looked for from the end.
type portsentryRecord struct {
	packet
	stamped
	what, peer         []byte
	stealth, connected bool
}

func (r *portsentryRecord) split(line []byte) bool {
	if len(line) > 0 && line[0] >= '0' && line[0] <= '9' && line[min(len(line)-1, 4)] != '-' {
		seconds, rest := text.Digits(line)
		n, ok := text.Number(seconds[:min(len(seconds), 9)])
		if !ok || len(seconds) != 10 {
			return false
		}
		r.epoch = int64(n)*10 + int64(seconds[9]-'0')
		_, r.peer, ok = bytes.Cut(rest, []byte(" Host: "))
		return ok && bytes.HasPrefix(rest, []byte(" - "))
	}
	if !r.Split(line) || string(r.Process) != "portsentry" {
		return false
	}
	rest, ok := text.CutPrefix(r.Message, "attackalert: ")
	if !ok {
		return false
	}
	// "…from  host: " has two blanks in some versions.
	r.what, r.peer, ok = bytes.Cut(rest, []byte("host: "))
	return ok || bytes.HasPrefix(rest, []byte("Host"))
}

// read reads "NAME/IP Port: N TCP Blocked" or "NAME/IP to TCP port: N".
func (r *portsentryRecord) read() bool {
	if r.peer == nil {
		return false // what PortSentry did about it
	}
	var host, port, protocol []byte
	var ok, ok2 bool
	if r.epoch != 0 {
		rest, tail, ok1 := text.CutLast(r.peer, " Port: ")
		host, ok = rest, ok1
		port, tail, ok2 = bytes.Cut(tail, []byte(" "))
		protocol, _, _ = bytes.Cut(tail, []byte(" "))
	} else {
		host, port, ok = text.CutLast(r.peer, " port: ")
		host, protocol, ok2 = text.CutLast(host, " to ")
		r.connected = bytes.HasPrefix(r.what, []byte("Connect ")) && string(protocol) == "TCP"
		r.stealth = containsAny(r.what, "FIN", "NULL", "XMAS")
	}
	var ok3 bool
	r.to, ok3 = text.Port(port)
	r.protocol = protocolOf(protocol)
	_, r.source, _ = text.CutLastByte(host, '/')
	return ok && ok2 && ok3 && r.protocol != ""
}

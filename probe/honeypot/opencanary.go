package honeypot

import (
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func opencanaryFormat() text.Format {
	return text.Format{
		Name:      "opencanary",
		About:     "OpenCanary, a honeypot of many services: its JSON log",
		New:       func(c text.Clock) text.Parser { return &opencanaryParser{clock: c} },
		Recognise: jsonFormat(`"logtype":`, `"node_id":`, `"src_host":`),
	}
}

type opencanaryParser struct {
	clock  text.Clock
	values [6]text.Value
	inner  [1]text.Value
	buffer []byte
}

// The fields are those of opencanary/logger.py.
var (
	opencanaryFields = []string{"logtype", "src_host", "src_port", "dst_port", "utc_time", "logdata"}
	opencanaryInner  = []string{"USERNAME"}
)

func (p *opencanaryParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if len(line.Bytes) == 0 || line.Bytes[0] != '{' {
		return ev, false, text.WantObject("opencanary", line.Bytes)
	}
	if err := text.Value(line.Bytes).Fields(opencanaryFields, p.values[:]); err != nil {
		return ev, false, text.Malformed("opencanary", line.Bytes, err)
	}
	p.buffer = p.buffer[:0]
	number, _ := p.values[0].Int()
	kind, proof, protocol := opencanaryKind(number)
	if kind == "" {
		return ev, false, nil
	}
	host, _ := p.values[1].Text(&p.buffer)
	source, ok := text.Address(host)
	if !ok {
		return ev, false, nil
	}
	ev = visit(kind, "opencanary", line)
	ev.Proof, ev.Protocol = proof, protocol
	ev.Source = event.Endpoint{Addr: source, Port: p.values[2].Port()}
	ev.Target.Port = p.values[3].Port()
	if kind == event.HoneypotLogin && p.values[5] != nil && p.values[5].Fields(opencanaryInner, p.inner[:]) == nil {
		name, _ := p.inner[0].Text(&p.buffer)
		ev.User = text.String(name)
	}
	stamp, _ := p.values[4].Text(&p.buffer)
	if ev.Time, err = utc(p.clock, stamp); err != nil {
		return event.Event{}, false, text.Malformed("opencanary", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every event of OpenCanary's is one line.
func (p *opencanaryParser) Flush() (ev event.Event, ok bool, err error) { return }

// opencanaryKind says what the numbers of opencanary/logger.py mean.
func opencanaryKind(logtype int64) (kind event.Kind, proof event.Proof, protocol string) {
	switch logtype {
	case 2000, 3001, 4002, 6001, 7001, 8001, 9001, 9002, 12001: // logins: FTP, HTTP, SSH, telnet, proxy, MySQL, MSSQL, VNC
		return event.HoneypotLogin, event.Handshake, "tcp"
	case 2001, 3000, 4000, 4001, 6002, 14001, 16001, 18001, 18002, 18003, 18004, 18005: // connections, and what is said in them
		return event.HoneypotContact, event.Handshake, "tcp"
	case 5000, 17001: // a file opened by SMB, a command to Redis
		return event.HoneypotCommand, event.Handshake, "tcp"
	case 5001: // the kernel's word on a SYN
		return event.HoneypotContact, event.Spoofable, "tcp"
	case 5002, 5003, 5004, 5005: // nmap's packets
		return event.ScanStealth, event.Spoofable, "tcp"
	case 10001, 11001, 13001, 15001: // TFTP, NTP, SNMP, SIP
		return event.HoneypotContact, event.Spoofable, "udp"
	}
	return "", event.Spoofable, ""
}

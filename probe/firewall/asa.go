package firewall

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func asaFormat() text.Format {
	return text.Format{
		Name:    "cisco-asa",
		Aliases: []string{"asa", "ftd"},
		About:   "Cisco ASA and FTD by syslog: refused packets (106…), refused logins (113005, 113015, 605004)",
		New:     func(c text.Clock) text.Parser { return &asaParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r asaRecord
			return r.split(line)
		}),
	}
}

type asaParser struct {
	clock text.HeaderClock
}

func (p *asaParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r asaRecord
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	switch string(r.id) {
	case "113005", "113015", "605004", "611102":
		ev, ok = r.refusedLogin(line)
	default:
		if !r.read() {
			return ev, false, nil
		}
		var kind event.Kind
		if kind, ok = r.judge(); ok {
			ev, ok = r.event(kind, "cisco-asa", line)
		}
	}
	if !ok {
		return ev, false, nil
	}
	if ev.Time, err = r.time(&p.clock); err != nil {
		return event.Event{}, false, text.Malformed("cisco-asa", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every message is one line.
func (p *asaParser) Flush() (ev event.Event, ok bool, err error) { return }

// asaRecord is a line "STAMP [HOST] [: ]%ASA-LEVEL-ID: MESSAGE" (Cisco Secure Firewall ASA
// Series Syslog Messages).
type asaRecord struct {
	packet
	header  text.Header
	year    bool // the stamp is "Jan 02 2006 15:04:05"
	id      []byte
	message []byte
}

func (r *asaRecord) split(line []byte) bool {
	// The label stands before anything that the message quotes.
	at := bytes.IndexByte(line[:min(len(line), 100)], '%')
	if at < 0 {
		return false
	}
	head, label := line[:at], line[at+1:]
	switch {
	case text.HasPrefix(label, "ASA-", "FTD-", "PIX-"):
		label = label[4:]
	case text.HasPrefix(label, "FWSM-"):
		label = label[5:]
	default:
		return false
	}
	if len(label) < len("4-106023: ") || label[1] != '-' || label[8] != ':' {
		return false
	}
	r.id, r.message = label[2:8], text.TrimBlanks(label[9:])
	return r.stamp(head)
}

// stamp reads what stands before the label; the priority is the network's.
func (r *asaRecord) stamp(b []byte) bool {
	if len(b) > 0 && b[0] == '<' {
		_, b, _ = bytes.Cut(b, []byte(">"))
	}
	b, _ = text.CutPrefix(b, ": ")
	switch {
	case len(b) >= 20 && b[3] == ' ' && b[6] == ' ' && b[11] == ' ' && b[14] == ':':
		r.header.Stamp, r.year = b[:20], true
	case len(b) >= 15 && b[3] == ' ' && b[9] == ':':
		r.header.Stamp = b[:15]
	case len(b) >= 19 && b[4] == '-' && b[10] == 'T':
		r.header.Stamp, _, _ = bytes.Cut(b, []byte(" "))
		r.header.Stamp = bytes.TrimSuffix(r.header.Stamp, []byte(":"))
		r.header.ISO = true
	default:
		return false
	}
	// Behind it stand the firewall's name and a colon, or neither: no program's tag, that
	// is, which could quote a label.
	b = bytes.TrimSuffix(bytes.TrimRight(b[len(r.header.Stamp):], " "), []byte(":"))
	host := bytes.Trim(b, " ")
	return bytes.IndexByte(host, ' ') < 0 && !bytes.HasSuffix(host, []byte(":"))
}

func (r *asaRecord) time(c *text.HeaderClock) (time.Time, error) {
	if !r.year {
		return c.Read(&r.header)
	}
	b := r.header.Stamp
	var w text.WallClock
	var ok1, ok2 bool
	w.Month = text.MonthOf(b[:3])
	w.Day, ok1 = text.Number(text.TrimBlanks(b[4:6]))
	w.Year, ok2 = text.Number(b[7:11])
	_, ok3 := w.ReadTime(b[12:])
	t, ok := w.In(c.Location())
	if !ok1 || !ok2 || !ok3 || !ok {
		return t, text.ErrTimestamp
	}
	return t, nil
}

// read reads a refused packet. Nothing in these messages comes from a packet but
// numbers; the names of interfaces, lists and users are the administrator's.
func (r *asaRecord) read() (ok bool) {
	r.icmp = -1
	m := r.message
	switch string(r.id) {
	case "106001": // Inbound TCP connection denied from IP/PORT to IP/PORT flags FLAGS on interface IF
		if m, ok = text.CutPrefix(m, "Inbound TCP connection denied from "); !ok {
			return false
		}
		r.protocol = "tcp"
		return r.peers(m, " to ") && r.flagsOf(m)
	case "106006": // Deny inbound UDP from IP/PORT to IP/PORT on interface IF
		if m, ok = text.CutPrefix(m, "Deny inbound UDP from "); !ok {
			return false
		}
		r.protocol = "udp"
		return r.peers(m, " to ")
	case "106015": // Deny TCP (no connection) from IP/PORT to IP/PORT flags FLAGS on interface IF
		if m, ok = text.CutPrefix(m, "Deny TCP (no connection) from "); !ok {
			return false
		}
		r.protocol = "tcp"
		return r.peers(m, " to ") && r.flagsOf(m)
	case "106014", "106010", "106023": // Deny [inbound] PROTOCOL src IF:IP[/PORT] dst IF:IP[/PORT] …
		if m, ok = text.CutPrefix(m, "Deny "); !ok {
			return false
		}
		m, _ = text.CutPrefix(m, "inbound ")
		m, _ = text.CutPrefix(m, "protocol ")
		var protocol []byte
		if protocol, m, ok = bytes.Cut(m, []byte(" src ")); !ok {
			return false
		}
		if r.protocol = protocolOf(protocol); r.protocol == "tcp" {
			r.flags = syn // what belongs to no connection is 106015
		}
		r.icmpType(m)
		return r.protocol != "" && r.peers(m, " dst ")
	case "106100": // access-list NAME denied PROTOCOL IF/IP(PORT) -> IF/IP(PORT) hit-cnt …
		_, m, ok = bytes.Cut(m, []byte(" denied "))
		protocol, rest, ok2 := bytes.Cut(m, []byte(" "))
		if r.protocol = protocolOf(protocol); !ok || !ok2 || r.protocol == "" {
			return false
		}
		if r.protocol == "tcp" {
			r.flags = syn
		}
		from, to, ok := bytes.Cut(rest, []byte(" -> "))
		to, _, _ = bytes.Cut(to, []byte(" "))
		r.source, r.from = inParentheses(from)
		r.target, r.to = inParentheses(to)
		if r.protocol == "icmp" { // the type stands in the place of the source's port
			r.icmp, r.from, r.to = int(r.from), 0, 0
		}
		return ok
	}
	return false
}

// peers reads "[IF:]IP[/PORT]SEP[IF:]IP[/PORT]…"; a user's name can follow in parentheses.
func (r *asaRecord) peers(b []byte, sep string) bool {
	from, rest, ok := bytes.Cut(b, []byte(sep))
	to, _, _ := bytes.Cut(rest, []byte(" "))
	r.source, r.from = slashed(from)
	r.target, r.to = slashed(to)
	return ok
}

func slashed(b []byte) (host []byte, n uint16) {
	b, _, _ = bytes.Cut(b, []byte("("))
	if name, rest, ok := bytes.Cut(b, []byte(":")); ok && !isHex(name) {
		b = rest // the interface
	}
	host, port, ok := bytes.Cut(b, []byte("/"))
	if ok {
		n, _ = text.Port(port)
	}
	return host, n
}

// isHex tells whether a word can be the beginning of an IPv6 address.
func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(b) <= 4
}

// inParentheses reads "IF/IP(PORT)".
func inParentheses(b []byte) (host []byte, n uint16) {
	_, b, _ = bytes.Cut(b, []byte("/"))
	host, rest, _ := bytes.Cut(b, []byte("("))
	port, _, _ := bytes.Cut(rest, []byte(")"))
	n, _ = text.Port(port)
	return host, n
}

func (r *asaRecord) flagsOf(m []byte) bool {
	_, names, ok := bytes.Cut(m, []byte(" flags "))
	names, _, _ = bytes.Cut(names, []byte(" on interface "))
	for len(names) > 0 {
		var name []byte
		name, names, _ = bytes.Cut(names, []byte(" "))
		r.flags |= flagOf(name)
	}
	if r.flags == 0 {
		r.flags = noFlags
	}
	return ok
}

func (r *asaRecord) icmpType(m []byte) {
	if _, kind, ok := bytes.Cut(m, []byte("(type ")); ok {
		kind, _, _ = bytes.Cut(kind, []byte(","))
		r.icmp, _ = text.Number(kind)
	}
}

// refusedLogin reads the messages on logins to the firewall and its VPN. A name is what
// the client typed, so an address is taken from before it, or from the end of the line.
func (r *asaRecord) refusedLogin(line text.Line) (ev event.Event, ok bool) {
	var user, host []byte
	kind, from, to := event.VPNLoginFailed, uint16(0), uint16(0)
	switch m := r.message; string(r.id) {
	case "113005", "113015": // AAA user authentication Rejected : reason = … : … user = NAME : user IP = IP
		var rest []byte
		if rest, host, ok = text.CutLast(m, " : user IP = "); !ok {
			return ev, false
		}
		_, user, _ = bytes.Cut(rest, []byte(" : user = "))
	case "605004": // Login denied from IP/PORT to IF:IP/SERVICE for user "NAME"
		m, ok = text.CutPrefix(m, "Login denied from ")
		peer, rest, ok2 := bytes.Cut(m, []byte(" to "))
		if !ok || !ok2 {
			return ev, false
		}
		host, from = slashed(peer)
		where, name, _ := bytes.Cut(rest, []byte(` for user "`))
		user = bytes.TrimSuffix(name, []byte(`"`))
		kind = event.HTTPLoginFailed
		switch _, service, _ := text.CutLastByte(where, '/'); string(service) {
		case "ssh":
			kind, to = event.SSHLoginFailed, 22
		case "telnet":
			to = 23
		case "https":
			to = 443
		}
	case "611102": // User authentication failed: IP address: IP, Uname: NAME
		m, ok = text.CutPrefix(m, "User authentication failed: IP address: ")
		host, user, _ = bytes.Cut(m, []byte(", Uname: "))
		kind = event.HTTPLoginFailed
		if !ok {
			return ev, false
		}
	}
	source, ok := text.Address(host)
	return event.Event{
		Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: source, Port: from}, Target: event.Endpoint{Port: to}, User: text.String(user),
		Sensor: "cisco-asa", File: line.File, Line: line.Number,
	}, ok
}

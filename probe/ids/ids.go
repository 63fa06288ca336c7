package ids

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// idsAlert is what an intrusion detection system says in any of its formats.
type idsAlert struct {
	time           time.Time
	gid, sid       int
	priority       int // 1 is the highest
	class, message []byte
	protocol       string
	source, target event.Endpoint
	cve            cve
	// answered: the alert itself shows that the other side sent data back over
	// TCP, which it does to the true source only.
	answered bool
}

// cve is the name of a vulnerability, "CVE-2021-41773"; empty if there is none.
type cve struct {
	room [len("CVE-2021-1234567")]byte
	size int
	at   int // where it stands in what names it
}

func (c *cve) name() []byte { return c.room[:c.size] }

// gidPortScan is the generator of Snort's port scan detector (generators).
const gidPortScan = 122

// classScan is the classtype network-scan, in Snort and in Suricata; other scan
// rules are written as "Attempted Information Leak", like much that is no scan.
const classScan = "Detection of a Network Scan"

func (a *idsAlert) kind() event.Kind {
	switch {
	case a.gid == gidPortScan || string(a.class) == classScan:
		return event.ScanPort
	case a.priority == 1:
		return event.IDSHigh
	case a.priority == 2:
		return event.IDSMedium
	case a.priority == 3:
		return event.IDSLow
	}
	return event.IDSInfo
}

// event fills in an event; rules and their messages come again and again, and are kept among the names.
func (a *idsAlert) event(ev *event.Event, sensor string, file string, line int64, names *text.Recent) {
	ev.Time, ev.Kind, ev.Count = a.time, a.kind(), 1
	ev.Source, ev.Target, ev.Protocol = a.source, a.target, a.protocol
	ev.Severity = ev.Kind.Severity()
	ev.Detail = names.String(a.message)
	ev.Vulnerability = a.vulnerability(ev.Detail, names)
	ev.Sensor, ev.File, ev.Line = sensor, file, line
	if a.answered && a.protocol == "tcp" {
		ev.Proof = event.Handshake
	}
}

// vulnerability names the CVE, or else the rule. A CVE that the message names in the usual form is a
// part of its string, and needs none of its own.
func (a *idsAlert) vulnerability(message string, names *text.Recent) string {
	if a.cve.size == 0 {
		var room [40]byte
		id := append(strconv.AppendInt(room[:0], int64(a.gid), 10), ':')
		return names.String(strconv.AppendInt(id, int64(a.sid), 10))
	}
	name := a.cve.name()
	if rest := message[min(a.cve.at, len(message)):]; strings.HasPrefix(rest, string(name)) {
		return rest[:len(name)]
	}
	return names.String(name)
}

// sentData tells whether so many frames of so many bytes carried data: an empty
// TCP segment never takes more than 128 bytes on the wire, and a server sends no
// data before the handshake is complete. Frames alone prove nothing, because a
// server repeats its SYN-ACK to an address that never called.
func sentData(frames, octets int64) bool {
	return frames > 0 && octets/frames > 128
}

// ruleID reads "GID:SID:REV".
func (a *idsAlert) ruleID(b []byte) bool {
	gid, rest, ok1 := text.CutByte(b, ':')
	sid, _, ok2 := text.CutByte(rest, ':')
	var ok3, ok4 bool
	a.gid, ok3 = text.Number(gid)
	a.sid, ok4 = ruleNumber(sid)
	return ok1 && ok2 && ok3 && ok4
}

// ruleNumber reads a signature's id, which takes the whole of 32 bits: up to ten digits.
func ruleNumber(b []byte) (int, bool) {
	if n, ok := text.Number(b); ok || len(b) != 10 {
		return n, ok
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	return int(n), err == nil
}

// transport names a protocol as events do; "" if it is none of the usual ones.
func transport(name []byte) string {
	switch string(name) {
	case "TCP", "tcp":
		return "tcp"
	case "UDP", "udp":
		return "udp"
	}
	switch string(bytes.ToLower(name)) {
	case "sctp":
		return "sctp"
	case "icmp", "icmp6", "icmpv6", "ipv6-icmp":
		return "icmp"
	case "igmp":
		return "igmp"
	}
	return ""
}

// hasSource tells whether the source names a host. Whoever sends from the
// unspecified or a multicast address is nobody, or somebody else.
func (a *idsAlert) hasSource() bool {
	addr := a.source.Addr
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast()
}

// addrPort reads "ADDRESS:PORT", where IPv6 is not bracketed: the port follows
// the last colon.
func addrPort(b []byte) (e event.Endpoint, ok bool) {
	host, n, _ := text.CutLastByte(b, ':')
	if e.Port, ok = text.Port(n); !ok {
		return e, false
	}
	e.Addr, ok = text.AnyAddress(host)
	return e, ok
}

// hidePorts forgets ports where they are none: the sensors write the type and
// code of an ICMP message in their place.
func (a *idsAlert) hidePorts() {
	switch a.protocol {
	case "tcp", "udp", "sctp":
	default:
		a.source.Port, a.target.Port = 0, 0
	}
}

// find finds the first CVE that a text names, or leaves c as it is. Rules write "CVE-2021-41773",
// "CVE_2021_41773", "cve,2021-41773" and "cvename.cgi?name=2021-41773". It looks for
// the V, which is rarer than its neighbours.
func (c *cve) find(b []byte) {
	small, large := indexFrom(b, 'v', 0), indexFrom(b, 'V', 0)
	for at := min(small, large); at < len(b) && !c.around(b, at); at = min(small, large) {
		if at == small {
			small = indexFrom(b, 'v', at+1)
		} else {
			large = indexFrom(b, 'V', at+1)
		}
	}
}

// indexFrom is where c comes next, from at on; len(b) if it does not.
func indexFrom(b []byte, c byte, at int) int {
	if i := bytes.IndexByte(b[at:], c); i >= 0 {
		return at + i
	}
	return len(b)
}

// around reads the CVE whose name has its V there.
func (c *cve) around(b []byte, at int) bool {
	if at == 0 || at+1 == len(b) || b[at-1]|0x20 != 'c' || b[at+1]|0x20 != 'e' {
		return false
	}
	rest := bytes.TrimPrefix(b[at+2:], []byte("name.cgi?name="))
	rest = rest[:min(len(rest), 16)]
	for len(rest) > 0 && strings.IndexByte("-_,: ", rest[0]) >= 0 {
		rest = rest[1:]
	}
	year, rest := text.Digits(rest)
	if n, ok := text.Number(year); !ok || len(year) != 4 || n < 1999 || n > 2099 || len(rest) == 0 || rest[0] != '-' && rest[0] != '_' {
		return false
	}
	number, _ := text.Digits(rest[1:])
	if len(number) < 4 || len(number) > 7 {
		return false
	}
	c.at = at - 1
	c.size = len(append(append(append(append(c.room[:0], "CVE-"...), year...), '-'), number...))
	return true
}

package probe

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/komondor/komondor/event"
)

// idsAlert is what an intrusion detection system says in any of its formats.
type idsAlert struct {
	time           time.Time
	gid, sid       int
	priority       int // 1 is the highest
	class, message []byte
	protocol       string
	source, target event.Endpoint
	cve            string
	// answered: the alert itself shows that the other side sent data back over
	// TCP, which it does to the true source only.
	answered bool
}

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

func (a *idsAlert) event(sensor string, file string, line int64) event.Event {
	ev := event.Event{
		Time: a.time, Kind: a.kind(), Source: a.source, Target: a.target, Count: 1,
		Protocol: a.protocol, Vulnerability: a.cve, Detail: text(a.message),
		Sensor: sensor, File: file, Line: line,
	}
	ev.Severity = ev.Kind.Severity()
	if ev.Vulnerability == "" {
		ev.Vulnerability = fmt.Sprintf("%d:%d", a.gid, a.sid)
	}
	if a.answered && a.protocol == "tcp" {
		ev.Proof = event.Handshake
	}
	return ev
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
	gid, rest, ok1 := bytes.Cut(b, []byte(":"))
	sid, _, ok2 := bytes.Cut(rest, []byte(":"))
	var ok3, ok4 bool
	a.gid, ok3 = number(gid)
	a.sid, ok4 = ruleNumber(sid)
	return ok1 && ok2 && ok3 && ok4
}

// ruleNumber reads a signature's id, which takes the whole of 32 bits.
func ruleNumber(b []byte) (int, bool) {
	if len(b) > 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b), 10, 32)
	return int(n), err == nil
}

// transport names a protocol as events do; "" if it is none of the usual ones.
func transport(name []byte) string {
	switch string(bytes.ToLower(name)) {
	case "tcp":
		return "tcp"
	case "udp":
		return "udp"
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
	host, n, _ := cutLast(b, ":")
	if e.Port, ok = port(n); !ok {
		return e, false
	}
	e.Addr, ok = anyAddress(host)
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

// findCVE returns the first CVE that a text names, as "CVE-2021-41773". Rules
// write "CVE-2021-41773", "CVE_2021_41773", "cve,2021-41773" and
// "cvename.cgi?name=2021-41773".
func findCVE(b []byte) string {
	for {
		i := bytes.IndexAny(b, "cC")
		if i < 0 || len(b)-i < len("cve-1999-0001") {
			return ""
		}
		b = b[i:]
		if !bytes.EqualFold(b[:3], []byte("cve")) {
			b = b[1:]
			continue
		}
		b = b[3:]
		rest := bytes.TrimPrefix(b, []byte("name.cgi?name="))
		rest = bytes.TrimLeft(rest[:min(len(rest), 16)], "-_,: ")
		year, rest := digits(rest)
		if n, ok := number(year); !ok || n < 1999 || n > 2099 || len(rest) == 0 || rest[0] != '-' && rest[0] != '_' {
			continue
		}
		if id, _ := digits(rest[1:]); len(id) >= 4 && len(id) <= 7 {
			return "CVE-" + string(year) + "-" + string(id)
		}
	}
}

// digits splits b after its leading digits.
func digits(b []byte) (leading, rest []byte) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return b[:n], b[n:]
}

package zeek

import (
	"net/netip"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// event says what a record is evidence of; the log is known by its fields.
func (r *record) event() (event.Event, bool) {
	switch {
	case r[connState] != nil:
		return r.connection()
	case r[note] != nil:
		return r.notice()
	case r[authSuccess] != nil:
		return r.ssh()
	case r[replyCode] != nil:
		return r.ftp()
	}
	return event.Event{}, false
}

// connection reads conn.log: a connection that was tried and not answered, or refused. The
// states in which only answers were seen are left out: they are answers to what somebody
// else sent in this host's name (base/protocols/conn/main.zeek).
func (r *record) connection() (ev event.Event, ok bool) {
	switch string(r[connState]) {
	case "S0", "REJ", "RSTOS0", "SH":
	default:
		return ev, false
	}
	ev.Kind, ev.Count, ev.Detail = event.ConnectionRefused, 1, state(r[connState])
	switch string(r[proto]) {
	case "tcp":
		ev.Protocol = "tcp"
	case "udp":
		ev.Protocol = "udp"
	default:
		return ev, false
	}
	return ev, r.peers(&ev) && !r.ours(ev.Source.Addr, string(r[localOrig]) == "T" || string(r[localOrig]) == "true")
}

func state(b []byte) string {
	switch string(b) {
	case "S0":
		return "S0"
	case "REJ":
		return "REJ"
	case "SH":
		return "SH"
	}
	return "RSTOS0"
}

// peers reads who connected to whom. Groups and everybody are nobody who could be
// attacked.
func (r *record) peers(ev *event.Event) (ok bool) {
	if ev.Source.Addr, ok = text.Address(r[origHost]); !ok {
		return false
	}
	if ev.Target.Addr, ok = text.Address(r[respHost]); !ok {
		return false
	}
	ev.Source.Port, _ = text.Port(r[origPort])
	ev.Target.Port, ok = text.Port(r[respPort])
	return ok && !ev.Target.Addr.IsMulticast() && !ev.Source.Addr.IsMulticast() && ev.Target.Addr != broadcast
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// ours tells whether Zeek counts a source among its own networks (Site::local_nets), which
// are not accused. Private addresses are, which no other site would take for anybody's: an
// infected host inside is to be seen.
func (r *record) ours(source netip.Addr, local bool) bool {
	return local && !source.IsPrivate() && !source.IsLinkLocalUnicast()
}

// notices are those in which the source is who attacks; in many others it is who was
// attacked, or nobody was.
var notices = map[string]struct {
	kind  event.Kind
	proof event.Proof
}{
	"Scan::Address_Scan":                       {event.ScanHorizontal, event.Spoofable},
	"Scan::Port_Scan":                          {event.ScanVertical, event.Spoofable},
	"Scan::Random_Scan":                        {event.ScanMixed, event.Spoofable},
	"ICMP::ICMPAddressScan":                    {event.ScanSweep, event.Spoofable},
	"ICMP::AddressMaskScan":                    {event.ScanSweep, event.Spoofable},
	"ICMP::TimestampScan":                      {event.ScanSweep, event.Spoofable},
	"SSH::Password_Guessing":                   {event.BruteForce, event.Handshake},
	"SSH::Login_By_Password_Guesser":           {event.IDSHigh, event.Handshake},
	"FTP::Bruteforcing":                        {event.BruteForce, event.Handshake},
	"HTTP::SQL_Injection_Attacker":             {event.HTTPExploit, event.Handshake},
	"Heartbleed::SSL_Heartbeat_Attack":         {event.IDSHigh, event.Handshake},
	"Heartbleed::SSL_Heartbeat_Attack_Success": {event.IDSHigh, event.Handshake},
	"Signatures::Sensitive_Signature":          {event.IDSMedium, event.Spoofable},
	"Signatures::Multiple_Signatures":          {event.IDSMedium, event.Spoofable},
	"Signatures::Multiple_Sig_Responders":      {event.IDSMedium, event.Spoofable},
	"SMTP::Blocklist_Blocked_Host":             {event.MailRefused, event.Handshake},
}

// notice reads notice.log.
func (r *record) notice() (ev event.Event, ok bool) {
	n, ok := notices[string(r[note])]
	if !ok {
		return ev, false
	}
	source := r[src]
	if source == nil {
		source = r[origHost]
	}
	if ev.Source.Addr, ok = text.Address(source); !ok || r.ours(ev.Source.Addr, string(r[sub]) == "local") {
		return ev, false
	}
	target, service := r[dst], r[port]
	if target == nil {
		target = r[respHost]
	}
	if service == nil {
		service = r[respPort]
	}
	ev.Target.Addr, _ = text.Address(target)
	ev.Target.Port, _ = text.Port(service)
	switch string(r[proto]) {
	case "tcp":
		ev.Protocol = "tcp"
	case "udp":
		ev.Protocol = "udp"
	case "icmp":
		ev.Protocol = "icmp"
	default:
		if n.proof == event.Handshake {
			ev.Protocol = "tcp"
		}
	}
	ev.Kind, ev.Count, ev.Proof, ev.Detail = n.kind, 1, n.proof, text.String(r[msg])
	return ev, true
}

// maxAttempts is how many tries one record can stand for, whatever it says.
const maxAttempts = 20

// ssh reads ssh.log: Zeek concludes from the sizes of encrypted packets that a login
// failed, after a dialogue.
func (r *record) ssh() (ev event.Event, ok bool) {
	if s := string(r[authSuccess]); s != "F" && s != "false" {
		return ev, false
	}
	ev.Kind, ev.Count, ev.Proof, ev.Protocol = event.SSHLoginFailed, 1, event.Handshake, "tcp"
	if n, ok := text.Number(r[authAttempts]); ok {
		ev.Count = min(max(n, 1), maxAttempts)
	}
	return ev, r.peers(&ev) && !r.ours(ev.Source.Addr, string(r[direction]) == "OUTBOUND")
}

// ftp reads ftp.log: the reply to a password.
func (r *record) ftp() (ev event.Event, ok bool) {
	if string(r[replyCode]) != "530" || string(r[command]) != "PASS" {
		return ev, false
	}
	ev.Kind, ev.Count, ev.Proof, ev.Protocol = event.FTPLoginFailed, 1, event.Handshake, "tcp"
	ev.User = text.String(r[user])
	return ev, r.peers(&ev)
}

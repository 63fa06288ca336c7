package service

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var asterisk = text.Daemon{
	Name:     "asterisk",
	About:    "Asterisk's security and messages logs, also by syslog: refused registrations and calls",
	Programs: []string{"asterisk"},
	Own: func(m *text.Message, line []byte) bool { // [STAMP] LEVEL[PID][C-N] FILE: MESSAGE
		inner, ok := text.CutPrefix(line, "[")
		stamp, rest, ok2 := bytes.Cut(inner[:min(len(inner), 40)], []byte("] "))
		if !ok || !ok2 || len(stamp) < len("Jan _2 15:04:05") {
			return false
		}
		m.Stamp, m.ISO = stamp, len(stamp) > 4 && stamp[4] == '-'
		m.Message = inner[len(stamp)+len("] "):]
		return hasPrefix(rest, "SECURITY[") || hasPrefix(rest, "NOTICE[") || hasPrefix(rest, "WARNING[") || hasPrefix(rest, "VERBOSE[") || hasPrefix(rest, "ERROR[")
	},
	New: text.Stateless(readAsterisk),
}

// readAsterisk reads "LEVEL[PID][C-N]: FILE:N FUNCTION: MESSAGE". Much of what Asterisk logs
// has words of callers in it, so it matters where the message begins.
func readAsterisk(m *text.Message) bool {
	m.Kind, m.Target.Port = event.SIPLoginFailed, 5060
	level, rest, ok := bytes.Cut(m.Text, []byte(": "))
	_, b, ok2 := bytes.Cut(rest, []byte(": "))
	if !ok || !ok2 {
		return false
	}
	if what, ok := text.CutPrefix(b, `SecurityEvent="`); ok && hasPrefix(level, "SECURITY[") {
		return asteriskEvent(m, what)
	}
	return hasPrefix(level, "NOTICE[") && asteriskNotice(m, b)
}

// asteriskEvent reads `NAME",…,AccountID="NAME",…,RemoteAddress="IPV4/UDP/IP/PORT",…` of
// res_security_log.c. The account is the caller's choice and stands before the address,
// whose label must be there once.
func asteriskEvent(m *text.Message, b []byte) bool {
	name, _, _ := bytes.Cut(b, []byte(`"`))
	switch string(name) {
	case "InvalidAccountID", "ChallengeResponseFailed", "InvalidPassword", "FailedACL", "AuthMethodNotAllowed", "UnexpectedAddress":
	default:
		return false
	}
	before, remote, ok := text.CutOnce(b, `RemoteAddress="`)
	if !ok {
		return false
	}
	remote, _, ok = bytes.Cut(remote, []byte(`"`))
	_, remote, ok2 := bytes.Cut(remote, []byte("/"))
	transport, remote, ok3 := bytes.Cut(remote, []byte("/"))
	host, port, ok4 := bytes.Cut(remote, []byte("/"))
	if !ok || !ok2 || !ok3 || !ok4 {
		return false
	}
	if string(transport) == "UDP" {
		m.Protocol = "udp"
	}
	m.Proof = event.Spoofable // by UDP, or by an account with a line break in it (%0a), which writes lines of its own
	m.Source.Port, _ = text.Port(port)
	m.Detail = name
	if _, user, ok := bytes.Cut(before, []byte(`AccountID="`)); ok {
		m.User, _, _ = bytes.Cut(user, []byte(`",SessionID=`))
	}
	m.Source.Addr, ok = text.Address(host)
	return ok
}

// asteriskNotice reads what chan_sip and res_pjsip say:
//
//	Registration from 'WHO' failed for 'IP:PORT' - WHY
//	Request 'REGISTER' from 'WHO' failed for 'IP:PORT' (callid: ID) - WHY
//
// Both WHO and ID are the caller's.
func asteriskNotice(m *text.Message, b []byte) bool {
	before, rest, ok := text.CutOnce(b, "' failed for '")
	if !ok || !hasPrefix(before, "Registration from '") && !hasPrefix(before, "Request '") {
		return false
	}
	peer, why, ok := bytes.Cut(rest, []byte("'"))
	if !ok {
		return false
	}
	_, m.Detail, _ = text.CutLast(why, " - ")
	m.Proof, m.Protocol = event.Spoofable, "udp" // over what, is not told
	m.Source, ok = text.HostPort(peer)
	return ok
}

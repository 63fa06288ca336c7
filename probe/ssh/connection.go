package ssh

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// The messages about connections that never became a login. Each reader gets
// what follows the form's prefix.

// connection splits "[invalid user NAME |authenticating user NAME ]IP port N",
// where NAME is the client's choice: the address is at the end. The end of a
// session ("user NAME IP port N", or nobody named and not before login) is not
// evidence, and ok is false for it. Versions before 7.2 write no port, and no
// user either.
func (m *sshMessage) connection(b []byte) bool {
	who, host, n, ok := cutPeer(b)
	if !ok {
		return false
	}
	named := false
	for _, state := range [...]string{"invalid user ", "authenticating user "} {
		// A name can be empty: "invalid user  IP port N".
		if len(who) >= len(state)-1 && string(b[:len(state)]) == state {
			m.user, named = b[min(len(state), len(who)):len(who)], true
			break
		}
	}
	if named == (len(who) == 0) || named && n == 0 || !named && !m.preauth {
		return false
	}
	m.source.Port = n
	m.source.Addr, ok = text.Address(host)
	return ok
}

// closed reads the whole rest as a connection that ended before a login.
func closed(m *sshMessage) bool {
	m.kind = event.SSHPreauthClosed
	return m.connection(m.text)
}

// timedOut reads "… timed out"; at higher log levels every connection has a line
// that begins alike.
func timedOut(m *sshMessage) bool {
	who, ok := text.CutSuffix(m.text, " timed out")
	m.kind = event.SSHPreauthTimeout
	return ok && m.connection(who)
}

// disconnecting reads "… : REASON" where sshd hangs up for the client's deeds.
func disconnecting(m *sshMessage) bool {
	const change = ": Change of username or service not allowed: ("
	who, ok := text.CutSuffix(m.text, ": Too many authentication failures")
	m.kind = event.SSHTriesExceeded
	if !ok {
		// The names that follow are the client's choice: one occurrence only.
		if bytes.Count(m.text, []byte(change)) != 1 {
			return false
		}
		who, _, _ = bytes.Cut(m.text, []byte(change))
		m.kind, m.remark = event.SSHProtocol, "change of user name or service"
	}
	return m.connection(who)
}

// receivedDisconnect reads "IP port N:CODE: MESSAGE" or, before 7.2, "IP: CODE:
// MESSAGE"; the client chooses the code and the message. Only the codes of a
// failed login are evidence: 11, by application, is how anybody leaves.
func receivedDisconnect(m *sshMessage) bool {
	who, message, ok := bytes.Cut(m.text, []byte(": "))
	if !ok {
		return false
	}
	var code []byte
	if host, rest, hasPort := bytes.Cut(who, []byte(" port ")); hasPort {
		var n []byte
		if n, code, ok = bytes.Cut(rest, []byte(":")); !ok {
			code, message, _ = bytes.Cut(message, []byte(": "))
		}
		who = host
		if m.source.Port, ok = text.Port(n); !ok {
			return false
		}
	} else {
		code, message, _ = bytes.Cut(message, []byte(": "))
	}
	switch string(code) {
	case "14": // no more authentication methods
	case "3": // key exchange failed; JSch, which brute force tools use, says so for a wrong password
		if !m.preauth && !bytes.Contains(message, []byte("Auth fail")) {
			return false
		}
	default:
		return false
	}
	m.kind, m.detail = event.SSHPreauthClosed, message
	m.source.Addr, ok = text.Address(who)
	return ok
}

// refusedConnection reads "HOST (IP)" of the TCP wrappers, where HOST can begin
// with what the client's ident service says.
func refusedConnection(m *sshMessage) bool {
	_, host, ok := text.CutLast(m.text, " (")
	host, closed := text.CutSuffix(host, ")")
	m.kind, m.remark = event.SSHPenalty, "refused by hosts.deny"
	var isAddr bool
	m.source.Addr, isAddr = text.Address(host)
	return ok && closed && isAddr
}

// bannerFailure reads "IP port N: REASON" before the key exchange.
func bannerFailure(m *sshMessage) bool {
	m.preauth = true
	return protocolFailure(m)
}

// protocolFailure reads "[invalid user NAME |authenticating user NAME ]IP port
// N: REASON".
func protocolFailure(m *sshMessage) bool {
	who, reason, ok := text.CutLast(m.text, ": ")
	if !ok || !m.preauth {
		return false
	}
	switch string(reason) {
	case "invalid format", "could not read protocol version", "incomplete message", "Connection corrupted",
		"message authentication code incorrect", "invalid elliptic curve value", "string is too large":
	default:
		return false // the network's or the server's fault: "Broken pipe", "out of memory"
	}
	m.kind, m.detail = event.SSHProtocol, reason
	return m.connection(who)
}

// noCommonAlgorithm reads "IP[ port N]: no matching WHAT found. Their offer: …".
func noCommonAlgorithm(m *sshMessage) bool {
	who, what, ok := bytes.Cut(m.text, []byte(": "))
	if !ok || !bytes.HasPrefix(what, []byte("no matching ")) {
		return false
	}
	m.kind, m.detail = event.SSHProtocol, what
	m.source, ok = peer(who)
	return ok
}

// badVersion reads "'VERSION' from IP[ port N]".
func badVersion(m *sshMessage) bool {
	_, from, ok := lastFrom(m.text)
	m.kind, m.source = event.SSHProtocol, from
	return ok
}

// noVersion reads "IP[ port N]".
func noVersion(m *sshMessage) bool {
	from, ok := peer(m.text)
	m.kind, m.source = event.SSHProtocol, from
	return ok
}

// probed reads "IP port N with VERSION.  Don't panic.".
func probed(m *sshMessage) bool {
	who, _, ok := bytes.Cut(m.text, []byte(" with "))
	if !ok {
		who, _, _ = bytes.Cut(m.text, []byte(". "))
	}
	from, ok := peer(who)
	m.kind, m.source = event.SSHProtocol, from
	return ok
}

package ssh

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// The messages of the listening sshd, from 9.8 on, about its children and about
// whom it no longer listens to. They hold nothing of a client's choice.

// graceExceeded reads "IP port N", or from 9.8, by the listener, "connection
// from IP to LOCAL, pid = N[ (early)]".
func graceExceeded(m *sshMessage) bool {
	m.kind = event.SSHPreauthTimeout
	pair, ok := text.CutPrefix(m.text, "connection from ")
	if !ok {
		m.source, ok = peer(m.text)
		return ok
	}
	pair, pid, ok := bytes.Cut(pair, []byte(", pid = "))
	pid, _, _ = bytes.Cut(pid, []byte(" "))
	return ok && m.childPID(pid) && m.fromTo(pair)
}

// fromTo reads "IP to LOCAL".
func (m *sshMessage) fromTo(b []byte) bool {
	from, to, ok1 := bytes.Cut(b, []byte(" to "))
	var ok2 bool
	m.source.Addr, ok2 = text.Address(from)
	m.target.Addr, _ = text.Address(to)
	return ok1 && ok2
}

// crashed reads the listener's "N unpriv child crash for connection from IP to
// LOCAL[ (early)]" and "N for connection from IP to LOCAL killed by signal S".
func crashed(m *sshMessage) bool {
	pid, rest, ok := bytes.Cut(m.text, []byte(" "))
	what, pair, ok2 := bytes.Cut(rest, []byte("for connection from "))
	if !ok || !ok2 || !m.childPID(pid) {
		return false
	}
	pair, _, killed := bytes.Cut(pair, []byte(" killed by signal "))
	if !killed && string(what) != "unpriv child crash " {
		return false
	}
	m.kind, m.remark = event.SSHProtocol, "crashed its session"
	return m.fromTo(bytes.TrimSuffix(pair, []byte(" (early)")))
}

// droppedConnection reads the listener's "N from [IP]:PORT on [LOCAL]:PORT
// penalty: REASON". Other reasons than a penalty mean that the server is busy.
func droppedConnection(m *sshMessage) bool {
	m.listener = true
	_, rest, ok1 := bytes.Cut(m.text, []byte(" from "))
	from, rest, ok2 := bytes.Cut(rest, []byte(" on "))
	to, reason, ok3 := bytes.Cut(rest, []byte(" penalty: "))
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	m.kind, m.detail = event.SSHPenalty, reason
	m.target, _ = text.Bracketed(to)
	m.source, ok1 = text.Bracketed(from)
	return ok1
}

// penalised reads "ipv4: new IP/BITS active penalty of N seconds for penalty:
// REASON" and "IP/BITS: activating ipv4 penalty of N seconds for penalty:
// REASON". A penalty for a whole network (PerSourceNetBlockSize) blames nobody.
func penalised(m *sshMessage) bool {
	m.listener = true
	what, reason, ok := bytes.Cut(m.text, []byte(" seconds for penalty: "))
	if !ok {
		return false
	}
	network, _, activating := bytes.Cut(what, []byte(": activating ipv"))
	if !activating {
		_, rest, isNew := bytes.Cut(what, []byte(": new "))
		if network, _, ok = bytes.Cut(rest, []byte(" active penalty of ")); !ok || !isNew {
			return false
		}
	}
	host, mask, ok := bytes.Cut(network, []byte("/"))
	bits, isNumber := text.Number(mask)
	m.kind, m.detail = event.SSHPenalty, reason
	addr, isAddr := text.Address(host)
	if !ok || !isNumber || !isAddr || addr.Is4() && bits != 32 || addr.Is6() && bits < 64 {
		return false
	}
	m.source.Addr = addr
	return true
}

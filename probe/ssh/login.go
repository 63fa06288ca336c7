package ssh

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// The messages about logins. Each reader gets what follows the form's prefix.

// failedLogin reads "METHOD for [invalid user ]NAME from IP port N ssh2[: …]".
func failedLogin(m *sshMessage) bool {
	method, account, ok := cutMethod(m.text)
	if !ok {
		return false
	}
	account, unknown := text.CutPrefix(account, "invalid user ")
	if !unknown {
		account, unknown = text.CutPrefix(account, "illegal user ") // before 3.9
	}
	method, _, _ = bytes.Cut(method, []byte("/"))
	adds := false // whether sshd adds details of the client's choice at the end
	switch string(method) {
	case "none", "publickey", "gssapi-with-mic", "gssapi-keyex":
		// What every client tries by itself on the way to a good login.
		if !unknown {
			return false
		}
		adds = true
	case "hostbased":
		adds = true
	}
	user, from, ok := loginPeer(account, adds)
	m.kind, m.user, m.source = event.SSHLoginFailed, user, from
	return ok
}

// acceptedLogin reads "METHOD for NAME from IP port N ssh2[: KEY]".
func acceptedLogin(m *sshMessage) bool {
	_, account, ok := cutMethod(m.text)
	if !ok {
		return false
	}
	user, from, ok := loginPeer(account, true)
	m.kind, m.user, m.source = event.SSHLoginAccepted, user, from
	return ok
}

// cutMethod splits "METHOD for …". The client chooses the method's name too, but
// those that sshd knows are one word.
func cutMethod(b []byte) (method, account []byte, ok bool) {
	const word = " for "
	if i := bytes.IndexByte(b, ' '); i >= 0 && len(b) >= i+len(word) && string(b[i:i+len(word)]) == word {
		return b[:i], b[i+len(word):], true
	}
	return bytes.Cut(b, []byte(word))
}

// loginPeer splits "NAME from IP port N ssh2", or with ": …" behind it where
// sshd adds a key or a host. The client chooses NAME and parts of what is added
// (a certificate's id, a client host). So without an addition the address is at
// the very end, and with one there must be a single place that can be it.
func loginPeer(b []byte, adds bool) (name []byte, from event.Endpoint, ok bool) {
	if !adds {
		if n := len(b) - len(" ssh2"); n > 0 && (string(b[n:]) == " ssh2" || string(b[n:]) == " ssh1") {
			b = b[:n]
		}
		name, from, ok = lastFrom(b)
		return name, from, ok && from.Port != 0
	}
	const word = " from "
	var host []byte
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(word))
		if i < 0 {
			break
		}
		at += i
		if h, p, ok := hostPort(b[at+len(word):]); ok {
			if host != nil {
				return nil, from, false // two places: it can be read in two ways
			}
			name, host, from.Port = b[:at], h, p
		}
		at += len(word) - 1 // the next one can begin with this one's last blank
	}
	from.Addr, ok = text.Address(host)
	return name, from, ok
}

// hostPort reads "HOST port N" up to the end of the line, with or without
// " ssh2" (or " ssh1", gone in 7.6), or up to " ssh2: ".
func hostPort(b []byte) (host []byte, n uint16, ok bool) {
	blank := bytes.IndexByte(b, ' ')
	if blank < 0 || !bytes.HasPrefix(b[blank:], []byte(" port ")) {
		return nil, 0, false
	}
	host = b[:blank]
	number, rest := text.Digits(b[blank+len(" port "):])
	switch {
	case len(rest) == 0, string(rest) == " ssh2", string(rest) == " ssh1", bytes.HasPrefix(rest, []byte(" ssh2: ")):
		n, ok = text.Port(number)
	}
	return host, n, ok
}

// invalidUser reads "NAME from IP[ port N]".
func invalidUser(m *sshMessage) bool {
	user, from, ok := lastFrom(m.text)
	m.kind, m.user, m.source = event.SSHUserInvalid, user, from
	return ok
}

// refusedUser reads "NAME from IP not allowed because …" (AllowUsers, DenyUsers
// and the like). The line on a locked account has no address.
func refusedUser(m *sshMessage) bool {
	who, why, ok := text.CutLast(m.text, " not allowed because ")
	if !ok || string(why) == "account is locked" {
		return false
	}
	user, from, ok := lastFrom(who)
	m.kind, m.user, m.source, m.detail = event.SSHUserRefused, user, from, why
	return ok && from.Port == 0
}

// refusedRoot reads "IP[ port N]".
func refusedRoot(m *sshMessage) bool {
	from, ok := peer(m.text)
	m.kind, m.user, m.source = event.SSHUserRefused, []byte("root"), from
	return ok
}

// triesExceeded reads "[invalid user ]NAME from IP port N ssh2".
func triesExceeded(m *sshMessage) bool {
	who, ok := text.CutSuffix(m.text, " ssh2")
	if !ok {
		return false
	}
	user, from, ok := lastFrom(who)
	user = bytes.TrimPrefix(user, []byte("invalid user "))
	m.kind, m.user, m.source = event.SSHTriesExceeded, user, from
	return ok
}

// pamFailure reads a PAM module's "unix(sshd:auth): authentication failure;
// logname= uid=0 euid=0 tty=ssh ruser= rhost=IP  user=NAME".
func pamFailure(m *sshMessage) bool {
	const failure = "(sshd:auth): authentication failure; "
	i := bytes.IndexByte(m.text[:min(len(m.text), 64)], '(')
	return i > 0 && bytes.HasPrefix(m.text[i:], []byte(failure)) && m.pamDetails(m.text[i+len(failure):])
}

// pamMore reads "2 more authentication failures; logname= …": what a module did
// not log one by one.
func pamMore(m *sshMessage) bool {
	times, rest, ok := bytes.Cut(m.text, []byte(" more authentication failure"))
	n, isNumber := text.Number(times)
	if !ok || !isNumber || n < 1 {
		return false
	}
	_, details, ok := bytes.Cut(rest[:min(len(rest), text.MaxString)], []byte("; "))
	m.count = n
	return ok && m.pamDetails(details)
}

func (m *sshMessage) pamDetails(b []byte) bool {
	const host = " rhost="
	i := bytes.Index(b, []byte(host))
	if i < 0 {
		return false
	}
	b = b[i+len(host):]
	if bytes.Contains(b, []byte(host)) {
		return false // the second one is in a user's name; or is it the first?
	}
	rhost, rest, _ := bytes.Cut(b, []byte(" "))
	addr, ok := text.Address(rhost)
	m.kind, m.source.Addr, m.remark = event.SSHPAMFailed, addr, "pam"
	if user, ok := text.CutPrefix(bytes.TrimLeft(rest, " "), "user="); ok {
		m.user = user
	}
	return ok
}

// pamError reads "Authentication failure for [illegal user ]NAME from IP", which
// comes before the line on a failed keyboard-interactive login.
func pamError(m *sshMessage) bool {
	_, who, ok := bytes.Cut(m.text, []byte(" for "))
	if !ok {
		return false
	}
	user, from, ok := lastFrom(who)
	user = bytes.TrimPrefix(user, []byte("illegal user "))
	m.kind, m.user, m.source, m.remark = event.SSHPAMFailed, user, from, "pam"
	return ok && from.Port == 0
}

package mail

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var dovecot = text.Daemon{
	Name:     "dovecot",
	About:    "Dovecot, by syslog or its own log: refused logins, and clients that left without one (IMAP, POP3, Submission, Sieve)",
	Programs: []string{"dovecot", "dovecot-auth", "auth"},
	Own:      ownDovecot,
	New:      func() func(m *text.Message) bool { return (&dovecotReader{}).read },
}

// ownDovecot splits "STAMP [Info: ]SERVICE: [Info: ]…".
func ownDovecot(m *text.Message, line []byte) (ok bool) {
	m.Message, ok = m.OwnStamp(line)
	m.Message = text.TrimBlanks(m.Message)
	service, _, ok2 := bytes.Cut(withoutLevel(m.Message), []byte(": "))
	return ok && ok2 && bytes.IndexByte(service, ' ') < 0 && (hasPrefix(service, "auth") || hasPrefix(service, "dovecot") || bytes.HasSuffix(service, []byte("-login")))
}

// withoutLevel strips a level of severity and the name of the daemon, in any order.
func withoutLevel(b []byte) []byte {
	for {
		n := len(b)
		for _, word := range [...]string{"dovecot: ", "Info: ", "Warning: ", "Error: "} {
			b, _ = text.CutPrefix(b, word)
		}
		if len(b) == n {
			return b
		}
	}
}

// dovecotReader remembers the failures that were told one by one (with
// auth_verbose, or by PAM): the line on the end of their session has the number of all.
type dovecotReader struct {
	told [256]told
}

// told is how many failures of a session were told.
type told struct {
	session uint64
	times   int
}

func (r *dovecotReader) read(m *text.Message) bool {
	b := withoutLevel(m.Text)
	if hasPrefix(m.Process, "auth") && !hasPrefix(b, "pam_unix") {
		b = m.Tagged // Dovecot's own log, which begins with the process
	}
	if hasPrefix(b, "pam_unix") || hasPrefix(b, "dovecot-auth: ") {
		return r.pam(m, b)
	}
	if hasPrefix(b, "auth") {
		return r.auth(m, b)
	}
	service, _, ok := bytes.Cut(b[:min(len(b), 40)], []byte("-login: "))
	if !ok || bytes.IndexByte(service, ' ') >= 0 {
		return false
	}
	switch string(service) {
	case "imap":
		m.Target.Port = portIMAP
	case "pop3":
		m.Target.Port = portPOP3
	case "submission":
		m.Target.Port = portSubmission
	case "managesieve":
		m.Target.Port = portSieve
	}
	return r.login(m, withoutLevel(b[len(service)+len("-login: "):]))
}

// login reads "REASON (WHAT): [user=<USER>, ][method=M, ]rip=IP, lip=IP…" of a session
// that ended before a login. The user is the client's choice, and everything after
// the address is the server's; so the label must stand there once.
func (r *dovecotReader) login(m *text.Message, b []byte) bool {
	switch {
	case hasPrefix(b, "Disconnected"), hasPrefix(b, "Aborted login"), hasPrefix(b, "Login aborted"),
		hasPrefix(b, "Client has quit"), hasPrefix(b, "Remote closed"):
	default:
		return false // above all, logins
	}
	before, after, ok := text.CutOnce(b, " rip=")
	if !ok {
		return false
	}
	why, user, hasUser := bytes.Cut(before, []byte(" user=<"))
	if hasUser {
		user, _, _ = text.CutLastByte(user, '>')
	}
	host, after, _ := bytes.Cut(after, []byte(","))
	if m.Source.Addr, ok = text.Address(host); !ok {
		return false
	}
	m.User = user
	switch {
	case text.Contains(why, "(auth failed, "):
		m.Kind = event.MailLoginFailed
		_, n, _ := bytes.Cut(why, []byte("(auth failed, "))
		number, _ := text.Digits(n)
		if m.Count, _ = text.Number(number); m.Count < 1 || m.Count > 1000 {
			m.Count = 1
		}
		_, session, _ := text.CutLast(after, "session=<")
		session, _, _ = bytes.Cut(session, []byte(">"))
		m.Count -= r.forget(session) + r.forget(host)
		return m.Count > 0
	case text.Contains(why, "proxy dest auth failed"), text.Contains(why, " authentication attempts)"):
		m.Kind = event.MailLoginFailed
	case text.Contains(why, "(tried to use disabled "), text.Contains(why, "(tried to use disallowed "):
		m.Kind, m.Remark = event.MailLoginFailed, "without TLS"
	case text.Contains(why, "no auth attempts"), text.Contains(why, "disconnected before auth was ready"), text.Contains(why, "didn't finish SASL auth"),
		text.Contains(why, "disconnected during TLS handshake"), text.Contains(why, "Too many invalid commands"), text.Contains(why, "Too many bad commands"):
		m.Kind, m.Remark = event.MailProtocol, "no login was tried"
	default:
		return false
	}
	return true
}

// auth reads what a password database says:
//
//	auth-worker(PID): [conn unix:… auth-worker<N>: ]DRIVER(USER,IP[,<SESSION>]): WHAT
//	auth(USER,IP,sasl:METHOD)<SESSION>: [Info: ]DRIVER: WHAT
//
// The user's name is the client's choice. So what ends the parenthesis must stand there
// once, and the address is looked for from its end.
func (r *dovecotReader) auth(m *text.Message, b []byte) bool {
	var who, session, what []byte
	var ok bool
	if rest, isNew := text.CutPrefix(b, "auth("); isNew && text.Contains(rest, ")<") {
		if who, rest, ok = text.CutOnce(rest, ")<"); !ok {
			return false
		}
		if session, what, ok = bytes.Cut(rest, []byte(">: ")); !ok {
			return false
		}
		_, what, _ = bytes.Cut(withoutLevel(what), []byte(": "))
	} else {
		if _, b, ok = bytes.Cut(b, []byte(": ")); !ok {
			return false
		}
		b = withoutLevel(b)
		if hasPrefix(b, "conn unix:") {
			if _, b, ok = bytes.Cut(b, []byte(">: ")); !ok {
				return false
			}
		}
		driver, rest, ok := bytes.Cut(b, []byte("("))
		if !ok || len(driver) == 0 || bytes.IndexByte(driver, ' ') >= 0 || string(driver) == "userdb" {
			return false
		}
		if who, what, ok = text.CutOnce(rest, "): "); !ok {
			return false
		}
	}
	if !hasPrefix(what, "unknown user") && !hasPrefix(what, "Password mismatch") && !hasPrefix(what, "password mismatch") &&
		!hasPrefix(what, "pam_authenticate() failed: ") && !hasPrefix(what, "invalid credentials") {
		return false
	}
	user, last, ok := text.CutLastByte(who, ',')
	if inner, isSession := text.CutPrefix(last, "<"); isSession {
		session = bytes.TrimSuffix(inner, []byte(">"))
	}
	if ok && (len(last) == 0 || last[0] == '<' || hasPrefix(last, "sasl:")) {
		user, last, ok = text.CutLastByte(user, ',')
	}
	if !ok {
		return false
	}
	if m.Source.Addr, ok = text.Address(last); !ok {
		return false
	}
	m.Kind, m.User = event.MailLoginFailed, user
	if len(session) == 0 {
		session = last
	}
	r.remember(session)
	return true
}

// pam reads "pam_unix(dovecot:auth): authentication failure; … rhost=IP  user=NAME".
func (r *dovecotReader) pam(m *text.Message, b []byte) bool {
	b, _ = text.CutPrefix(b, "dovecot-auth: ")
	if !text.Contains(b[:min(len(b), 40)], "(dovecot:auth): ") {
		return false
	}
	host, user, ok := text.PAMFailure(b)
	if !ok {
		return false
	}
	if m.Source.Addr, ok = text.Address(host); !ok {
		return false
	}
	m.Kind, m.User, m.Remark = event.MailLoginFailed, user, "pam"
	r.remember(host)
	return true
}

func (r *dovecotReader) remember(session []byte) {
	slot, id := r.slot(session)
	if slot.session != id {
		slot.session, slot.times = id, 0
	}
	slot.times++
}

// forget returns how many failures of a session were told.
func (r *dovecotReader) forget(session []byte) (times int) {
	if slot, id := r.slot(session); slot.session == id {
		times, slot.times = slot.times, 0
	}
	return times
}

// slot finds where a session is remembered, by FNV-1a of its id: the ids are the server's.
func (r *dovecotReader) slot(session []byte) (*told, uint64) {
	id := uint64(14695981039346656037)
	for _, c := range session {
		id = (id ^ uint64(c)) * 1099511628211
	}
	return &r.told[id%uint64(len(r.told))], id
}

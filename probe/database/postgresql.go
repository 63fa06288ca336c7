package database

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var postgresql = text.Daemon{
	Name:     "postgresql",
	Aliases:  []string{"postgres"},
	About:    "PostgreSQL's log to stderr or syslog, with log_connections = on: refused logins",
	Programs: []string{"postgres", "postgresql"},
	Own: func(m *text.Message, line []byte) (ok bool) {
		m.Message, ok = m.OwnStamp(line)
		return ok && m.ISO && text.Contains(m.Message, ":  ")
	},
	New: func() func(m *text.Message) bool { return (&postgresReader{}).read },
}

// postgresReader remembers who is behind the latest processes. PostgreSQL's default prefix
// names no client, but log_connections does when a process begins.
//
// The prefix can hold the user, the database and the application (%u, %d, %a), all of
// the client's choice, and nobody knows from one line which prefix is set: what looks like
// an address behind "%m [%p] " may be the beginning of a user's name. So no address is
// taken out of it, but for the one prefix that has it right behind the time.
//
// The prefix has names as they came, line breaks too, so that a client can write lines of
// its own into a file. Only syslog, where PostgreSQL numbers lines, proves an address.
type postgresReader struct {
	clients [256]struct {
		pid  int
		from event.Endpoint
	}
}

func (r *postgresReader) read(m *text.Message) bool {
	b := m.Text
	m.Proof = event.Spoofable
	if len(m.PID) > 0 { // "[3-1] ": PostgreSQL numbers its messages to syslog, and the lines of each
		if end := bytes.Index(b[:min(len(b), 24)], []byte("-1] ")); end > 0 && b[0] == '[' {
			b, m.Proof = b[end+len("-1] "):], event.Handshake
		} else if len(b) > 0 && b[0] == '[' && bytes.IndexByte(b[:min(len(b), 24)], '-') > 0 {
			return false // a line that goes on
		}
	}
	prefix, what, ok := text.CutOnce(b, ":  ")
	if !ok {
		return r.hostile(m, b)
	}
	pid, from := prefixOf(prefix)
	if pid == 0 {
		pid, _ = text.Number(m.PID)
	}
	slot := &r.clients[pid%len(r.clients)]
	if host, ok := text.CutPrefix(what, "connection received: host="); ok && bytes.HasSuffix(prefix, []byte("LOG")) {
		name, port, _ := bytes.Cut(host, []byte(" port="))
		slot.pid, slot.from = pid, event.Endpoint{}
		slot.from.Addr, _ = text.Address(name)
		slot.from.Port, _ = text.Port(port)
		return false
	}
	if !bytes.HasSuffix(prefix, []byte("FATAL")) {
		return false
	}
	host, named := noEntry(what)
	if named {
		from.Addr, _ = text.Address(host)
	} else {
		method, user, ok := bytes.Cut(what, []byte(` authentication failed for user "`))
		if !ok {
			if user, ok = text.CutPrefix(what, `role "`); !ok || !bytes.HasSuffix(what, []byte(`" does not exist`)) {
				return false
			}
		} else if bytes.IndexByte(method, ' ') >= 0 {
			return false
		}
		m.User, _, _ = text.CutLast(user, `"`)
	}
	if slot.pid == pid && pid > 0 {
		if !from.Addr.IsValid() {
			from = slot.from
		}
		slot.pid = 0 // the process ends
	}
	m.Kind, m.Source, m.Target.Port = event.SQLLoginFailed, from, 5432
	return from.Addr.IsValid()
}

// hostile reads a line that has more than one severity in it, where names of users or
// databases imitate lines: only who is behind its process can be told.
func (r *postgresReader) hostile(m *text.Message, b []byte) bool {
	pid, _ := prefixOf(b)
	slot := &r.clients[pid%len(r.clients)]
	if pid == 0 || slot.pid != pid || !text.Contains(b, ` FATAL:  `) || !text.Contains(b, ` authentication failed for user "`) || b[len(b)-1] != '"' {
		return false
	}
	m.Kind, m.Source, m.Target.Port, m.Remark = event.SQLLoginFailed, slot.from, 5432, "the name imitates a line of the log"
	slot.pid = 0
	return m.Source.Addr.IsValid()
}

// prefixOf reads the process out of a prefix that begins with it, as "%m [%p] " and
// "%t [%p]: " do, and both process and client out of that of Amazon RDS, "%t:%r:%u@%d:[%p]:".
func prefixOf(b []byte) (pid int, from event.Endpoint) {
	if rest, ok := text.CutPrefix(b, ":"); ok {
		host, rest, _ := bytes.Cut(rest[:min(len(rest), 80)], []byte("("))
		port, _, ok2 := bytes.Cut(rest, []byte("):"))
		_, process, ok3 := text.CutLast(b, ":[")
		from.Addr, ok = text.Address(host)
		if !ok || !ok2 || !ok3 {
			return 0, event.Endpoint{}
		}
		from.Port, _ = text.Port(port)
		process, _ = text.Digits(process)
		pid, _ = text.Number(process)
		return pid, from
	}
	if inner, ok := text.CutPrefix(text.TrimBlanks(b), "["); ok {
		process, _ := text.Digits(inner)
		pid, _ = text.Number(process)
	}
	return pid, from
}

// noEntry reads `no pg_hba.conf entry for host "IP", user "NAME", …`.
func noEntry(b []byte) (host []byte, ok bool) {
	for _, form := range [...]string{`no pg_hba.conf entry for host "`, `pg_hba.conf rejects connection for host "`} {
		if rest, ok := text.CutPrefix(b, form); ok {
			host, _, ok = bytes.Cut(rest, []byte(`"`))
			return host, ok
		}
	}
	return nil, false
}

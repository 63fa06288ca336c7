package ssh

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var dropbear = text.Daemon{
	Name:     "dropbear",
	About:    "Dropbear's SSH server, by syslog",
	Programs: []string{"dropbear"},
	New:      func() func(m *text.Message) bool { return (&dropbearReader{}).read },
}

// dropbearReader remembers who is behind the latest processes: "Child connection from
// IP:PORT". From 2020 on, the line on a user who does not exist names no address.
type dropbearReader struct {
	children [64]struct {
		pid  int
		from event.Endpoint
	}
}

// read reads messages of svr-auth*.c and svr-session.c; each connection has a
// process. The user is the client's choice, and the address comes after it, or, on the
// end of a connection, before it.
func (r *dropbearReader) read(m *text.Message) bool {
	b := m.Text
	if inner, ok := text.CutPrefix(b, "["); ok { // "[PID] Jan 02 15:04:05 ", with -E
		if _, rest, ok := bytes.Cut(inner, []byte("] ")); ok && len(rest) > len("Jan 02 15:04:05 ") && rest[9] == ':' {
			b = rest[len("Jan 02 15:04:05 "):]
		}
	}
	m.Attempt, m.Target.Port = m.PID, 22
	pid, _ := text.Number(m.PID)
	child := &r.children[pid%len(r.children)]
	if peer, ok := text.CutPrefix(b, "Child connection from "); ok {
		child.pid = pid
		child.from, _ = text.HostPort(peer)
		return false
	}
	if string(b) == "Login attempt for nonexistent user" && child.pid == pid {
		m.Kind, m.Source = event.SSHUserInvalid, child.from
		return m.Source.Addr.IsValid()
	}
	if rest, ok := text.CutPrefix(b, "Exit before auth from <"); ok {
		host, why, ok := bytes.Cut(rest, []byte(">: "))
		m.Kind = event.SSHPreauthClosed
		if user, ok := text.CutPrefix(why, "(user '"); ok {
			if m.User, why, ok = text.CutLast(user, " fails): "); ok {
				m.User, _, _ = text.CutLast(m.User, "', ")
			}
		}
		if bytes.HasPrefix(why, []byte("Max auth tries reached")) {
			m.Kind = event.SSHTriesExceeded
		}
		if !ok {
			return false
		}
		m.Source, ok = text.HostPort(host)
		return ok
	}
	what, host, ok := text.CutLast(b, " from ")
	if !ok || len(what) == 0 {
		return false
	}
	switch form := what[1:]; { // the first letter was small once
	case bytes.HasPrefix(form, []byte("ad password attempt for '")), bytes.HasPrefix(form, []byte("ad PAM password attempt for '")):
		_, user, _ := bytes.Cut(form, []byte("'"))
		m.Kind, m.User = event.SSHLoginFailed, bytes.TrimSuffix(user, []byte("'"))
	case bytes.HasPrefix(form, []byte("ogin attempt for nonexistent user")):
		m.Kind = event.SSHUserInvalid
	case bytes.HasPrefix(b, []byte("Exit before auth (user '")) && bytes.Contains(what, []byte(" fails): Max auth tries reached - user '")):
		m.Kind = event.SSHTriesExceeded
	default:
		return false
	}
	m.Source, ok = text.HostPort(host)
	return ok
}

package ftp

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var proftpd = text.Daemon{
	Name:     "proftpd",
	About:    "ProFTPD, by syslog or its SystemLog: refused logins",
	Programs: []string{"proftpd"},
	Own: func(m *text.Message, line []byte) bool { // STAMP HOST proftpd[PID] MESSAGE
		rest, ok := m.OwnStamp(line)
		_, rest, ok2 := bytes.Cut(text.TrimBlanks(rest), []byte(" "))
		rest, ok3 := text.CutPrefix(rest, "proftpd[")
		_, m.Message, _ = bytes.Cut(rest, []byte("] "))
		return ok && ok2 && ok3
	},
	New: text.Stateless(readProFTPD),
}

// readProFTPD reads "SERVER (NAME[IP])[ -|:] MESSAGE". The name is the name service's, and
// what the client said comes after the address.
func readProFTPD(m *text.Message) bool {
	server, _, ok := bytes.Cut(m.Text[:min(len(m.Text), 600)], []byte(" ("))
	if !ok || bytes.IndexByte(server, ' ') >= 0 {
		return false
	}
	rest := m.Text[len(server)+len(" ("):]
	if m.Source, rest, ok = text.Named(rest); !ok {
		return false
	}
	what, ok := text.CutPrefix(rest, "): ")
	if !ok {
		if what, ok = text.CutPrefix(rest, ") - "); !ok {
			return false
		}
	}
	m.Kind, m.Target.Port = event.FTPLoginFailed, 21
	if hasPrefix(what, "SECURITY VIOLATION") { // "root login attempted"
		m.User = []byte("root")
		return true
	}
	user, ok := text.CutPrefix(what, "USER ")
	if !ok {
		return false
	}
	if name, _, ok := text.CutLast(user, " (Login failed)"); ok {
		m.User = name
		return true
	}
	name, _, ok := text.CutLast(user, ": no such user found from ")
	m.User = name
	return ok
}

func hasPrefix(b []byte, prefix string) bool {
	_, ok := text.CutPrefix(b, prefix)
	return ok
}

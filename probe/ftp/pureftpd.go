package ftp

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var pureFTPd = text.Daemon{
	Name:     "pure-ftpd",
	Aliases:  []string{"pureftpd"},
	About:    "Pure-FTPd, by syslog, without look-ups of names (-H, DontResolve): refused logins",
	Programs: []string{"pure-ftpd"},
	New:      text.Stateless(readPureFTPd),
}

// readPureFTPd reads "(?@IP) [WARNING] Authentication failed for user [NAME]". Before a
// login, the first name is a question mark.
func readPureFTPd(m *text.Message) bool {
	rest, ok := text.CutPrefix(m.Text, "(?@")
	if !ok {
		return false
	}
	host, rest, ok := bytes.Cut(rest, []byte(") "))
	user, ok2 := text.CutPrefix(rest, "[WARNING] Authentication failed for user [")
	if !ok || !ok2 {
		return false
	}
	m.Kind, m.User, m.Target.Port = event.FTPLoginFailed, bytes.TrimSuffix(user, []byte("]")), 21
	m.Source.Addr, ok = text.Address(host)
	return ok
}

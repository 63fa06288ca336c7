package mail

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var solidPOP3 = text.Daemon{
	Name:     "solid-pop3d",
	About:    "solid-pop3d, by syslog: refused logins",
	Programs: []string{"solid-pop3d"},
	New:      text.Stateless(readSolidPOP3),
}

// readSolidPOP3 reads "WHAT[: WHY][ for user NAME] - IP". The address is at the very end.
func readSolidPOP3(m *text.Message) bool {
	what, host, ok := text.CutLast(m.Text, " - ")
	if !ok || !hasPrefix(what, "authentication failed") && !hasPrefix(what, "APOP authentication failed") &&
		!hasPrefix(what, "root login not allowed") && !hasPrefix(what, "can't find APOP secret for user ") {
		return false
	}
	_, m.User, _ = bytes.Cut(what, []byte(" user "))
	m.Kind, m.Target.Port = event.MailLoginFailed, portPOP3
	m.Source.Addr, ok = text.Address(host)
	return ok
}

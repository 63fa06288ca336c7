package mail

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var cyrus = text.Daemon{
	Name:     "cyrus",
	Aliases:  []string{"cyrus-imap"},
	About:    "Cyrus IMAP, by syslog: refused logins",
	Programs: []string{"cyrus", "imap", "imaps", "imapd", "pop3", "pop3s", "pop3d", "lmtpd", "timsieved"},
	New:      text.Stateless(readCyrus),
}

// readCyrus reads "badlogin: NAME [IP] METHOD …". The name is the name service's, and what
// the client said comes after the address.
func readCyrus(m *text.Message) bool {
	rest, ok := text.CutPrefix(m.Text, "badlogin: ")
	if !ok {
		return false
	}
	if m.Source, rest, ok = text.Named(rest); !ok {
		return false
	}
	m.Kind, m.Target.Port = event.MailLoginFailed, portIMAP
	switch {
	case text.Contains(m.Process, "pop3"):
		m.Target.Port = portPOP3
	case text.Contains(m.Process, "sieve"):
		m.Target.Port = portSieve
	}
	if user, ok := text.CutPrefix(rest, " plaintext "); ok {
		m.User, _, _ = bytes.Cut(user, []byte(" SASL("))
	}
	return true
}

package mail

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var courier = text.Daemon{
	Name:     "courier",
	About:    "Courier's IMAP and POP3 servers, by syslog: refused logins",
	Programs: []string{"imapd", "imapd-ssl", "pop3d", "pop3d-ssl", "courierpop3login", "courierimaplogin"},
	New:      text.Stateless(readCourier),
}

// readCourier reads "LOGIN FAILED, user=NAME, ip=[IP][, port=[N]]". The name is the
// client's choice.
func readCourier(m *text.Message) bool {
	rest, ok := text.CutPrefix(m.Text, "LOGIN FAILED, ")
	if !ok {
		return false
	}
	who, host, ok := text.CutOnce(rest, "ip=[")
	if !ok {
		return false
	}
	host, _, _ = bytes.Cut(host, []byte("]"))
	if m.Source.Addr, ok = text.Address(host); !ok {
		return false
	}
	m.Kind, m.Target.Port = event.MailLoginFailed, portIMAP
	if text.Contains(m.Process, "pop3") {
		m.Target.Port = portPOP3
	}
	if user, ok := text.CutPrefix(who, "user="); ok {
		m.User = bytes.TrimSuffix(user, []byte(", "))
	}
	return true
}

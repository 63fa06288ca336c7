package service

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var samba = text.Daemon{
	Name:     "samba",
	Aliases:  []string{"smbd"},
	About:    "Samba's audit of authentication (log level 1 auth_audit:2): refused logins",
	Programs: []string{"smbd", "smbd_audit", "samba"},
	Own: func(m *text.Message, line []byte) bool {
		b := text.TrimBlanks(line)
		if !hasPrefix(b, "Auth: [") {
			return false
		}
		// The time stands in the message, which syslog may have no header for:
		// "at [Thu, 14 Oct 2021 15:24:12.023984 UTC]".
		r := splitSamba(b)
		at := r.at
		if r.times != 1 || len(at) < len("Thu, 14 Oct 2021 15:24:12.023984 UTC]") || at[4] != ' ' {
			return false
		}
		month := text.MonthOf(at[8:11])
		s := append(append(m.Buffer[:0], at[12:16]...), '-', '0'+byte(month/10), '0'+byte(month%10), '-')
		s = append(append(append(s, at[5:7]...), 'T'), at[17:32]...)
		if hasPrefix(at[32:], " UTC") {
			s = append(s, 'Z')
		}
		m.Buffer, m.Stamp, m.ISO, m.Message = s, s, true, b
		return month > 0
	},
	New: text.Stateless(readSamba),
}

func readSamba(m *text.Message) bool {
	b := text.TrimBlanks(m.Text)
	if !hasPrefix(b, "Auth: [") {
		return false
	}
	r := splitSamba(b)
	if r.statuses != 1 || r.remotes != 1 || hasPrefix(r.status, "NT_STATUS_OK]") {
		return false
	}
	m.Detail, _, _ = text.CutByte(r.status, ']')
	peer, _, ok := text.CutByte(r.remote, ']')
	_, peer, ok2 := text.CutByte(peer, ':') // the family
	if !ok || !ok2 {
		return false
	}
	m.Kind, m.User, m.Target.Port = event.VPNLoginFailed, r.user, 445
	m.Source, ok = text.HostPort(peer)
	return ok
}

// sambaRecord is what log_authentication_event_human_readable of auth/auth_log.c writes:
//
//	Auth: [SERVICE,…] user [DOMAIN]\[NAME] at [TIME] with [METHOD] status [NT_STATUS_…]
//	workstation [NAME] remote host [ipv4:IP:PORT] mapped to […]. local host [ipv4:IP:PORT]
//
// Names of users and workstations are the client's choice, so the labels must stand there once.
type sambaRecord struct {
	user                     []byte
	at, status, remote       []byte // with what follows them
	times, statuses, remotes int    // how many there are; of statuses, before the remote host
}

// splitSamba finds the labels, all of which follow a bracket.
func splitSamba(b []byte) (r sambaRecord) {
	var name []byte
	for i := bytes.IndexByte(b, ']'); i >= 0; i = bytes.IndexByte(b, ']') {
		b = b[i+1:]
		if value, ok := text.CutPrefix(b, " at ["); ok {
			if r.at, r.times = value, r.times+1; name != nil && r.user == nil {
				r.user = name[:len(name)-len(b)-len("]")]
			}
		} else if value, ok := text.CutPrefix(b, " remote host ["); ok {
			r.remote, r.remotes = value, r.remotes+1
		} else if r.remotes > 0 {
			continue
		} else if value, ok := text.CutPrefix(b, " status ["); ok {
			r.status, r.statuses = value, r.statuses+1
		} else if value, ok := text.CutPrefix(b, `\[`); ok && name == nil {
			name = value
		}
	}
	return r
}

package mail

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var exim = text.Daemon{
	Name:     "exim",
	Aliases:  []string{"exim4"},
	About:    "Exim's mainlog and rejectlog, also by syslog: refused logins, recipients and clients, what is no SMTP",
	Programs: []string{"exim", "exim4"},
	Own: func(m *text.Message, line []byte) (ok bool) {
		m.Message, ok = m.OwnStamp(line)
		m.Message = text.TrimBlanks(m.Message)
		if i := bytes.Index(m.Message[:min(len(m.Message), 100)], []byte(" exim[")); i > 0 { // syslog's, with such a time
			pid, rest := text.Digits(m.Message[i+len(" exim["):])
			if after, ok := text.CutPrefix(rest, "]: "); ok && len(pid) > 0 {
				m.Message = after
			}
		}
		return ok && m.ISO && eximLike(m.Message)
	},
	New: text.Stateless(readExim),
}

// eximLike tells Exim's lines from those of others with the same timestamps.
func eximLike(b []byte) bool {
	b = withoutIDs(b)
	first, _, _ := bytes.Cut(b, []byte(" "))
	switch string(first) {
	case "<=", "=>", "->", "==", "**", "Completed", "SMTP", "no", "exim", "Start", "End", "rejected":
		return true
	}
	return hasPrefix(b, "H=") || text.Contains(b[:min(len(b), 80)], " authenticator failed for ")
}

// withoutIDs strips "[PID] " and the id of a message, "1ahr79-0006jK-G9 ".
func withoutIDs(b []byte) []byte {
	if inner, ok := text.CutPrefix(b, "["); ok {
		if pid, rest := text.Digits(inner); len(pid) > 0 && hasPrefix(rest, "] ") {
			b = rest[len("] "):]
		}
	}
	const old, long = len("1ahr79-0006jK-G9"), len("1ahr79-00000006jKa-G9bc")
	switch {
	case len(b) > old && b[6] == '-' && b[13] == '-' && b[old] == ' ':
		return b[old+1:]
	case len(b) > long && b[6] == '-' && b[18] == '-' && b[long] == ' ': // from 4.97
		return b[long+1:]
	}
	return b
}

// readExim reads messages of smtp_in.c, acl.c, receive.c and auths. The client is written as
//
//	[NAME ][(HELO) ][IP][:PORT][ I=[IP]:PORT]…
//
// where the name is the name service's and HELO is what the client says.
func readExim(m *text.Message) bool {
	b := m.Text
	// Its own timestamp, where syslog gets that too (syslog_timestamp, the default).
	if len(b) > 20 && b[4] == '-' && b[10] == ' ' && b[13] == ':' {
		if _, rest, ok := bytes.Cut(b[11:], []byte(" ")); ok {
			b = rest
			if (hasPrefix(b, "+") || hasPrefix(b, "-")) && len(b) > 6 && b[5] == ' ' {
				b = b[6:]
			}
		}
	}
	b = withoutIDs(b)
	m.Target.Port = portSMTP
	if len(b) == 0 {
		return false
	}
	switch {
	case hasPrefix(b, "H="):
		rest := b[len("H="):]
		if !eximClient(m, &rest) {
			return false
		}
		return eximRefusal(m, rest)
	case hasPrefix(b, "SMTP call from "):
		rest := b[len("SMTP call from "):]
		m.Kind = event.MailProtocol
		if !eximClient(m, &rest) {
			return false
		}
		why, ok := text.CutPrefix(afterClient(rest), "dropped: ")
		m.Detail, _, _ = bytes.Cut(why, []byte(" ("))
		return ok
	case hasPrefix(b, "SMTP connection from "):
		rest := b[len("SMTP connection from "):]
		m.Kind, m.Remark = event.MailRefused, "closed by DROP in ACL"
		return text.Contains(rest, " closed by DROP in ACL") && eximClient(m, &rest)
	case hasPrefix(b, "no MAIL in SMTP connection from "):
		rest := b[len("no MAIL in SMTP connection from "):]
		m.Kind, m.Remark = event.MailProtocol, "no MAIL"
		return eximClient(m, &rest)
	case hasPrefix(b, "rejected "):
		// "rejected EHLO from CLIENT: WHY"
		command, rest, ok := bytes.Cut(b[len("rejected "):], []byte(" from "))
		m.Kind, m.Remark = event.MailProtocol, "rejected command"
		return ok && bytes.IndexByte(command, ' ') < 0 && eximClient(m, &rest)
	case hasPrefix(b, `SMTP syntax error in "`):
		what, ok := text.CutSuffix(b, " unrecognized command")
		_, rest, ok2 := text.CutLast(what, `" H=`)
		m.Kind, m.Remark = event.MailProtocol, "unrecognized command"
		return ok && ok2 && eximClient(m, &rest)
	case hasPrefix(b, `SMTP protocol error in "`):
		// The command is the client's, quotes and all: what stands at the end is Exim's.
		what, ok := text.CutSuffix(b, " AUTH command used when not advertised")
		if !ok {
			if what, ok = text.CutSuffix(b, " authentication mechanism not supported"); !ok {
				return false
			}
		}
		_, rest, ok := text.CutLast(what, `" H=`)
		m.Kind, m.Remark = event.MailProtocol, "AUTH is not offered"
		return ok && eximClient(m, &rest)
	case hasPrefix(b, "SMTP protocol synchronization error ("):
		_, rest, ok := text.CutOnce(b, " H=")
		m.Kind, m.Remark = event.MailProtocol, "synchronization error"
		return ok && text.Contains(b, ": rejected ") && eximClient(m, &rest)
	}
	method, rest, ok := bytes.Cut(b, []byte(" authenticator failed for "))
	if !ok || bytes.IndexByte(method, ' ') >= 0 || !eximClient(m, &rest) {
		return false
	}
	_, reply, ok := bytes.Cut(rest, []byte(": "))
	if !ok || !hasPrefix(reply, "535 ") {
		return false
	}
	m.Kind = event.MailLoginFailed
	if _, user, ok := bytes.Cut(reply, []byte(" (set_id=")); ok {
		m.User, _, _ = text.CutLastByte(user, ')')
	}
	return true
}

// eximRefusal reads what follows the client in a line that begins with it.
func eximRefusal(m *text.Message, b []byte) bool {
	m.Kind = event.MailRefused
	for _, form := range [...]string{" rejected ", " temporarily rejected ", " sender verify fail for ", " dropped by "} {
		if _, what, ok := bytes.Cut(b, []byte(form)); ok {
			if text.Contains(what, "reylist") {
				return false // how the server greets everybody
			}
			_, m.Detail, _ = bytes.Cut(what, []byte(": "))
			return true
		}
	}
	return false
}

// eximClient reads the client, and leaves what follows its port. An address in brackets
// behind a parenthesis must not come twice, lest the client wrote one of them into
// its HELO, where Exim is told to take any.
func eximClient(m *text.Message, b *[]byte) (ok bool) {
	rest := *b
	if i := bytes.IndexByte(rest, ' '); i > 0 && rest[0] != '(' && rest[0] != '[' {
		rest = rest[i+1:]
	}
	if hasPrefix(rest, "(") {
		if _, rest, ok = text.CutOnce(rest, ") ["); !ok {
			return false
		}
		rest = (*b)[len(*b)-len(rest)-1:]
	}
	if m.Source, rest, ok = text.InBrackets(rest); !ok {
		return false
	}
	if local, ok := text.CutPrefix(rest, " I="); ok {
		if m.Target, rest, ok = text.InBrackets(local); !ok {
			return false
		}
	}
	*b = rest
	return true
}

// afterClient strips " Ci=N" and " U=NAME" before a message.
func afterClient(b []byte) []byte {
	for {
		b = text.TrimBlanks(b)
		if !hasPrefix(b, "Ci=") && !hasPrefix(b, "U=") {
			return b
		}
		_, b, _ = bytes.Cut(b, []byte(" "))
	}
}

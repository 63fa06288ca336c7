package mail

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var postfix = text.Daemon{
	Name:     "postfix",
	About:    "Postfix, by syslog: refused logins, recipients and clients, what is no SMTP (smtpd and postscreen)",
	Programs: []string{"postfix", "postfix-"},
	New:      text.Stateless(readPostfix),
}

// readPostfix reads the messages of smtpd.c and postscreen*.c. Postfix writes the client
// as NAME[ADDRESS] and before anything that the client said; the name is "unknown"
// unless the name service confirms it, and has no brackets.
func readPostfix(m *text.Message) bool {
	m.Target.Port = postfixPort(m.Process)
	if len(m.Text) == 0 {
		return false
	}
	switch m.Text[0] {
	case 'w':
		rest, ok := text.CutPrefix(m.Text, "warning: ")
		return ok && postfixWarning(m, rest)
	case 'l':
		return postfixStage(m, "lost connection after ", true)
	case 't':
		return postfixStage(m, "timeout after ", true) || postfixStage(m, "too many errors after ", false)
	case 'i':
		return postfixStage(m, "improper command pipelining after ", false)
	case 'S':
		return postfixProtocol(m, m.Text, "SSL_accept error from ")
	}
	const reject = ": reject: "
	if i := bytes.Index(m.Text[:min(len(m.Text), 40)], []byte(reject)); i > 0 && bytes.IndexByte(m.Text[:i], ' ') < 0 {
		return postfixReject(m, m.Text[i+len(reject):])
	}
	return postscreen(m)
}

// postfixPort is that of the service, which is named after it in master.cf.
func postfixPort(process []byte) uint16 {
	switch {
	case text.Contains(process, "/smtps/"), text.Contains(process, "/submissions/"):
		return portSMTPS
	case text.Contains(process, "/submission/"):
		return portSubmission
	}
	return portSMTP
}

func postfixWarning(m *text.Message, b []byte) bool {
	switch {
	case postfixProtocol(m, b, "non-SMTP command from "), postfixProtocol(m, b, "Illegal address syntax from "):
		return true
	case hasPrefix(b, "Connection "), hasPrefix(b, "Message delivery request rate "), hasPrefix(b, "Recipient address rate "), hasPrefix(b, "New TLS session rate "):
		// "Connection concurrency limit exceeded: 51 from NAME[IP] for service smtp"
		what, rest, ok := bytes.Cut(b, []byte(" limit exceeded: "))
		_, client, ok2 := bytes.Cut(rest, []byte(" from "))
		m.Kind, m.Detail = event.MailRefused, what
		return ok && ok2 && postfixClient(m, &client)
	}
	// "NAME[IP]: SASL LOGIN authentication failed: REASON, sasl_username=USER"
	if !postfixClient(m, &b) {
		return false
	}
	method, ok := text.CutPrefix(b, ": SASL ")
	if !ok {
		return false
	}
	_, reason, ok := bytes.Cut(method[:min(len(method), 300)], []byte(" authentication failed: "))
	if !ok || hasPrefix(reason, "Connection lost to authentication server") || hasPrefix(reason, "Invalid authentication mechanism") {
		return false // the server's own fault
	}
	m.Kind, m.Detail = event.MailLoginFailed, nil
	_, m.User, _ = text.CutLast(reason, ", sasl_username=")
	return true
}

// postfixStage reads "FORM STAGE from NAME[IP]". Behind the stages of a message, honest
// servers give up too.
func postfixStage(m *text.Message, form string, early bool) bool {
	rest, ok := text.CutPrefix(m.Text, form)
	if !ok {
		return false
	}
	stage, client, ok := bytes.Cut(rest[:min(len(rest), 300)], []byte(" from "))
	if early {
		switch string(stage) {
		case "CONNECT", "HELO", "EHLO", "AUTH", "STARTTLS", "UNKNOWN", "NOOP", "RSET", "QUIT":
		default:
			return false
		}
	}
	m.Kind, m.Detail = event.MailProtocol, m.Text[:len(form)+len(stage)]
	return ok && bytes.IndexByte(stage, '[') < 0 && postfixClient(m, &client)
}

// postfixProtocol reads "FORM NAME[IP]…".
func postfixProtocol(m *text.Message, b []byte, form string) bool {
	client, ok := text.CutPrefix(b, form)
	m.Kind, m.Detail = event.MailProtocol, b[:min(len(b), max(len(form)-len(" from "), 0))]
	return ok && postfixClient(m, &client)
}

// postfixReject reads "STAGE from NAME[IP]: CODE [D.S.N ]REASON; from=<…> …". Greylisting
// and what the server lacks are no fault of the client's.
func postfixReject(m *text.Message, b []byte) bool {
	stage, b, ok := bytes.Cut(b, []byte(" from "))
	if !ok || bytes.IndexByte(stage, '[') >= 0 || !postfixClient(m, &b) {
		return false
	}
	code, ok := text.CutPrefix(b, ": ")
	if !ok || len(code) < 4 {
		return false
	}
	reason, _, _ := bytes.Cut(code[4:], []byte("; "))
	switch string(code[:3]) {
	case "451", "452", "421":
		return false
	}
	if code[0] == '4' && (text.Contains(reason, "reylist") || text.Contains(reason, "try again later")) {
		return false
	}
	m.Kind, m.Detail = event.MailRefused, reason
	return true
}

// postscreenForms are what postscreen reports of clients that it has not passed on yet,
// as "FORM… from [IP]:PORT".
var postscreenForms = [...]string{"PREGREET ", "HANGUP ", "BARE NEWLINE ", "COMMAND PIPELINING ", "COMMAND COUNT LIMIT ",
	"COMMAND TIME LIMIT ", "COMMAND LENGTH LIMIT ", "NON-SMTP COMMAND "}

func postscreen(m *text.Message) bool {
	const service = "/postscreen"
	if n := len(m.Process) - len(service); n < 0 || string(m.Process[n:]) != service {
		return false
	}
	if rank, ok := text.CutPrefix(m.Text, "DNSBL rank "); ok {
		_, client, ok := bytes.Cut(rank, []byte(" for "))
		m.Kind, m.Remark = event.MailRefused, "DNSBL"
		return ok && postfixClient(m, &client)
	}
	for _, form := range postscreenForms {
		if rest, ok := text.CutPrefix(m.Text, form); ok {
			between := 0
			if !hasPrefix(rest, "from ") {
				if between = bytes.Index(rest, []byte(" from ")) + 1; between == 0 {
					return false
				}
			}
			client := rest[between+len("from "):]
			m.Kind, m.Detail = event.MailProtocol, m.Text[:len(form)-1]
			return bytes.IndexByte(rest[:between], '[') < 0 && postfixClient(m, &client)
		}
	}
	return false
}

// postfixClient reads NAME[ADDRESS] or, as postscreen writes it, [ADDRESS], with or
// without ":PORT", and leaves what follows.
func postfixClient(m *text.Message, b *[]byte) (ok bool) {
	m.Source, *b, ok = text.Named(*b)
	return ok
}

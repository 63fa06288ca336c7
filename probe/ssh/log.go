package ssh

import (
	"strconv"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// sshLog reads the messages of sshd, however they got here. The formats are
// those of openssh-portable (auth.c, packet.c, sshd.c, srclimit.c, auth-pam.c),
// from 4.x to 10.x.
type sshLog struct {
	// kex remembers the last connections that failed before the key exchange
	// with a line that lacks the address, by process id modulo the size; the
	// next line of the process has it.
	kex [64]int

	// What is being read: kept here and not on the stack, so that lines that
	// turn out not to be evidence cost no allocation.
	message sshMessage
	users   text.Recent
	pids    text.Recent
}

// sshMessage is one message without its prefixes and suffixes.
type sshMessage struct {
	text []byte
	// preauth: sshd says that nobody had logged in yet, or it must be so.
	preauth bool
	// listener: the line is the listening process's, not the connection's.
	listener bool
	pid      []byte

	// What the reader found. User and detail are not yet valid text; remark is
	// a detail in our own words.
	kind           event.Kind
	source, target event.Endpoint
	count          int
	user, detail   []byte
	remark         string
}

// read fills in the event that a message is evidence of, but for its time and
// whence it came. The event must be empty, and is left alone if there is none.
func (l *sshLog) read(process, pid, message []byte, ev *event.Event) (ok bool) {
	count, message := text.Repetitions(message)
	message, preauth := text.CutSuffix(message, " [preauth]")
	form, rest := sshFormOf(message)
	if form == nil {
		return false
	}
	if form.beforeKex {
		l.remember(pid)
		return false
	}
	if form.closing && !preauth {
		// Without the suffix this is the end of a session, unless the client
		// never got as far as a key exchange. From 9.8 the sessions' own
		// program names the user in the end of a session.
		preauth = l.forget(pid) || len(process) > len("sshd")
	}
	m := &l.message
	m.text, m.preauth, m.listener, m.pid = rest, preauth, false, pid
	m.source, m.target, m.count = event.Endpoint{}, event.Endpoint{}, 1
	m.user, m.detail, m.remark = nil, nil, ""
	if !form.read(m) {
		return false
	}
	ev.Kind, ev.Severity, ev.Count = m.kind, m.kind.Severity(), m.count*count
	ev.Source, ev.Target = m.source, m.target
	ev.Proof = event.Handshake // sshd only ever hears of a connection that was established
	ev.Protocol = "tcp"
	ev.User = l.users.String(m.user)
	ev.Detail = m.remark
	if m.detail != nil {
		ev.Detail = text.String(m.detail)
	}
	if !m.listener {
		ev.Attempt = l.pids.String(m.pid)
	}
	return true
}

// sshForm is one form of message: what it begins with, and who reads the rest.
type sshForm struct {
	prefix    string
	read      func(m *sshMessage) bool
	beforeKex bool // has no address; announces a closing line that has it
	closing   bool // the same line ends a session and a connection before login
}

// sshForms lists every message that can be evidence; no prefix is the beginning
// of another. Of those with the same first letter, the commonest comes first.
var sshForms = [...]sshForm{
	{prefix: "Failed ", read: failedLogin},
	{prefix: "Accepted ", read: acceptedLogin},
	{prefix: "Invalid user ", read: invalidUser},
	{prefix: "Illegal user ", read: invalidUser}, // before 3.9
	{prefix: "User ", read: refusedUser},
	{prefix: "maximum authentication attempts exceeded for ", read: triesExceeded},
	{prefix: "pam_", read: pamFailure},
	{prefix: "PAM: ", read: pamError},
	{prefix: "PAM ", read: pamMore},
	{prefix: "Connection closed by ", read: closed, closing: true},
	{prefix: "Connection reset by ", read: closed, closing: true},
	{prefix: "Disconnected from ", read: closed, closing: true},
	{prefix: "Connection from ", read: timedOut, closing: true},
	{prefix: "Disconnecting ", read: disconnecting},
	{prefix: "Received disconnect from ", read: receivedDisconnect},
	{prefix: "ROOT LOGIN REFUSED FROM ", read: refusedRoot},
	{prefix: "Timeout before authentication for ", read: graceExceeded},
	{prefix: "drop connection #", read: droppedConnection},
	{prefix: "srclimit_penalise: ", read: penalised},
	{prefix: "refused connect from ", read: refusedConnection},
	{prefix: "banner exchange: Connection from ", read: bannerFailure},
	{prefix: "ssh_dispatch_run_fatal: Connection from ", read: protocolFailure},
	{prefix: "Unable to negotiate with ", read: noCommonAlgorithm},
	{prefix: "Bad protocol version identification ", read: badVersion},
	{prefix: "Did not receive identification string from ", read: noVersion},
	{prefix: "Magic value check failed (", read: badVersion}, // a patch against censorship
	{prefix: "probed from ", read: probed},
	{prefix: "scanned from ", read: probed},
	{prefix: "Session process ", read: crashed},
	{prefix: "session process ", read: crashed},
	{prefix: "kex_exchange_identification: ", beforeKex: true},
	{prefix: "ssh_exchange_identification: ", beforeKex: true},
}

// sshFormOf finds the form of a message and what follows its prefix.
func sshFormOf(message []byte) (*sshForm, []byte) {
	const level = len("error: ")
	if len(message) > level && (string(message[:level]) == "error: " || string(message[:level]) == "fatal: ") {
		message = message[level:]
	}
	if len(message) == 0 {
		return nil, nil
	}
	for _, f := range sshFormsBy[message[0]] {
		if len(message) > len(f.prefix) && string(message[:len(f.prefix)]) == f.prefix {
			return f, message[len(f.prefix):]
		}
	}
	return nil, nil
}

// sshFormsBy has the forms by their first byte.
var sshFormsBy = func() (by [256][]*sshForm) {
	for i := range sshForms {
		first := sshForms[i].prefix[0]
		by[first] = append(by[first], &sshForms[i])
	}
	return by
}()

func (l *sshLog) remember(pid []byte) {
	if n, ok := text.Number(pid); ok {
		l.kex[n%len(l.kex)] = n
	}
}

// forget tells whether the process was remembered, and forgets it.
func (l *sshLog) forget(pid []byte) bool {
	n, ok := text.Number(pid)
	if !ok || n == 0 || l.kex[n%len(l.kex)] != n {
		return false
	}
	l.kex[n%len(l.kex)] = 0
	return true
}

// childPID makes the event one with the other lines of the process that a line
// of the listener names.
func (m *sshMessage) childPID(pid []byte) bool {
	n, ok := text.Number(pid)
	m.pid = strconv.AppendInt(nil, int64(n), 10)
	return ok
}

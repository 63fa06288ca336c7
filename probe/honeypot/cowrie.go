package honeypot

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func cowrieFormat() text.Format {
	return text.Format{
		Name:     "cowrie",
		Aliases:  []string{"kippo"},
		About:    "Cowrie, an SSH and telnet honeypot: its JSON and its text log",
		Programs: []string{"cowrie"},
		New:      func(c text.Clock) text.Parser { return &cowrieParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			if len(line) > 0 && line[0] == '{' {
				return bytes.Contains(line, []byte(`"eventid":"cowrie.`)) || bytes.Contains(line, []byte(`"eventid": "cowrie.`))
			}
			var r cowrieLine
			return r.split(line)
		}),
	}
}

type cowrieParser struct {
	clock  text.Clock
	values [9]text.Value
	buffer []byte
}

// cowrieFields are those of cowrie's output/jsonlog.
var cowrieFields = []string{"eventid", "src_ip", "src_port", "dst_port", "session", "timestamp", "username", "input", "url"}

func (p *cowrieParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if len(line.Bytes) == 0 || line.Bytes[0] != '{' {
		return p.text(line)
	}
	if err := text.Value(line.Bytes).Fields(cowrieFields, p.values[:]); err != nil {
		return ev, false, text.Malformed("cowrie", line.Bytes, err)
	}
	p.buffer = p.buffer[:0]
	id, _ := p.values[0].Text(&p.buffer)
	kind, ok := cowrieKind(id)
	if !ok {
		return ev, false, nil
	}
	host, _ := p.values[1].Text(&p.buffer)
	source, ok := text.Address(host)
	if !ok {
		return ev, false, nil
	}
	ev = visit(kind, "cowrie", line)
	ev.Source = event.Endpoint{Addr: source, Port: p.values[2].Port()}
	ev.Target.Port = p.values[3].Port()
	ev.Attempt, ev.User = p.string(4), p.string(6)
	if ev.Detail = p.string(7); ev.Detail == "" {
		ev.Detail = p.string(8)
	}
	stamp, _ := p.values[5].Text(&p.buffer)
	if ev.Time, err = utc(p.clock, stamp); err != nil {
		return event.Event{}, false, text.Malformed("cowrie", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every event of Cowrie's is one line.
func (p *cowrieParser) Flush() (ev event.Event, ok bool, err error) { return }

func (p *cowrieParser) string(i int) string {
	b, _ := p.values[i].Text(&p.buffer)
	return text.String(b)
}

func cowrieKind(id []byte) (event.Kind, bool) {
	switch string(id) {
	case "cowrie.session.connect":
		return event.HoneypotContact, true
	case "cowrie.login.failed", "cowrie.login.success":
		return event.HoneypotLogin, true
	case "cowrie.command.input", "cowrie.command.failed", "cowrie.session.file_download", "cowrie.session.file_upload", "cowrie.direct-tcpip.request":
		return event.HoneypotCommand, true
	}
	return "", false
}

func (p *cowrieParser) text(line text.Line) (ev event.Event, ok bool, err error) {
	var r cowrieLine
	if !r.split(line.Bytes) || !r.read() {
		return ev, false, nil
	}
	if ev = visit(r.kind, "cowrie", line); !r.source.Addr.IsValid() {
		return event.Event{}, false, nil
	}
	ev.Source, ev.Target.Port = r.source, r.port
	ev.Attempt, ev.User, ev.Detail = text.String(r.session), text.String(r.user), text.String(r.detail)
	if ev.Time, err = p.clock.ISO(r.stamp); err != nil {
		return event.Event{}, false, text.Malformed("cowrie", line.Bytes, err)
	}
	return ev, true, nil
}

// cowrieLine is "[SYSLOG ]2006-01-02T15:04:05+0000 [SYSTEM] MESSAGE", where the system is Cowrie's
// own: a factory, or a transport with its number and the client's address. What the
// client typed stands in the message only.
type cowrieLine struct {
	stamp, system, message []byte

	kind                  event.Kind
	source                event.Endpoint
	port                  uint16
	session, user, detail []byte
}

func (r *cowrieLine) split(line []byte) bool {
	if h := (text.Header{}); h.Split(line) && string(h.Process) == "cowrie" {
		line = h.Message
	}
	var ok bool
	if len(line) < 25 || line[4] != '-' || line[10] != 'T' {
		return false
	}
	if r.stamp, line, ok = bytes.Cut(line, []byte(" [")); !ok || len(r.stamp) > 35 || bytes.IndexByte(r.stamp, ' ') >= 0 {
		return false
	}
	r.system, r.message, ok = bytes.Cut(line, []byte("] "))
	return ok && (bytes.HasPrefix(r.system, []byte("cowrie.")) || bytes.Contains(r.system, []byte("HoneyPotSSHTransport,")) ||
		bytes.Contains(r.system, []byte("CowrieTelnetTransport,")))
}

func (r *cowrieLine) read() (ok bool) {
	// New connection: IP:PORT (IP:PORT) [session: ID]
	if rest, ok := text.CutPrefix(r.message, "New connection: "); ok {
		from, rest, ok1 := bytes.Cut(rest, []byte(" ("))
		to, rest, ok2 := bytes.Cut(rest, []byte(") [session: "))
		_, n, _ := text.CutLastByte(to, ':')
		r.port, _ = text.Port(n)
		r.session = bytes.TrimSuffix(rest, []byte("]"))
		r.kind = event.HoneypotContact
		r.source, ok = endpoint(from)
		return ok && ok1 && ok2
	}
	switch {
	case bytes.HasPrefix(r.message, []byte("login attempt [")):
		r.kind = event.HoneypotLogin
		name, _, _ := bytes.Cut(r.message[len("login attempt ["):], []byte("/"))
		r.user = bytes.TrimSuffix(bytes.TrimPrefix(name, []byte("b'")), []byte("'"))
	case bytes.HasPrefix(r.message, []byte("CMD: ")):
		r.kind, r.detail = event.HoneypotCommand, r.message[len("CMD: "):]
	default:
		return false
	}
	rest, host, ok := text.CutLastByte(r.system, ',')
	if !ok {
		return false
	}
	r.session = rest[bytes.LastIndexByte(rest, ' ')+1:]
	r.source.Addr, ok = text.Address(host)
	return ok
}

package honeypot

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func sshesameFormat() text.Format {
	return text.Format{
		Name:     "sshesame",
		About:    "sshesame, an SSH honeypot that lets everybody in; also through syslog",
		Programs: []string{"sshesame"},
		New:      func(c text.Clock) text.Parser { return &sshesameParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r sshesameLine
			if !r.split(line) {
				return false
			}
			_, ok := endpoint(r.peer)
			return ok
		}),
	}
}

type sshesameParser struct {
	clock text.HeaderClock
}

func (p *sshesameParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r sshesameLine
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	kind, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	source, ok := endpoint(r.peer)
	if !ok {
		return ev, false, nil
	}
	ev = visit(kind, "sshesame", line)
	ev.Source, ev.Target.Port = source, 22
	ev.Attempt, ev.User = text.String(r.peer), text.String(r.user)
	if kind == event.HoneypotCommand { // the others hold passwords, which may be somebody's own
		ev.Detail = text.String(r.message)
	}
	if r.stamp == nil {
		ev.Time, err = p.clock.Read(&r.header)
	} else {
		ev.Time, err = r.time(p.clock.Clock)
	}
	if err != nil {
		return event.Event{}, false, text.Malformed("sshesame", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every event of sshesame's is one line.
func (p *sshesameParser) Flush() (ev event.Event, ok bool, err error) { return }

// sshesameLine is "2006/01/02 15:04:05 [IP:PORT] MESSAGE". What the client sent stands in quotes
// in the message, behind the address.
type sshesameLine struct {
	header               text.Header
	stamp, peer, message []byte
	user                 []byte
}

func (r *sshesameLine) split(line []byte) (ok bool) {
	const stamp = len("2006/01/02 15:04:05")
	switch {
	case len(line) > stamp+2 && line[4] == '/' && line[7] == '/' && line[10] == ' ' && line[stamp] == ' ':
		r.stamp, line = line[:stamp], line[stamp+1:]
	case r.header.Split(line) && string(r.header.Process) == "sshesame":
		line = r.header.Message
		if len(line) > stamp+2 && line[4] == '/' && line[stamp] == ' ' { // systemd's stamp before the program's own
			line = line[stamp+1:]
		}
	default:
		return false
	}
	if len(line) == 0 || line[0] != '[' {
		return false
	}
	r.peer, r.message, ok = bytes.Cut(line[1:], []byte("] "))
	if ok && len(r.peer) > 0 && r.peer[0] == '[' { // [[::1]:22]
		return true
	}
	return ok
}

func (r *sshesameLine) judge() (event.Kind, bool) {
	m := r.message
	if name, ok := text.CutPrefix(m, `authentication for user "`); ok {
		// Asking what may be tried is how every client begins, and comes with each attempt.
		if r.user, m, ok = bytes.Cut(name, []byte(`" `)); !ok || text.HasPrefix(m, "without credentials ") {
			return "", false
		}
		return event.HoneypotLogin, true
	}
	if text.HasPrefix(m, "connection with client version ") {
		return event.HoneypotContact, true
	}
	if rest, ok := text.CutPrefix(m, "[channel "); ok {
		_, m, ok = bytes.Cut(rest, []byte("] "))
		return event.HoneypotCommand, ok && text.HasPrefix(m, `command "`, `input: "`, "direct TCP/IP forwarding from ", `subsystem "`)
	}
	return "", false
}

func (r *sshesameLine) time(c text.Clock) (time.Time, error) {
	var stamp [19]byte
	copy(stamp[:], r.stamp)
	stamp[4], stamp[7], stamp[10] = '-', '-', 'T'
	return c.ISO(stamp[:])
}

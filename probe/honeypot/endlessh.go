package honeypot

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func endlesshFormat() text.Format {
	return text.Format{
		Name:     "endlessh",
		About:    "Endlessh, and endlessh-go, SSH servers that never get to the login; also through syslog",
		Programs: []string{"endlessh"},
		New:      func(c text.Clock) text.Parser { return &endlesshParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r endlesshLine
			return r.split(line) && text.HasPrefix(r.rest, "ACCEPT host=", "CLOSE host=", "Port ", "Delay ", "MaxLineLength ", "MaxClients ", "BindFamily ")
		}),
	}
}

type endlesshParser struct {
	clock text.HeaderClock
}

func (p *endlesshParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r endlesshLine
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	rest, ok := text.CutPrefix(r.rest, "ACCEPT host=")
	if !ok {
		return ev, false, nil
	}
	host, rest, ok := bytes.Cut(rest, []byte(" port="))
	port, _, ok2 := bytes.Cut(rest, []byte(" "))
	source, ok3 := text.Address(host)
	if !ok || !ok2 || !ok3 {
		return ev, false, nil
	}
	ev = visit(event.HoneypotContact, "endlessh", line)
	ev.Source.Addr, ev.Target.Port = source, 22
	ev.Source.Port, _ = text.Port(port)
	switch {
	case r.stamp == nil:
		ev.Time, err = p.clock.Read(&r.header)
	case r.stamp[0] == 'I':
		ev.Time, err = r.glog(p.clock.Clock)
	default:
		ev.Time, err = p.clock.ISO(r.stamp)
	}
	if err != nil {
		return event.Event{}, false, text.Malformed("endlessh", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every connection is one line.
func (p *endlesshParser) Flush() (ev event.Event, ok bool, err error) { return }

// endlesshLine is "2006-01-02T15:04:05.000Z ACCEPT host=IP port=N fd=N n=N/N", or the same behind
// a syslog header, or behind glog's in endlessh-go. A client never gets to say anything.
type endlesshLine struct {
	header text.Header
	stamp  []byte
	rest   []byte
}

func (r *endlesshLine) split(line []byte) (ok bool) {
	if r.header.Split(line) && string(r.header.Process) == "endlessh" {
		r.rest = r.header.Message
		return true
	}
	if len(line) > 22 && line[0] == 'I' && line[5] == ' ' && line[8] == ':' { // I0102 15:04:05.000000       1 client.go:58] ACCEPT …
		_, r.rest, ok = bytes.Cut(line, []byte("] "))
		r.stamp = line[:21]
		return ok
	}
	if len(line) < 25 || line[4] != '-' || line[10] != 'T' {
		return false
	}
	r.stamp, r.rest, ok = bytes.Cut(line, []byte(" "))
	return ok && len(r.stamp) == len("2006-01-02T15:04:05.000Z")
}

// glog reads "I0102 15:04:05.000000", local time without a year.
func (r *endlesshLine) glog(c text.Clock) (time.Time, error) {
	var w text.WallClock
	var ok1, ok2 bool
	w.Month, ok1 = text.Number(r.stamp[1:3])
	w.Day, ok2 = text.Number(r.stamp[3:5])
	_, ok3 := w.ReadTime(r.stamp[6:])
	t, ok := c.Nearest(w)
	if !ok1 || !ok2 || !ok3 || !ok {
		return t, text.ErrTimestamp
	}
	return t, nil
}

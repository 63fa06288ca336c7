package honeypot

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func honeytrapFormat() text.Format {
	return text.Format{
		Name:      "honeytrap",
		About:     "Honeytrap, a honeypot for all ports: its JSON log (logAttackerJSON)",
		New:       func(c text.Clock) text.Parser { return &honeytrapParser{clock: c} },
		Recognise: jsonFormat(`"attack_connection":`, `"remote_ip":`),
	}
}

type honeytrapParser struct {
	clock  text.Clock
	values [2]text.Value
	inner  [4]text.Value
	buffer []byte
}

var (
	honeytrapFields = []string{"start_time", "attack_connection"}
	honeytrapInner  = []string{"protocol", "remote_ip", "remote_port", "local_port"}
)

func (p *honeytrapParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	switch string(bytes.TrimSpace(line.Bytes)) {
	case `{"attacks":[`, "]}":
		return ev, false, nil // what encloses the records
	}
	object := element(line.Bytes)
	if len(object) == 0 || object[0] != '{' {
		return ev, false, text.WantObject("honeytrap", object)
	}
	err = text.Value(object).Fields(honeytrapFields, p.values[:])
	if err == nil && p.values[1] != nil {
		err = p.values[1].Fields(honeytrapInner, p.inner[:])
	}
	if err != nil {
		return ev, false, text.Malformed("honeytrap", line.Bytes, err)
	}
	if p.values[1] == nil {
		return ev, false, nil
	}
	p.buffer = p.buffer[:0]
	host, _ := p.inner[1].Text(&p.buffer)
	source, ok := text.Address(host)
	if !ok {
		return ev, false, nil
	}
	ev = visit(event.HoneypotContact, "honeytrap", line)
	switch string(p.inner[0]) {
	case `"tcp"`:
	case `"udp"`:
		ev.Protocol, ev.Proof = "udp", event.Spoofable
	default:
		return event.Event{}, false, nil
	}
	ev.Source = event.Endpoint{Addr: source, Port: p.inner[2].Port()}
	ev.Target.Port = p.inner[3].Port()
	stamp, _ := p.values[0].Text(&p.buffer)
	if ev.Time, err = utc(p.clock, stamp); err != nil {
		return event.Event{}, false, text.Malformed("honeytrap", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every attack is one line.
func (p *honeytrapParser) Flush() (ev event.Event, ok bool, err error) { return }

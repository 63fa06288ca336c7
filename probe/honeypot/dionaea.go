package honeypot

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func dionaeaFormat() text.Format {
	return text.Format{
		Name:      "dionaea",
		About:     "Dionaea, a honeypot of many services: its JSON log (log_json)",
		New:       func(c text.Clock) text.Parser { return &dionaeaParser{clock: c} },
		Recognise: jsonFormat(`"connection":`, `"transport":`, `"src_ip":`, `"dst_port":`),
	}
}

type dionaeaParser struct {
	clock  text.Clock
	values [6]text.Value
	inner  [3]text.Value
	names  [1]text.Value
	buffer []byte
}

var (
	dionaeaFields      = []string{"connection", "src_ip", "src_port", "dst_port", "timestamp", "credentials"}
	dionaeaConnection  = []string{"transport", "type", "protocol"}
	dionaeaCredentials = []string{"username"}
)

func (p *dionaeaParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	object := element(line.Bytes)
	if len(object) == 0 || object[0] != '{' {
		return ev, false, text.WantObject("dionaea", object)
	}
	err = text.Value(object).Fields(dionaeaFields, p.values[:])
	if err == nil && p.values[0] != nil {
		err = p.values[0].Fields(dionaeaConnection, p.inner[:])
	}
	if err != nil {
		return ev, false, text.Malformed("dionaea", line.Bytes, err)
	}
	if p.values[0] == nil || string(p.inner[0]) != `"tcp"` || string(p.inner[1]) != `"accept"` {
		return ev, false, nil // what the honeypot does itself
	}
	p.buffer = p.buffer[:0]
	host, _ := p.values[1].Text(&p.buffer)
	source, ok := text.Address(host)
	if !ok {
		return ev, false, nil
	}
	ev = visit(event.HoneypotContact, "dionaea", line)
	if p.values[5] != nil {
		ev = visit(event.HoneypotLogin, "dionaea", line)
		if p.values[5].Fields(dionaeaCredentials, p.names[:]) == nil {
			_ = p.names[0].Elements(func(v text.Value) bool {
				name, _ := v.Text(&p.buffer)
				ev.User = text.String(name)
				return false
			})
		}
	}
	ev.Source = event.Endpoint{Addr: source, Port: p.values[2].Port()}
	ev.Target.Port = p.values[3].Port()
	service, _ := p.inner[2].Text(&p.buffer)
	ev.Detail = text.String(service)
	stamp, _ := p.values[4].Text(&p.buffer)
	if ev.Time, err = utc(p.clock, stamp); err != nil {
		return event.Event{}, false, text.Malformed("dionaea", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every connection is one line.
func (p *dionaeaParser) Flush() (ev event.Event, ok bool, err error) { return }

// element takes the brackets and commas of an array off a line that holds one of
// its objects.
func element(line []byte) []byte {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		line = bytes.TrimLeft(line, "[, ")
	}
	if n := len(line); n > 0 && line[n-1] != '}' {
		line = bytes.TrimRight(line, "], ")
	}
	return line
}

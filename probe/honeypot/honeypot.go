// Package honeypot reads the logs of honeypots: hosts that have no users, so that whoever
// comes there is looking for something.
package honeypot

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	return []text.Format{
		cowrieFormat(), opencanaryFormat(), dionaeaFormat(), honeytrapFormat(), honeydFormat(), endlesshFormat(), sshesameFormat(),
	}
}

// visit is an event of a honeypot that has answered over TCP.
func visit(kind event.Kind, sensor string, line text.Line) event.Event {
	return event.Event{
		Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Sensor: sensor, File: line.File, Line: line.Number,
	}
}

// endpoint reads "IP:PORT" and "[IP]:PORT".
func endpoint(b []byte) (e event.Endpoint, ok bool) {
	if e, ok = text.Bracketed(b); ok {
		return e, true
	}
	host, n, ok := text.CutLastByte(b, ':')
	if !ok {
		return e, false
	}
	if e.Port, ok = text.Port(n); ok {
		e.Addr, ok = text.Address(host)
	}
	return e, ok
}

// utc reads the timestamps of programs that write UTC without saying so.
func utc(c text.Clock, b []byte) (time.Time, error) {
	c.Zone = time.UTC
	return c.ISO(b)
}

// jsonFormat recognises a log of JSON objects that have all of some fields.
func jsonFormat(fields ...string) func(sample []byte) int {
	return text.EachLine(func(line []byte) bool {
		if len(line) == 0 || line[0] != '{' && line[0] != '[' {
			return false
		}
		for _, f := range fields {
			if !bytes.Contains(line, []byte(f)) {
				return false
			}
		}
		return true
	})
}

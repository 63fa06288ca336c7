package firewall

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func unifiFormat() text.Format {
	return text.Format{
		Name:    "unifi",
		Aliases: []string{"unifi-cef"},
		About:   "UniFi Network's events in the common event format (CEF): what its intrusion prevention has stopped",
		New:     func(c text.Clock) text.Parser { return &unifiParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			_, _, ok := splitUnifi(line)
			return ok
		}),
	}
}

type unifiParser struct {
	clock text.HeaderClock
	rules text.Recent
}

func (p *unifiParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	id, fields, ok := splitUnifi(line.Bytes)
	if !ok || string(id) != "201" { // Threat Detected and Blocked
		return ev, false, nil
	}
	words := unifiWords(fields)
	if words[unifiTime] == nil {
		return ev, false, nil
	}
	// These begin the record, before any name.
	var k packet
	for first, more := fields, true; more; {
		var field []byte
		field, first, _ = text.CutByte(first, ' ')
		more = k.cef(field)
	}
	ev = event.Event{
		Kind: event.IDSMedium, Count: 1, Protocol: k.protocol, Sensor: "unifi", File: line.File, Line: line.Number,
		Source: event.Endpoint{Port: k.from}, Target: event.Endpoint{Port: k.to},
	}
	if ev.Source.Addr, ok = text.Address(k.source); !ok {
		return event.Event{}, false, nil
	}
	ev.Target.Addr, _ = text.Address(k.target)
	switch string(words[unifiRisk]) {
	case "high", "critical":
		ev.Kind = event.IDSHigh
	case "low":
		ev.Kind = event.IDSLow
	}
	ev.Severity = ev.Kind.Severity()
	if sid := words[unifiSignature]; sid != nil {
		var room [40]byte
		ev.Vulnerability = p.rules.String(append(append(room[:0], "1:"...), sid...))
	}
	if ev.Time, err = p.clock.Read(&text.Header{Stamp: words[unifiTime], ISO: true}); err != nil {
		return event.Event{}, false, text.Malformed("unifi", line.Bytes, err)
	}
	return ev, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *unifiParser) Flush() (ev event.Event, ok bool, err error) { return }

// cef takes one of the fields that are a packet's; false is another one.
func (p *packet) cef(field []byte) bool {
	key, value, _ := text.CutByte(field, '=')
	switch string(key) {
	case "proto":
		p.protocol = protocolOf(value)
	case "src":
		p.source = value
	case "dst":
		p.target = value
	case "spt":
		p.from, _ = text.Port(value)
	case "dpt":
		p.to, _ = text.Port(value)
	default:
		return false
	}
	return true
}

// splitUnifi reads "[…CEF:]0|Ubiquiti|UniFi Network|VERSION|ID|NAME|SEVERITY|FIELDS".
func splitUnifi(line []byte) (id, fields []byte, ok bool) {
	const vendor = "0|Ubiquiti|UniFi Network|"
	at := bytes.Index(line[:min(len(line), maxPrefix)], []byte(vendor))
	if at < 0 || at > 0 && !bytes.HasSuffix(line[:at], []byte("CEF:")) {
		return nil, nil, false
	}
	rest := line[at+len(vendor):]
	for i := range 4 {
		var field []byte
		if field, rest, ok = text.CutByte(rest, '|'); !ok {
			return nil, nil, false
		}
		if i == 1 {
			id = field
		}
	}
	return id, rest, true
}

// The fields that are looked for among those whose values can be of several words.
const (
	unifiTime = iota
	unifiRisk
	unifiSignature
	unifiFields
)

// unifiWords reads "KEY=VALUE KEY=VALUE…". A field counts where it is named once, as far as its
// first word: names of hosts and people stand beside it.
func unifiWords(b []byte) (words [unifiFields][]byte) {
	var times [unifiFields]int
	for key, rest, ok := text.CutByte(b, '='); ok; key, rest, ok = text.CutByte(rest, '=') {
		var field int
		switch string(key[max(bytes.LastIndexByte(key, ' '), 0):]) {
		case " UNIFIutcTime":
			field = unifiTime
		case " UNIFIrisk":
			field = unifiRisk
		case " UNIFIipsSignatureId":
			field = unifiSignature
		default:
			continue
		}
		words[field], _, _ = text.CutByte(rest, ' ')
		times[field]++
	}
	for field, n := range times {
		if n > 1 {
			words[field] = nil
		}
	}
	return words
}

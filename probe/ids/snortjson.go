package ids

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func snortJSONFormat() text.Format {
	return text.Format{
		Name:    "snort3-json",
		Aliases: []string{"snort-json", "alert_json"},
		About:   "alerts of Snort 3 as JSON: alert_json, with any selection of fields",
		New:     func(c text.Clock) text.Parser { return &snortJSONParser{clock: snortClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte("{")) && isSnortJSON(line)
		}),
	}
}

type snortJSONParser struct {
	clock  snortClock
	names  text.Recent
	alert  snortJSONAlert
	mended []byte
}

// snortJSONAlert has the fields of alert_json that matter. Which of them are there
// is the administrator's choice; "seconds" is the only clock with a year.
type snortJSONAlert struct {
	values [len(snortJSONFields)]text.Value
	buffer []byte // of texts with escapes
}

var snortJSONFields = [...]string{"timestamp", "seconds", "proto", "rule", "gid", "sid", "priority", "class", "msg", "src_ap", "dst_ap",
	"src_addr", "dst_addr", "src_port", "dst_port", "server_pkts", "server_bytes"}

const (
	snortTimestamp = iota
	snortSeconds
	snortProto
	snortRule
	snortGID
	snortSID
	snortPriority
	snortClass
	snortMsg
	snortSrcAP
	snortDstAP
	snortSrcAddr
	snortDstAddr
	snortSrcPort
	snortDstPort
	snortServerPkts
	snortServerBytes
)

// isSnortJSON tells without decoding whether an object has a source and a rule.
func isSnortJSON(line []byte) bool {
	return text.Contains(line, `"src_a`) && (text.Contains(line, `"rule"`) || text.Contains(line, `"sid"`))
}

func (p *snortJSONParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if !isSnortJSON(line.Bytes) {
		return ev, false, text.WantObject("snort3-json", line.Bytes)
	}
	s := &p.alert
	s.buffer = s.buffer[:0]
	if err := text.Value(p.withoutLeadingComma(line.Bytes)).Fields(snortJSONFields[:], s.values[:]); err != nil {
		return ev, false, text.Malformed("snort3-json", line.Bytes, err)
	}
	a, err := s.read(&p.clock)
	if err != nil {
		return ev, false, text.Malformed("snort3-json", line.Bytes, err)
	}
	if !a.hasSource() {
		return ev, false, nil
	}
	a.event(&ev, "snort3-json", line.File, line.Number, &p.names)
	return ev, true, nil
}

// Flush has nothing to return: every alert is one line.
func (p *snortJSONParser) Flush() (ev event.Event, ok bool, err error) { return }

// withoutLeadingComma mends "{ , "timestamp" …": Snort writes the comma of the
// second field even if the first has no value and is left out.
func (p *snortJSONParser) withoutLeadingComma(line []byte) []byte {
	inner, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("{"))
	if !ok {
		return line
	}
	trimmed := bytes.TrimLeft(inner, " ,")
	if bytes.IndexByte(inner[:len(inner)-len(trimmed)], ',') < 0 {
		return line
	}
	p.mended = append(append(p.mended[:0], '{'), trimmed...)
	return p.mended
}

// text returns a string, or nothing for what is none.
func (s *snortJSONAlert) text(field int) []byte {
	b, _ := s.values[field].Text(&s.buffer)
	return b
}

func (s *snortJSONAlert) read(clock *snortClock) (a idsAlert, err error) {
	a = idsAlert{
		gid: int(number(s.values[snortGID])), sid: int(number(s.values[snortSID])), class: s.text(snortClass), message: s.text(snortMsg),
		priority: 3, // Snort's for rules without a class; the default fields lack it
		protocol: transport(s.text(snortProto)),
		answered: sentData(number(s.values[snortServerPkts]), number(s.values[snortServerBytes])),
	}
	if n, ok := s.values[snortPriority].Int(); ok {
		a.priority = int(n)
	}
	if rule := s.text(snortRule); len(rule) > 0 && !a.ruleID(rule) {
		return a, errors.New("rule: want gid:sid:rev")
	}
	a.cve.find(a.message)
	if a.source, err = endpointOf(s.text(snortSrcAP), s.text(snortSrcAddr), s.values[snortSrcPort].Port()); err == nil {
		a.target, err = endpointOf(s.text(snortDstAP), s.text(snortDstAddr), s.values[snortDstPort].Port())
	}
	if err != nil {
		return a, err
	}
	a.hidePorts()
	a.time, err = s.time(clock)
	return a, err
}

// endpointOf reads "ADDRESS:PORT", or else the two from fields of their own.
// Alerts on what is not IP have an empty address.
func endpointOf(ap, addr []byte, p uint16) (e event.Endpoint, err error) {
	ok := true
	switch {
	case len(ap) > 0 && string(ap) != ":0":
		e, ok = addrPort(ap)
	case len(addr) > 0:
		e.Port = p
		e.Addr, ok = text.AnyAddress(addr)
	}
	if !ok {
		return e, fmt.Errorf("malformed address %q", append(ap[:len(ap):len(ap)], addr...))
	}
	return e, nil
}

// time joins the seconds, which have a year, and the timestamp's decimals.
func (s *snortJSONAlert) time(clock *snortClock) (time.Time, error) {
	stamp, seconds := s.text(snortTimestamp), number(s.values[snortSeconds])
	if seconds <= 0 {
		return clock.read(stamp, true)
	}
	t := time.Unix(seconds, 0).UTC()
	if stamp, err := clock.read(stamp, true); err == nil {
		t = t.Add(time.Duration(stamp.Nanosecond()))
	}
	return t, nil
}

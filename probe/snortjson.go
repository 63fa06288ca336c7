package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/komondor/komondor/event"
)

func snortJSONFormat() Format {
	return Format{
		Name:    "snort3-json",
		Aliases: []string{"snort-json", "alert_json"},
		About:   "alerts of Snort 3 as JSON: alert_json, with any selection of fields",
		New:     func(c Clock) Parser { return &snortJSONParser{clock: c} },
		Recognise: eachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte("{")) && isSnortJSON(line)
		}),
	}
}

type snortJSONParser struct {
	clock Clock
}

// snortJSONAlert has the fields of alert_json that matter. Which of them are there
// is the administrator's choice; "seconds" is the only clock with a year.
type snortJSONAlert struct {
	Timestamp   string `json:"timestamp"`
	Seconds     int64  `json:"seconds"`
	Protocol    string `json:"proto"`
	Rule        string `json:"rule"`
	GID         int    `json:"gid"`
	SID         int    `json:"sid"`
	Priority    *int   `json:"priority"`
	Class       string `json:"class"`
	Message     string `json:"msg"`
	SrcAP       string `json:"src_ap"`
	DstAP       string `json:"dst_ap"`
	SrcAddr     string `json:"src_addr"`
	DstAddr     string `json:"dst_addr"`
	SrcPort     uint16 `json:"src_port"`
	DstPort     uint16 `json:"dst_port"`
	ServerPkts  int64  `json:"server_pkts"`
	ServerBytes int64  `json:"server_bytes"`
}

// isSnortJSON tells without decoding whether an object has a source and a rule.
func isSnortJSON(line []byte) bool {
	return (bytes.Contains(line, []byte(`"src_a`))) &&
		(bytes.Contains(line, []byte(`"rule"`)) || bytes.Contains(line, []byte(`"sid"`)))
}

func (p *snortJSONParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	if !isSnortJSON(line.Bytes) {
		return ev, false, wantObject("snort3-json", line.Bytes)
	}
	var s snortJSONAlert
	if err := json.Unmarshal(withoutLeadingComma(line.Bytes), &s); err != nil {
		return ev, false, malformed("snort3-json", line.Bytes, err)
	}
	a, err := s.alert(p.clock)
	if err != nil {
		return ev, false, malformed("snort3-json", line.Bytes, err)
	}
	if !a.hasSource() {
		return ev, false, nil
	}
	return a.event("snort3-json", line.File, line.Number), true, nil
}

// Flush has nothing to return: every alert is one line.
func (p *snortJSONParser) Flush() (ev event.Event, ok bool, err error) { return }

// withoutLeadingComma mends "{ , "timestamp" …": Snort writes the comma of the
// second field even if the first has no value and is left out.
func withoutLeadingComma(line []byte) []byte {
	inner, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("{"))
	if !ok {
		return line
	}
	trimmed := bytes.TrimLeft(inner, " ,")
	if !bytes.Contains(inner[:len(inner)-len(trimmed)], []byte(",")) {
		return line
	}
	return append([]byte("{"), trimmed...)
}

func (s *snortJSONAlert) alert(clock Clock) (a idsAlert, err error) {
	a = idsAlert{
		gid: s.GID, sid: s.SID, class: []byte(s.Class), message: []byte(s.Message),
		priority: 3, // Snort's for rules without a class; the default fields lack it
		protocol: transport([]byte(s.Protocol)),
		answered: sentData(s.ServerPkts, s.ServerBytes),
	}
	if s.Priority != nil {
		a.priority = *s.Priority
	}
	if s.Rule != "" && !a.ruleID([]byte(s.Rule)) {
		return a, errors.New("rule: want gid:sid:rev")
	}
	a.cve = findCVE(a.message)
	if a.source, err = endpointOf(s.SrcAP, s.SrcAddr, s.SrcPort); err == nil {
		a.target, err = endpointOf(s.DstAP, s.DstAddr, s.DstPort)
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
func endpointOf(ap, addr string, p uint16) (e event.Endpoint, err error) {
	ok := true
	switch {
	case ap != "" && ap != ":0":
		e, ok = addrPort([]byte(ap))
	case addr != "":
		e.Port = p
		e.Addr, ok = anyAddress([]byte(addr))
	}
	if !ok {
		return e, errors.New("malformed address " + ap + addr)
	}
	return e, nil
}

// time joins the seconds, which have a year, and the timestamp's decimals.
func (s *snortJSONAlert) time(clock Clock) (time.Time, error) {
	if s.Seconds <= 0 {
		return clock.snortStamp([]byte(s.Timestamp), true)
	}
	t := time.Unix(s.Seconds, 0).UTC()
	if stamp, err := clock.snortStamp([]byte(s.Timestamp), true); err == nil {
		t = t.Add(time.Duration(stamp.Nanosecond()))
	}
	return t, nil
}

package web

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func haproxyFormat() text.Format {
	return text.Format{
		Name:     "haproxy",
		About:    "HAProxy's HTTP log (option httplog), and its words on connections that failed, also through syslog",
		Programs: []string{"haproxy"},
		New:      func(c text.Clock) text.Parser { return &haproxyParser{clock: haproxyClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r haproxyRecord
			return r.split(line)
		}),
	}
}

type haproxyParser struct {
	clock haproxyClock
}

func (p *haproxyParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r haproxyRecord
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	what, ok := r.finding()
	if !ok {
		return ev, false, nil
	}
	host, n, _ := text.CutLastByte(r.host, ':')
	source := event.Endpoint{}
	source.Port, _ = text.Port(n)
	if source.Addr, ok = text.Address(host); !ok {
		return ev, false, nil // a socket of the host's own
	}
	at, err := p.clock.read(r.stamp)
	if err != nil {
		return ev, false, text.Malformed("haproxy", line.Bytes, err)
	}
	return r.event(what, "haproxy", source, at, line), true, nil
}

// Flush has nothing to return: every request is one line.
func (p *haproxyParser) Flush() (ev event.Event, ok bool, err error) { return }

// haproxyRecord is one of
//
//	[SYSLOG ]IP:PORT [02/Jan/2006:15:04:05.000] FRONTEND BACKEND/SERVER TIMES STATUS BYTES - - TERMINATION … "REQUEST"
//	[SYSLOG ]IP:PORT [02/Jan/2006:15:04:05.000] FRONTEND/SOCKET: MESSAGE
//
// What the client sent stands behind the status, and HAProxy writes quotes in it as #22.
type haproxyRecord struct {
	webRecord
	message []byte // in the place of a request
	counts  []byte // what stands between the status and the request
}

func (r *haproxyRecord) split(line []byte) bool {
	const stamp = len("02/Jan/2006:15:04:05.000")
	if h := (text.Header{}); len(line) > 4 && line[3] == ' ' || len(line) > 11 && line[4] == '-' && line[10] == 'T' {
		if !h.Split(line) || string(h.Process) != "haproxy" {
			return false
		}
		line = h.Message
	}
	host, rest, ok := bytes.Cut(line, []byte(" ["))
	if !ok || len(host) < 3 || len(host) > 64 || bytes.IndexByte(host, ':') < 0 || len(rest) < stamp+2 || rest[stamp] != ']' || rest[2] != '/' {
		return false
	}
	r.host, r.stamp, rest = host, rest[:stamp], rest[stamp+1:]
	frontend, rest, ok := bytes.Cut(text.TrimBlanks(rest), []byte(" "))
	if !ok {
		return false
	}
	if n := len(frontend); n > 0 && frontend[n-1] == ':' {
		r.message = rest
		return true
	}
	var fields [3][]byte // backend/server, times, status
	for i := range fields {
		if fields[i], rest, ok = bytes.Cut(rest, []byte(" ")); !ok {
			return false
		}
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 || len(fields[2]) != 3 {
		return false // of TCP: no request
	}
	r.counts = rest[:quote]
	request := rest[quote+1:]
	r.request, _ = text.CutSuffix(request, `"`)
	r.status, ok = text.Number(fields[2])
	return ok
}

func (r *haproxyRecord) finding() (webFinding, bool) {
	if r.message != nil {
		r.request = r.message
		switch {
		case hasPrefix(r.message, "Stopped a TLSv1 heartbeat attack"):
			return webFinding{event.HTTPExploit, "CVE-2014-0160"}, true
		case hasPrefix(r.message, "SSL handshake failure after heartbeat"):
			return webFinding{event.HTTPExploit, "CVE-2014-0160"}, true
		}
		return webFinding{kind: event.HTTPMalformed}, hasPrefix(r.message, "SSL handshake failure")
	}
	if string(r.request) == "<BADREQ>" {
		// Others sent nothing, or not in time, or left: browsers open connections ahead.
		return webFinding{kind: event.HTTPMalformed}, bytes.Contains(r.counts, []byte(" PR-- "))
	}
	return r.judge()
}

// haproxyClock reads "02/Jan/2006:15:04:05.000", local time. Neighbouring lines mostly share the
// minute, on which zones change their clocks, so the last one is kept.
type haproxyClock struct {
	text.Clock
	minute [17]byte
	start  time.Time
}

func (c *haproxyClock) read(b []byte) (time.Time, error) {
	second, rest, ok := text.Seconds(b[18:])
	if !ok || len(rest) > 0 || second > time.Minute || b[17] != ':' {
		return time.Time{}, text.ErrTimestamp
	}
	if string(b[:17]) != string(c.minute[:]) {
		var w text.WallClock
		var ok1, ok2 bool
		w.Day, ok1 = text.Number(b[:2])
		w.Year, ok2 = text.Number(b[7:11])
		w.Month = text.MonthOf(b[3:6])
		_, ok3 := w.ReadTime(b[12:])
		w.Second, w.Nanosecond = 0, 0
		start, ok := w.In(c.Location())
		if !ok1 || !ok2 || !ok3 || !ok {
			return time.Time{}, text.ErrTimestamp
		}
		copy(c.minute[:], b)
		c.start = start
	}
	return c.start.Add(second), nil
}

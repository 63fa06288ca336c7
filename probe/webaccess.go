package probe

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
)

func webAccessFormat() Format {
	return Format{
		Name:    "web-access",
		Aliases: []string{"nginx", "apache", "nginx-access", "apache-access", "combined", "clf"},
		About:   "access logs of nginx and Apache: common, combined and vhost_combined log format, also through syslog",
		New:     func(c Clock) Parser { return &webAccessParser{} },
		Recognise: eachLine(func(line []byte) bool {
			var r webRecord
			if !r.split(line) {
				return false
			}
			_, err := (&clfClock{}).read(r.stamp)
			return err == nil
		}),
	}
}

type webAccessParser struct {
	clock clfClock
}

func (p *webAccessParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	var r webRecord
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	what, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	source, ok := address(r.host)
	if !ok {
		return ev, false, nil // a name, which its owner chose
	}
	at, err := p.clock.read(r.stamp)
	if err != nil {
		return ev, false, malformed("web-access", line.Bytes, err)
	}
	ev = event.Event{
		Time: at, Kind: what.kind, Severity: what.kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: source}, Vulnerability: what.vulnerability, Detail: text(r.request),
		Sensor: "web-access", File: line.File, Line: line.Number,
	}
	if what.kind == event.HTTPLoginFailed && string(r.user) != "-" {
		ev.User = text(r.user)
	}
	return ev, true, nil
}

// Flush has nothing to return: every request is one line.
func (p *webAccessParser) Flush() (ev event.Event, ok bool, err error) { return }

// webRecord is a line "HOST IDENT USER [STAMP] "REQUEST" STATUS BYTES …". What the
// client chose in it cannot end early: both servers escape quotes inside of it, and
// write the host first and the status behind the request's quote.
type webRecord struct {
	host, user, stamp, request []byte
	status                     int
}

// split reads a line without looking into the host and the stamp: most requests
// are no evidence.
func (r *webRecord) split(line []byte) bool {
	quote := bytes.IndexByte(line, '"')
	if quote < 0 {
		return false
	}
	const stamp = len("[02/Jan/2006:15:04:05 -0700] ")
	at := quote - stamp
	if at < len("::1 - - ") || line[at] != '[' || line[quote-2] != ']' || line[quote-1] != ' ' || line[at-1] != ' ' {
		return false
	}
	r.stamp = line[at+1 : quote-2]
	if !r.client(line[:at-1]) {
		return false
	}
	end := closingQuote(line[quote+1:])
	if end < 0 {
		return false
	}
	r.request = line[quote+1 : quote+1+end]
	rest, ok := cutPrefix(line[quote+1+end+1:], " ")
	if !ok || len(rest) < 3 {
		return false
	}
	r.status, ok = number(rest[:3])
	return ok && (len(rest) == 3 || rest[3] == ' ')
}

// client reads "HOST IDENT USER", which a virtual host's name or a syslog header
// may precede. IDENT is a dash, since no server asks for it any more, so that an
// address in the second place can only follow the name of a virtual host.
func (r *webRecord) client(b []byte) bool {
	host, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return false
	}
	if len(host) == 3 { // "Sep 15 16:13:46 …"
		var h syslogHeader
		if !h.split(b) || !isWebServer(h.process) {
			return false
		}
		return r.client(h.message)
	}
	if second, behind, ok := bytes.Cut(rest, []byte(" ")); ok && string(second) != "-" {
		if _, isAddr := address(second); !isAddr {
			return false
		}
		host, rest = second, behind
	}
	r.host = host
	r.user, ok = cutPrefix(rest, "- ")
	return ok
}

// isWebServer tells whether a syslog tag is a web server's; an instance has its name
// behind a slash.
func isWebServer(process []byte) bool {
	process, _, _ = bytes.Cut(process, []byte("/"))
	switch string(process) {
	case "nginx", "apache", "apache2", "httpd":
		return true
	}
	return false
}

// closingQuote is where the quoted text that b begins with ends; -1 if it does not.
func closingQuote(b []byte) int {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for escapes < i && b[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
		i++
	}
}

// clfClock reads "02/Jan/2006:15:04:05 -0700". Neighbouring lines mostly share
// the minute, so the last one is kept.
type clfClock struct {
	minute, offset [17]byte // as written, the offset filled up with zeros
	start          time.Time
}

func (c *clfClock) read(b []byte) (time.Time, error) {
	const minute = len("02/Jan/2006:15:04")
	if len(b) != len("02/Jan/2006:15:04:05 -0700") || b[minute] != ':' || b[minute+3] != ' ' {
		return time.Time{}, errTimestamp
	}
	second, ok := number(b[minute+1 : minute+3])
	if !ok || second > 60 {
		return time.Time{}, errTimestamp
	}
	if string(b[:minute]) != string(c.minute[:]) || string(b[minute+4:]) != string(c.offset[:5]) {
		start, err := time.Parse("02/Jan/2006:15:04 -0700", string(b[:minute])+string(b[minute+3:]))
		if err != nil {
			return time.Time{}, errTimestamp
		}
		copy(c.minute[:], b)
		copy(c.offset[:], b[minute+4:])
		c.start = start.UTC()
	}
	return c.start.Add(time.Duration(second) * time.Second), nil
}

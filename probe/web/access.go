package web

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func accessFormat() text.Format {
	return text.Format{
		Name:    "web-access",
		Aliases: []string{"nginx", "apache", "nginx-access", "apache-access", "combined", "clf"},
		About:   "access logs of nginx and Apache: common, combined and vhost_combined log format, also through syslog",
		New:     func(c text.Clock) text.Parser { return &webAccessParser{} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r webRecord
			if !r.split(line) {
				return false
			}
			_, err := (&text.CommonClock{}).Read(r.stamp)
			return err == nil
		}),
	}
}

type webAccessParser struct {
	clock   text.CommonClock
	proxies []netip.Prefix
}

// Trust has the clients of these proxies blamed in their place; see forwarded.
func (p *webAccessParser) Trust(proxies []netip.Prefix) { p.proxies = proxies }

func (p *webAccessParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r webRecord
	if !r.split(line.Bytes) {
		return ev, false, nil
	}
	what, ok := r.judge()
	if !ok {
		return ev, false, nil
	}
	source, ok := text.Address(r.host)
	if ok && contains(p.proxies, source) {
		source, ok = r.forwarded(p.proxies)
	}
	if !ok {
		return ev, false, nil // a name, which its owner chose
	}
	at, err := p.clock.Read(r.stamp)
	if err != nil {
		return ev, false, text.Malformed("web-access", line.Bytes, err)
	}
	return r.event(what, "web-access", event.Endpoint{Addr: source}, at, line), true, nil
}

// Flush has nothing to return: every request is one line.
func (p *webAccessParser) Flush() (ev event.Event, ok bool, err error) { return }

// event is what a request is evidence of: the answer went to where it came from.
func (r *webRecord) event(what webFinding, sensor string, source event.Endpoint, at time.Time, line text.Line) event.Event {
	ev := event.Event{
		Time: at, Kind: what.kind, Severity: what.kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: source, Vulnerability: what.vulnerability, Detail: text.String(r.request),
		Sensor: sensor, File: line.File, Line: line.Number,
	}
	if what.kind == event.HTTPLoginFailed && string(r.user) != "-" {
		ev.User = text.String(r.user)
	}
	return ev
}

// webRecord is a line "HOST IDENT USER [STAMP] "REQUEST" STATUS BYTES …". What the
// client chose in it cannot end early: both servers escape quotes inside of it, and
// write the host first and the status behind the request's quote.
type webRecord struct {
	host, user, stamp, request []byte
	status                     int
	rest                       []byte // behind the status
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
	rest, ok := text.CutPrefix(line[quote+1+end+1:], " ")
	if !ok || len(rest) < 3 {
		return false
	}
	r.status, ok = text.Number(rest[:3])
	r.rest = rest[3:]
	return ok && (len(rest) == 3 || rest[3] == ' ')
}

// client reads "HOST IDENT USER", which a virtual host's name or a syslog header
// may precede. IDENT is a dash, since no server asks for it any more, so that an
// address in the second place can only follow the name of a virtual host. Where the first is an
// address as well, one of them may be X-Forwarded-For, and nobody knows which.
func (r *webRecord) client(b []byte) bool {
	host, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return false
	}
	if len(host) == 3 { // "Sep 15 16:13:46 …"
		var h text.Header
		if !h.Split(b) || !isWebServer(h.Process) {
			return false
		}
		return r.client(h.Message)
	}
	if second, behind, ok := bytes.Cut(rest, []byte(" ")); ok && string(second) != "-" {
		_, isAddr := text.Address(second)
		if _, both := text.Address(host); both || !isAddr {
			return false
		}
		host, rest = second, behind
	}
	r.host = host
	r.user, ok = text.CutPrefix(rest, "- ")
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

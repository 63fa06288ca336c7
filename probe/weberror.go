package probe

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
)

func webErrorFormat() Format {
	return Format{
		Name:    "web-error",
		Aliases: []string{"nginx-error", "apache-error"},
		About:   "error logs of nginx and Apache, also through syslog: refused logins, malformed requests",
		New:     func(c Clock) Parser { return &webErrorParser{clock: c} },
		Recognise: eachLine(func(line []byte) bool {
			var e webError
			if !e.split(line) {
				return false
			}
			_, err := e.time(Clock{})
			return err == nil
		}),
	}
}

type webErrorParser struct {
	clock Clock
}

func (p *webErrorParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	var e webError
	if !e.split(line.Bytes) {
		return ev, false, nil
	}
	kind, ok := e.judge()
	if !ok {
		return ev, false, nil
	}
	source, ok := e.source()
	if !ok {
		return ev, false, nil
	}
	at, err := e.time(p.clock)
	if err != nil {
		return ev, false, malformed("web-error", line.Bytes, err)
	}
	return event.Event{
		Time: at, Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: source, User: text(e.user), Detail: text(e.message), Vulnerability: e.vulnerability,
		Sensor: "web-error", File: line.File, Line: line.Number,
	}, true, nil
}

// Flush has nothing to return: every error is one line.
func (p *webErrorParser) Flush() (ev event.Event, ok bool, err error) { return }

// webError is a line of an error log:
//
//	nginx   2006/01/02 15:04:05 [error] PID#TID: *N MESSAGE, client: IP, server: …, request: "…", host: "…"
//	Apache  [Mon Jan 02 15:04:05.999999 2006] [module:error] [pid N:tid N] [client IP:PORT] AHnnnnn: MESSAGE
//
// nginx escapes nothing of what the client chose, so the client's address is
// believed only where its label stands once in the line.
type webError struct {
	nginx   bool
	stamp   []byte
	client  []byte // nginx: from the address on; Apache: the address, and its port since 2.4
	message []byte
	user    []byte
	// header is where Apache's own stamp was left to syslog.
	header syslogHeader

	vulnerability string
}

func (e *webError) split(line []byte) bool {
	if len(line) > 3 && line[3] == ' ' || len(line) > 10 && line[4] == '-' && line[10] == 'T' {
		if !e.header.split(line) || !isWebServer(e.header.process) {
			return false
		}
		line = e.header.message
	}
	if len(line) < 30 {
		return false
	}
	if line[0] == '[' {
		return e.splitApache(line)
	}
	return e.splitNginx(line)
}

func (e *webError) splitNginx(line []byte) bool {
	const stamp = len("2006/01/02 15:04:05")
	if line[4] != '/' || line[7] != '/' || line[stamp] != ' ' || line[stamp+1] != '[' {
		return false
	}
	_, rest, ok := bytes.Cut(line[stamp:], []byte(": *"))
	if !ok {
		return false // of the server itself, not of a connection
	}
	id, rest, ok := bytes.Cut(rest, []byte(" "))
	if _, isNumber := digits(id); !ok || len(isNumber) > 0 {
		return false
	}
	const label = ", client: "
	message, client, ok := bytes.Cut(rest, []byte(label))
	if !ok || bytes.Contains(client, []byte(label)) {
		return false
	}
	e.nginx, e.stamp, e.message, e.client = true, line[:stamp], message, client
	return true
}

func (e *webError) splitApache(line []byte) bool {
	rest := line
	if end := bytes.IndexByte(line, ']'); end >= len("[Mon Jan 02 15:04:05 2006") {
		e.stamp, rest = line[1:end], trimBlanks(line[end+1:])
	} else if e.header.stamp == nil {
		return false
	}
	// What stands in brackets is Apache's own: level, process, client.
	for {
		field, ok := cutPrefix(rest, "[")
		if !ok {
			return false
		}
		client, isClient := cutPrefix(field, "client ")
		if !isClient {
			client, isClient = cutPrefix(field, "remote ")
		}
		// IPv6 addresses with a port are in brackets of their own.
		end := bytes.IndexByte(field, ']')
		if isClient && len(client) > 0 && client[0] == '[' {
			end = bytes.IndexByte(field, ']') + 1
			end += bytes.IndexByte(field[end:], ']')
		}
		if end < 0 || end >= len(field) {
			return false
		}
		rest = trimBlanks(field[end+1:])
		if isClient {
			e.client, e.message = field[len("client "):end], rest
			return true
		}
	}
}

// source is the address of the client.
func (e *webError) source() (from event.Endpoint, ok bool) {
	if e.nginx {
		host, _, _ := bytes.Cut(e.client, []byte(","))
		from.Addr, ok = address(host)
		return from, ok
	}
	if from, ok = bracketed(e.client); ok {
		return from, true
	}
	if from.Addr, ok = address(e.client); ok {
		return from, true
	}
	host, n, ok := cutLast(e.client, ":")
	if !ok {
		return from, false
	}
	if from.Port, ok = port(n); ok {
		from.Addr, ok = address(host)
	}
	return from, ok
}

func (e *webError) time(c Clock) (time.Time, error) {
	if e.stamp == nil {
		return (&syslogClock{Clock: c}).read(&e.header)
	}
	var w wallClock
	var ok bool
	if e.nginx { // 2006/01/02 15:04:05
		var ok1, ok2, ok3 bool
		w.year, ok1 = number(e.stamp[:4])
		w.month, ok2 = number(e.stamp[5:7])
		w.day, ok3 = number(e.stamp[8:10])
		_, ok = w.clockTime(e.stamp[11:])
		ok = ok && ok1 && ok2 && ok3
	} else { // Mon Jan 02 15:04:05.999999 2006
		b := e.stamp[4:]
		year, ok1 := number(b[len(b)-4:])
		day, ok2 := number(bytes.TrimLeft(b[4:6], " "))
		rest, ok3 := w.clockTime(b[7 : len(b)-4])
		w.year, w.month, w.day = year, monthOf(b[:3]), day
		ok = ok1 && ok2 && ok3 && string(rest) == " "
	}
	if !ok {
		return time.Time{}, errTimestamp
	}
	t, ok := w.in(c.zone())
	if !ok {
		return time.Time{}, errTimestamp
	}
	return t, nil
}

// judge says what the message is evidence of.
func (e *webError) judge() (event.Kind, bool) {
	m := e.message
	if code, rest, ok := bytes.Cut(m, []byte(": ")); ok && len(code) == len("AH01618") && string(code[:2]) == "AH" {
		m = rest
	}
	switch {
	case e.refusedLogin(m):
		return event.HTTPLoginFailed, true
	case e.sought(m):
		return event.HTTPScan, true
	case hasPrefix(m, "client denied by server configuration: ", "Authorization of user ", "client used wrong authentication scheme: ", "Hostname ", "No hostname was provided via SNI"):
		return event.HTTPRefused, true
	case hasPrefix(m, "Invalid URI in request ", "invalid URI path (", "Invalid method in request ", "request failed: URI too long",
		"request failed: erroneous characters after protocol string",
		"SSL_do_handshake() failed (SSL: error:", "SSL_read() failed (SSL: error:", "client sent invalid "):
		return event.HTTPMalformed, true
	}
	return "", false
}

// sought reads a search for a program that is not here.
func (e *webError) sought(m []byte) bool {
	for _, form := range [...]string{"File does not exist: ", "script not found or unable to stat: ", "script '", "stderr from "} {
		if path, ok := cutPrefix(m, form); ok {
			path, _, _ = bytes.Cut(path, []byte(", referer: "))
			path = bytes.TrimSuffix(path, []byte("' not found or unable to stat"))
			path = bytes.TrimSuffix(path, []byte(": script not found or unable to stat"))
			var lower [maxTarget]byte
			e.vulnerability = soughtIn(unescape(lower[:0], path))
			return e.vulnerability != ""
		}
	}
	return false
}

// refusedLogin reads what both servers say of basic and digest authentication.
func (e *webError) refusedLogin(m []byte) bool {
	if name, ok := cutPrefix(m, `user "`); ok { // nginx
		if e.user, ok = cutSuffix(name, `": password mismatch`); ok {
			return true
		}
		e.user, _, ok = bytes.Cut(name, []byte(`" was not found in "`))
		return ok
	}
	if name, ok := cutPrefix(m, "PAM: user '"); ok {
		e.user, _, ok = cutLast(name, "' - not authenticated")
		return ok
	}
	m, _ = cutPrefix(m, "Digest: ")
	name, ok := cutPrefix(m, "user ")
	if !ok {
		// A nonce whose hash is wrong is what a browser shows after the server was restarted.
		return hasPrefix(m, "unknown algorithm `", "invalid qop `", "realm mismatch - ") ||
			hasPrefix(m, "invalid nonce ") && (bytes.HasSuffix(m, []byte("user attempted time travel")) || bytes.Contains(m, []byte(" received - length is not ")))
	}
	for _, form := range [...]string{" not found", ": authentication failure for ", ": authorization failure for ", ": password mismatch: ", "' in realm `", " denied by provider"} {
		if before, _, ok := bytes.Cut(name, []byte(form)); ok {
			e.user = bytes.TrimPrefix(before, []byte("`"))
			return true
		}
	}
	return false
}

func hasPrefix(b []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if _, ok := cutPrefix(b, p); ok {
			return true
		}
	}
	return false
}

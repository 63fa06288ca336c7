package web

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func errorFormat() text.Format {
	return text.Format{
		Name:     "web-error",
		Aliases:  []string{"nginx-error", "apache-error"},
		About:    "error logs of nginx and Apache, also through syslog: refused logins, malformed requests",
		Programs: []string{"nginx", "apache2", "httpd", "apache"},
		New:      func(c text.Clock) text.Parser { return &webErrorParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			var e webError
			if !e.split(line) {
				return false
			}
			_, err := e.time(text.Clock{})
			return err == nil
		}),
	}
}

type webErrorParser struct {
	clock    text.Clock
	line     webError
	unsure   int // how many bytes more may be of a program's words that nginx has written
	users    text.Recent
	messages text.Recent
}

// nginxMost is how much nginx writes at once, in bytes (NGX_MAX_ERROR_STR).
const nginxMost = 2048

func (p *webErrorParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	e := &p.line
	*e = webError{}
	ok = e.split(line.Bytes)
	proof := p.proof(line.Bytes)
	if !ok {
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
		return ev, false, text.Malformed("web-error", line.Bytes, err)
	}
	return event.Event{
		Time: at, Kind: kind, Severity: kind.Severity(), Count: 1, Proof: proof, Protocol: "tcp",
		Source: source, User: p.users.String(e.user), Detail: p.messages.String(e.message), Vulnerability: p.vulnerability(),
		Attempt: text.String(e.request),
		Sensor:  "web-error", File: line.File, Line: line.Number,
	}, true, nil
}

// Flush has nothing to return: every error is one line.
func (p *webErrorParser) Flush() (ev event.Event, ok bool, err error) { return }

// vulnerability names ModSecurity's rule, if it was one that spoke.
func (p *webErrorParser) vulnerability() string {
	if p.line.ruleID == nil {
		return p.line.vulnerability
	}
	var room [len("modsecurity:9999999")]byte
	return p.messages.String(append(append(room[:0], "modsecurity:"...), p.line.ruleID...))
}

// proof is what the line that was split proves of the client. Behind a FastCGI program's words, line
// breaks and all, whole lines can be some client's, as far as nginx writes at once.
func (p *webErrorParser) proof(line []byte) event.Proof {
	proof := event.Handshake
	if p.unsure > 0 && p.line.nginx && p.line.header.Stamp == nil {
		proof = event.Spoofable
	}
	p.unsure = max(p.unsure-len(line)-1, 0)
	if p.line.passesOn() {
		p.unsure = max(p.unsure, nginxMost-len(line)-1)
	}
	return proof
}

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
	// words are what nginx says of a connection, with what follows them.
	words []byte
	// header is where Apache's own stamp was left to syslog.
	header text.Header

	vulnerability string // where the path shows it
	ruleID        []byte // ModSecurity's
	request       []byte // ModSecurity's name of the request, of which it can say several things
}

func (e *webError) split(line []byte) bool {
	if len(line) > 3 && line[3] == ' ' || len(line) > 10 && line[4] == '-' && line[10] == 'T' {
		if !e.header.Split(line) || !isWebServer(e.header.Process) {
			return false
		}
		line = e.header.Message
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
	if _, isNumber := text.Digits(id); !ok || len(isNumber) > 0 {
		return false
	}
	const label = ", client: "
	e.words = rest
	message, client, ok := bytes.Cut(rest, []byte(label))
	if !ok || bytes.Contains(client, []byte(label)) {
		return false
	}
	e.nginx, e.stamp, e.message, e.client = true, line[:stamp], message, client
	return true
}

// passesOn tells whether the line has words of another program in it, which may have line breaks. (A user's
// name may as well, but it ends at a colon, which each line of the log has.) syslog leaves no line breaks.
func (e *webError) passesOn() bool {
	return e.header.Stamp == nil && hasPrefix(e.words, "FastCGI sent in stderr", "[lua] ", "js: ")
}

func (e *webError) splitApache(line []byte) bool {
	rest := line
	if end := bytes.IndexByte(line, ']'); end >= len("[Mon Jan 02 15:04:05 2006") {
		e.stamp, rest = line[1:end], text.TrimBlanks(line[end+1:])
	} else if e.header.Stamp == nil {
		return false
	}
	// What stands in brackets is Apache's own: level, process, client.
	for {
		field, ok := text.CutPrefix(rest, "[")
		if !ok {
			return false
		}
		client, isClient := text.CutPrefix(field, "client ")
		if !isClient {
			client, isClient = text.CutPrefix(field, "remote ")
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
		rest = text.TrimBlanks(field[end+1:])
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
		host, _ = text.CutSuffix(host, " using starttls") // of the mail proxy
		from.Addr, ok = text.Address(host)
		return from, ok
	}
	if from, ok = text.Bracketed(e.client); ok {
		return from, true
	}
	if from.Addr, ok = text.Address(e.client); ok {
		return from, true
	}
	host, n, ok := text.CutLastByte(e.client, ':')
	if !ok {
		return from, false
	}
	if from.Port, ok = text.Port(n); ok {
		from.Addr, ok = text.Address(host)
	}
	return from, ok
}

func (e *webError) time(c text.Clock) (time.Time, error) {
	if e.stamp == nil {
		return (&text.HeaderClock{Clock: c}).Read(&e.header)
	}
	var w text.WallClock
	var ok bool
	if e.nginx { // 2006/01/02 15:04:05
		var ok1, ok2, ok3 bool
		w.Year, ok1 = text.Number(e.stamp[:4])
		w.Month, ok2 = text.Number(e.stamp[5:7])
		w.Day, ok3 = text.Number(e.stamp[8:10])
		_, ok = w.ReadTime(e.stamp[11:])
		ok = ok && ok1 && ok2 && ok3
	} else { // Mon Jan 02 15:04:05.999999 2006
		b := e.stamp[4:]
		year, ok1 := text.Number(b[len(b)-4:])
		day, ok2 := text.Number(bytes.TrimLeft(b[4:6], " "))
		rest, ok3 := w.ReadTime(b[7 : len(b)-4])
		w.Year, w.Month, w.Day = year, text.MonthOf(b[:3]), day
		ok = ok1 && ok2 && ok3 && string(rest) == " "
	}
	if !ok {
		return time.Time{}, text.ErrTimestamp
	}
	t, ok := w.In(c.Location())
	if !ok {
		return time.Time{}, text.ErrTimestamp
	}
	return t, nil
}

// judge says what the message is evidence of.
func (e *webError) judge() (event.Kind, bool) {
	m := e.message
	if code, rest, ok := bytes.Cut(m, []byte(": ")); ok && len(code) == len("AH01618") && string(code[:2]) == "AH" {
		m = rest
	}
	if m, ok := modsecurity(m); ok {
		return e.rule(m)
	}
	switch {
	case e.refusedLogin(m):
		return event.HTTPLoginFailed, true
	case e.nginx && hasPrefix(m, "client login failed: "): // of nginx' mail proxy
		return event.MailLoginFailed, true
	case e.nginx && hasPrefix(m, "limiting requests, excess: ", "limiting connections by zone ", "access forbidden by rule"):
		return event.HTTPRefused, true
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
		if path, ok := text.CutPrefix(m, form); ok {
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
	if name, ok := text.CutPrefix(m, `user "`); ok { // nginx
		if e.user, ok = text.CutSuffix(name, `": password mismatch`); ok {
			return true
		}
		e.user, _, ok = bytes.Cut(name, []byte(`" was not found in "`))
		return ok
	}
	if name, ok := text.CutPrefix(m, "PAM: user '"); ok {
		e.user, _, ok = text.CutLast(name, "' - not authenticated")
		return ok
	}
	m, _ = text.CutPrefix(m, "Digest: ")
	name, ok := text.CutPrefix(m, "user ")
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
		if _, ok := text.CutPrefix(b, p); ok {
			return true
		}
	}
	return false
}

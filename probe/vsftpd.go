package probe

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
)

func vsftpdFormat() Format {
	return Format{
		Name:    "vsftpd",
		Aliases: []string{"ftp"},
		About:   "vsftpd's own log (xferlog_std_format=NO), also through syslog",
		New:     func(c Clock) Parser { return &vsftpdParser{clock: c, syslog: syslogClock{Clock: c}} },
		Recognise: eachLine(func(line []byte) bool {
			var r vsftpdRecord
			return r.split(line)
		}),
	}
}

type vsftpdParser struct {
	clock  Clock
	syslog syslogClock
}

func (p *vsftpdParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	var r vsftpdRecord
	if !r.split(line.Bytes) || !r.failed() {
		return ev, false, nil
	}
	source, ok := address(r.client)
	if !ok {
		return ev, false, nil
	}
	at, err := r.time(p)
	if err != nil {
		return ev, false, malformed("vsftpd", line.Bytes, err)
	}
	return event.Event{
		Time: at, Kind: event.FTPLoginFailed, Severity: event.FTPLoginFailed.Severity(), Count: 1,
		Proof: event.Handshake, Protocol: "tcp", Source: event.Endpoint{Addr: source}, User: text(r.user),
		Target: event.Endpoint{Port: 21},
		Sensor: "vsftpd", File: line.File, Line: line.Number,
	}, true, nil
}

// Flush has nothing to return: every event of vsftpd's is one line.
func (p *vsftpdParser) Flush() (ev event.Event, ok bool, err error) { return }

// vsftpdRecord is "Mon Jan  2 15:04:05 2006 [pid N] [USER] RESULT: Client "IP"", where a
// syslog header can stand in the place of what is before USER. vsftpd writes the names
// of users and files as they came, so a line in which a client is named twice is
// given up.
type vsftpdRecord struct {
	stamp                []byte
	header               syslogHeader // where stamp is nil
	user, result, client []byte
}

func (r *vsftpdRecord) split(line []byte) (ok bool) {
	const stamp = len("Mon Jan  2 15:04:05 2006")
	var rest []byte
	at := bytes.Index(line[:min(len(line), stamp+len(" [pid "))], []byte(" [pid "))
	if at >= stamp-1 {
		r.stamp = line[:at]
		if _, rest, ok = bytes.Cut(line[at:], []byte("] ")); !ok {
			return false
		}
	} else {
		if !r.header.split(line) || !isVsftpd(r.header.process) {
			return false
		}
		rest = r.header.message
	}
	const label = `: Client "`
	result, client, ok := bytes.Cut(rest, []byte(label))
	if !ok {
		return r.stamp == nil && r.pam(rest)
	}
	if bytes.Contains(client, []byte(label)) {
		return false
	}
	r.result = result
	if name, ok := cutPrefix(result, "["); ok {
		if r.user, r.result, ok = cutLast(name, "] "); !ok {
			return false
		}
	}
	r.client, _, ok = bytes.Cut(client, []byte(`"`))
	return ok
}

// pam reads what PAM says of a refused login: "…authentication failure; … ruser=NAME
// rhost=HOST[  user=NAME]". The names are the client's choice, so the host counts
// only where it is named once.
func (r *vsftpdRecord) pam(b []byte) bool {
	const label = " rhost="
	what, host, ok := bytes.Cut(b, []byte(label))
	if !ok || bytes.Contains(host, []byte(label)) || !bytes.Contains(what, []byte("authentication failure; logname=")) {
		return false
	}
	r.client, host, _ = bytes.Cut(host, []byte(" "))
	_, r.user, _ = bytes.Cut(host, []byte("user="))
	r.result = []byte("FAIL LOGIN")
	return true
}

// isVsftpd tells whether a syslog tag is vsftpd's, or PAM's in it.
func isVsftpd(process []byte) bool {
	return string(process) == "vsftpd" || string(process) == "vsftpd(pam_unix)"
}

func (r *vsftpdRecord) failed() bool { return string(r.result) == "FAIL LOGIN" }

func (r *vsftpdRecord) time(p *vsftpdParser) (time.Time, error) {
	if r.stamp == nil {
		return p.syslog.read(&r.header)
	}
	b := r.stamp[4:] // Jan  2 15:04:05 2006
	var w wallClock
	year, ok1 := number(b[len(b)-4:])
	at := bytes.IndexByte(b, ':') - 2
	if at < 6 || len(b) < at+13 {
		return time.Time{}, errTimestamp
	}
	day, ok2 := number(bytes.Trim(b[4:at-1], " "))
	_, ok3 := w.clockTime(b[at : at+8])
	w.year, w.month, w.day = year, monthOf(b[:3]), day
	t, ok := w.in(p.clock.zone())
	if !ok1 || !ok2 || !ok3 || !ok {
		return time.Time{}, errTimestamp
	}
	return t, nil
}

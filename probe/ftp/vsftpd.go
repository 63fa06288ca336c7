package ftp

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func vsftpdFormat() text.Format {
	return text.Format{
		Name:     "vsftpd",
		Aliases:  []string{"ftp"},
		About:    "vsftpd's own log (xferlog_std_format=NO), also through syslog",
		Programs: []string{"vsftpd"},
		New:      func(c text.Clock) text.Parser { return &vsftpdParser{clock: c, syslog: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var r vsftpdRecord
			return r.split(line)
		}),
	}
}

type vsftpdParser struct {
	clock  text.Clock
	syslog text.HeaderClock
}

func (p *vsftpdParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var r vsftpdRecord
	if !r.split(line.Bytes) || !r.failed() {
		return ev, false, nil
	}
	source, ok := text.Address(r.client)
	if !ok {
		return ev, false, nil
	}
	at, err := r.time(p)
	if err != nil {
		return ev, false, text.Malformed("vsftpd", line.Bytes, err)
	}
	return event.Event{
		Time: at, Kind: event.FTPLoginFailed, Severity: event.FTPLoginFailed.Severity(), Count: 1,
		Proof: event.Handshake, Protocol: "tcp", Source: event.Endpoint{Addr: source}, User: text.String(r.user),
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
	header               text.Header // where stamp is nil
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
		if !r.header.Split(line) || !isVsftpd(r.header.Process) {
			return false
		}
		rest = r.header.Message
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
	if name, ok := text.CutPrefix(result, "["); ok {
		if r.user, r.result, ok = text.CutLast(name, "] "); !ok {
			return false
		}
	}
	r.client, client, ok = bytes.Cut(client, []byte(`"`))
	if string(r.result) == "FTP response" && string(client) == `, "530 Permission denied."` { // a user on the list of those who may not
		r.result = []byte("FAIL LOGIN")
	}
	return ok
}

// pam reads what PAM says of a refused login.
func (r *vsftpdRecord) pam(b []byte) (ok bool) {
	r.client, r.user, ok = text.PAMFailure(b)
	r.result = []byte("FAIL LOGIN")
	return ok
}

// isVsftpd tells whether a syslog tag is vsftpd's, or PAM's in it.
func isVsftpd(process []byte) bool {
	return string(process) == "vsftpd" || string(process) == "vsftpd(pam_unix)"
}

func (r *vsftpdRecord) failed() bool { return string(r.result) == "FAIL LOGIN" }

func (r *vsftpdRecord) time(p *vsftpdParser) (time.Time, error) {
	if r.stamp == nil {
		return p.syslog.Read(&r.header)
	}
	b := r.stamp[4:] // Jan  2 15:04:05 2006
	var w text.WallClock
	year, ok1 := text.Number(b[len(b)-4:])
	at := bytes.IndexByte(b, ':') - 2
	if at < 6 || len(b) < at+13 {
		return time.Time{}, text.ErrTimestamp
	}
	day, ok2 := text.Number(bytes.Trim(b[4:at-1], " "))
	_, ok3 := w.ReadTime(b[at : at+8])
	w.Year, w.Month, w.Day = year, text.MonthOf(b[:3]), day
	t, ok := w.In(p.clock.Location())
	if !ok1 || !ok2 || !ok3 || !ok {
		return time.Time{}, text.ErrTimestamp
	}
	return t, nil
}

package ftp

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func sftpgoFormat() text.Format {
	return text.Format{
		Name:  "sftpgo",
		About: "SFTPGo's log (JSON): refused logins by SFTP, FTP, WebDAV and HTTP",
		New:   func(c text.Clock) text.Parser { return &sftpgoParser{clock: c} },
		Recognise: text.EachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte(`{"level":"`)) && bytes.Contains(line, []byte(`"sender":"`))
		}),
	}
}

type sftpgoParser struct {
	clock  text.Clock
	values [5]text.Value
	buffer []byte
	users  text.Recent
}

var sftpgoFields = []string{"time", "sender", "client_ip", "username", "protocol"}

// Parse reads records of the sender "connection_failed" (logger.ConnectionFailedLog), which
// SFTPGo writes for fail2ban's like.
func (p *sftpgoParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if !text.Contains(line.Bytes, `"sender":"connection_failed"`) {
		return ev, false, text.WantObject("sftpgo", line.Bytes)
	}
	p.buffer = p.buffer[:0]
	if err := text.Value(line.Bytes).Fields(sftpgoFields, p.values[:]); err != nil {
		return ev, false, text.Malformed("sftpgo", line.Bytes, err)
	}
	host, _ := p.values[2].Text(&p.buffer)
	source, ok := text.Address(host)
	if !ok {
		return ev, false, nil
	}
	stamp, _ := p.values[0].Text(&p.buffer)
	at, err := p.clock.ISO(stamp)
	if err != nil {
		return ev, false, text.Malformed("sftpgo", line.Bytes, err)
	}
	user, _ := p.values[3].Text(&p.buffer)
	protocol, _ := p.values[4].Text(&p.buffer)
	kind, port := event.FTPLoginFailed, uint16(0)
	switch string(protocol) {
	case "SSH", "SFTP":
		kind, port = event.SSHLoginFailed, 22
	case "FTP":
		port = 21
	case "HTTP", "DAV", "OIDC":
		kind = event.HTTPLoginFailed
	}
	return event.Event{
		Time: at, Kind: kind, Severity: kind.Severity(), Count: 1, Proof: event.Handshake, Protocol: "tcp",
		Source: event.Endpoint{Addr: source}, Target: event.Endpoint{Port: port}, User: p.users.String(user),
		Sensor: "sftpgo", File: line.File, Line: line.Number,
	}, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *sftpgoParser) Flush() (ev event.Event, ok bool, err error) { return }

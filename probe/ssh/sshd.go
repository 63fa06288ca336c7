package ssh

import (
	"bytes"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

func sshdFormat() text.Format {
	return text.Format{
		Name:     "sshd",
		Aliases:  []string{"sshd-syslog", "auth"},
		About:    "OpenSSH's lines in a syslog file: auth.log, secure, messages (RFC 3164, RFC 3339 timestamps, RFC 5424)",
		Programs: []string{"sshd", "sshd-session", "sshd-auth"},
		New:      func(c text.Clock) text.Parser { return &sshdParser{clock: text.HeaderClock{Clock: c}} },
		Recognise: text.EachLine(func(line []byte) bool {
			var h text.Header
			if !h.Split(line) || !isSSHD(h.Process) {
				return false
			}
			_, err := (&text.HeaderClock{}).Read(&h)
			return err == nil
		}),
	}
}

type sshdParser struct {
	clock text.HeaderClock
	log   sshLog
}

func (p *sshdParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	var h text.Header
	if !h.Split(line.Bytes) {
		if headless(line.Bytes) {
			return ev, false, text.Malformed("sshd", line.Bytes, text.ErrNoHeader)
		}
		return ev, false, nil
	}
	if !isSSHD(h.Process) {
		return ev, false, nil
	}
	if !p.log.read(h.Process, h.PID, h.Message, &ev) {
		return ev, false, nil
	}
	if ev.Time, err = p.clock.Read(&h); err != nil {
		return event.Event{}, false, text.Malformed("sshd", line.Bytes, err)
	}
	ev.Sensor, ev.File, ev.Line = "sshd", line.File, line.Number
	return ev, true, nil
}

// Flush has nothing to return: every event of sshd's is one line.
func (p *sshdParser) Flush() (ev event.Event, ok bool, err error) { return }

// isSSHD tells whether a process is OpenSSH's: one program until 9.7, then the
// listener sshd and a session for each connection.
func isSSHD(process []byte) bool {
	switch string(process) {
	case "sshd", "sshd-session", "sshd-auth":
		return true
	}
	return false
}

// headless tells whether a line without a syslog header has sshd's tag in it all
// the same: the start of a file that was cut in the middle of a line.
func headless(line []byte) bool {
	line = line[:min(len(line), 100)]
	for _, tag := range [][]byte{[]byte("sshd["), []byte("sshd-session[")} {
		if i := bytes.Index(line, tag); i >= 0 {
			end := bytes.Index(line[i:], []byte("]: "))
			if end < 0 {
				continue
			}
			if _, ok := text.Number(line[i+len(tag) : i+end]); ok {
				return true
			}
		}
	}
	return false
}

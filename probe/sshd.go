package probe

import (
	"bytes"

	"github.com/komondor/komondor/event"
)

func sshdFormat() Format {
	return Format{
		Name:    "sshd",
		Aliases: []string{"syslog", "sshd-syslog", "auth"},
		About:   "OpenSSH's lines in a syslog file: auth.log, secure, messages (RFC 3164, RFC 3339 timestamps, RFC 5424)",
		New:     func(c Clock) Parser { return &sshdParser{clock: syslogClock{Clock: c}} },
		Recognise: eachLine(func(line []byte) bool {
			var h syslogHeader
			if !h.split(line) {
				return false
			}
			_, err := (&syslogClock{}).read(&h)
			return err == nil
		}),
	}
}

type sshdParser struct {
	clock syslogClock
	log   sshLog
}

func (p *sshdParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	var h syslogHeader
	if !h.split(line.Bytes) {
		if headless(line.Bytes) {
			return ev, false, malformed("sshd", line.Bytes, errNoHeader)
		}
		return ev, false, nil
	}
	if !isSSHD(h.process) {
		return ev, false, nil
	}
	if !p.log.read(h.process, h.pid, h.message, &ev) {
		return ev, false, nil
	}
	if ev.Time, err = p.clock.read(&h); err != nil {
		return event.Event{}, false, malformed("sshd", line.Bytes, err)
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
			if _, ok := number(line[i+len(tag) : i+end]); ok {
				return true
			}
		}
	}
	return false
}

package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/komondor/komondor/event"
)

func journaldFormat() Format {
	return Format{
		Name:    "journald",
		Aliases: []string{"journal", "journald-json"},
		About:   "OpenSSH's entries in the systemd journal, as journalctl -o json prints them",
		New:     func(Clock) Parser { return &journaldParser{} },
		Recognise: eachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"__REALTIME_TIMESTAMP"`))
		}),
	}
}

type journaldParser struct {
	log sshLog
}

// journalEntry has the fields of an entry that matter. Those that begin with an
// underscore are journald's own; the others a client may have made up
// (systemd.journal-fields).
type journalEntry struct {
	Message    journalField `json:"MESSAGE"`
	Identifier journalField `json:"SYSLOG_IDENTIFIER"`
	SyslogPID  journalField `json:"SYSLOG_PID"`
	Comm       journalField `json:"_COMM"`
	Unit       journalField `json:"_SYSTEMD_UNIT"`
	UID        journalField `json:"_UID"`
	PID        journalField `json:"_PID"`
	Source     journalField `json:"_SOURCE_REALTIME_TIMESTAMP"`
	Received   journalField `json:"__REALTIME_TIMESTAMP"`
}

func (p *journaldParser) Parse(line Line) (ev event.Event, ok bool, err error) {
	if !mayBeSSHEntry(line.Bytes) {
		return ev, false, nil
	}
	var e journalEntry
	if err := json.Unmarshal(line.Bytes, &e); err != nil {
		return ev, false, malformed("journald", line.Bytes, err)
	}
	process, ok := e.process()
	if !ok {
		return ev, false, nil
	}
	messages, err := e.Message.values()
	if err != nil {
		return ev, false, malformed("journald", line.Bytes, fmt.Errorf("MESSAGE: %w", err))
	}
	pid := e.PID.first()
	if len(pid) == 0 {
		pid = e.SyslogPID.first()
	}
	for _, message := range messages {
		if !p.log.read(process, pid, message, &ev) {
			continue
		}
		if ev.Time, err = e.time(); err != nil {
			return event.Event{}, false, malformed("journald", line.Bytes, err)
		}
		ev.Sensor, ev.File, ev.Line = "journald", line.File, line.Number
		return ev, true, nil
	}
	return ev, false, nil
}

// Flush has nothing to return: every entry is one line.
func (p *journaldParser) Flush() (ev event.Event, ok bool, err error) { return }

// mayBeSSHEntry tells without decoding whether an entry can be evidence. A quote
// inside a string is escaped, so `"MESSAGE":"` can only be the field's name.
func mayBeSSHEntry(line []byte) bool {
	if !bytes.Contains(line, []byte(`"sshd`)) {
		return false
	}
	const name = `"MESSAGE":"`
	i := bytes.Index(line, []byte(name))
	if i < 0 {
		return true // an array, or written with blanks
	}
	message := line[i+len(name):]
	if end := bytes.IndexAny(message[:min(len(message), 80)], `"\`); end >= 0 {
		if message[end] == '\\' {
			return true // an escape close to the beginning
		}
		message = message[:end]
	}
	_, message = repetitions(message)
	form, _ := sshFormOf(message)
	return form != nil
}

// process returns the name of the OpenSSH process that the entry comes from. Any
// program may call itself sshd in SYSLOG_IDENTIFIER, so this counts only where
// journald did not record the program; and any user may name a program sshd, so
// it must be root's or belong to sshd's unit.
func (e *journalEntry) process() (name []byte, ok bool) {
	if name = e.Comm.first(); len(name) == 0 {
		name = e.Identifier.first()
	}
	if !isSSHD(name) {
		return nil, false
	}
	uid := e.UID.first()
	return name, len(uid) == 0 || string(uid) == "0" || bytes.HasPrefix(e.Unit.first(), []byte("ssh"))
}

// time is when sshd wrote the message, or else when journald got it.
func (e *journalEntry) time() (time.Time, error) {
	stamp := e.Source.first()
	if len(stamp) == 0 {
		stamp = e.Received.first()
	}
	us, err := strconv.ParseInt(string(stamp), 10, 64)
	if err != nil || us < 0 {
		return time.Time{}, fmt.Errorf("__REALTIME_TIMESTAMP %q: want microseconds since 1970", stamp)
	}
	return time.UnixMicro(us).UTC(), nil
}

// journalField is a field as it stands in the entry. journalctl writes a string;
// an array of bytes where that is not UTF-8 or not printable; null where it is too
// large; an array of those where the field occurs several times.
type journalField struct{ json.RawMessage }

// first returns the field's first value, or nothing.
func (f journalField) first() []byte {
	values, err := f.values()
	if err != nil || len(values) == 0 {
		return nil
	}
	return values[0]
}

func (f journalField) values() (values [][]byte, err error) {
	raw := []json.RawMessage{f.RawMessage}
	if len(f.RawMessage) > 0 && f.RawMessage[0] == '[' && !isByteArray(f.RawMessage) {
		if err := json.Unmarshal(f.RawMessage, &raw); err != nil {
			return nil, err
		}
	}
	for _, r := range raw {
		if len(r) == 0 || string(r) == "null" {
			continue
		}
		value, err := journalValue(r)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func isByteArray(data []byte) bool {
	inner := bytes.TrimLeft(data[1:], " \t")
	return len(inner) > 0 && inner[0] >= '0' && inner[0] <= '9'
}

// journalValue reads a string or an array of bytes.
func journalValue(data []byte) ([]byte, error) {
	if data[0] == '[' && isByteArray(data) {
		var numbers []journalByte
		if err := json.Unmarshal(data, &numbers); err != nil {
			return nil, err
		}
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			if n > 255 {
				return nil, fmt.Errorf("%d is no byte", n)
			}
			b[i] = byte(n)
		}
		return b, nil
	}
	if n := len(data); n >= 2 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 {
		return data[1 : n-1], nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%s: want a string or an array of bytes", beginning(data))
	}
	return []byte(s), nil
}

// journalByte is a byte written as a number: encoding/json takes a []uint8 for
// base64.
type journalByte uint16

package probe

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// journaldFormat reads the journal with the formats of the programs that write to it.
func journaldFormat(formats []text.Format) text.Format {
	return text.Format{
		Name:    "journald",
		Aliases: []string{"journal", "journald-json"},
		About:   "the systemd journal as journalctl -o json prints it: whichever programs have a format here, and the kernel",
		New:     func(c text.Clock) text.Parser { return &journaldParser{programs: newPrograms(formats, c)} },
		Recognise: text.EachLine(func(line []byte) bool {
			return bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"__REALTIME_TIMESTAMP"`))
		}),
	}
}

// journaldParser turns entries into lines as syslog would have written them.
type journaldParser struct {
	programs programs
	fields   [10]text.Value
	stamps   stampWriter
	texts    []byte // unescaped fields
	line     []byte // in syslog's form
}

// journalFields are the fields of an entry that matter. Those that begin with an underscore
// are journald's own; the others a client may have made up (systemd.journal-fields).
var journalFields = []string{"MESSAGE", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "_COMM", "_SYSTEMD_UNIT", "_UID", "_PID", "_TRANSPORT",
	"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"}

const (
	fieldMessage = iota
	fieldIdentifier
	fieldSyslogPID
	fieldComm
	fieldUnit
	fieldUID
	fieldPID
	fieldTransport
	fieldSource
	fieldReceived
)

func (p *journaldParser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	if !p.concerns(line.Bytes) {
		return ev, false, text.WantObject("journald", line.Bytes)
	}
	p.texts = p.texts[:0]
	if err := text.Value(line.Bytes).Fields(journalFields, p.fields[:]); err != nil {
		return ev, false, text.Malformed("journald", line.Bytes, err)
	}
	name, readers := p.author()
	if len(readers) == 0 || bytes.ContainsAny(name, " :") {
		return ev, false, nil
	}
	at, timeErr := p.microseconds()
	pid := p.first(fieldPID)
	if len(pid) == 0 {
		pid = p.first(fieldSyslogPID)
	}
	p.line = append(p.stamps.append(p.line[:0], at), " - "...)
	p.line = append(p.line, name...)
	if len(pid) > 0 && len(pid) < 12 {
		p.line = append(append(append(p.line, '['), pid...), ']')
	}
	p.line = append(p.line, ": "...)
	head := len(p.line)
	valueErr := p.values(p.fields[fieldMessage], func(message []byte) bool {
		p.line = append(p.line[:head], message...)
		ev, ok, err = readers.parse(text.Line{File: line.File, Number: line.Number, Bytes: p.line})
		return !ok && err == nil
	})
	switch {
	case valueErr != nil:
		return event.Event{}, false, text.Malformed("journald", line.Bytes, fmt.Errorf("MESSAGE: %w", valueErr))
	case ok && timeErr != nil:
		return event.Event{}, false, text.Malformed("journald", line.Bytes, timeErr)
	case ok:
		ev.Sensor = "journald"
	}
	return ev, ok, err
}

// Flush has nothing to return: every entry is one line.
func (p *journaldParser) Flush() (ev event.Event, ok bool, err error) { return }

// concerns tells without decoding whether a program that we read may have written the entry:
// one that names itself otherwise, and runs under another name, is none. A quote inside a
// string is escaped, so `"_COMM":"` can only be the field's name. The kernel names itself so.
func (p *journaldParser) concerns(line []byte) bool {
	const itself, program = `"SYSLOG_IDENTIFIER":"`, `"_COMM":"`
	for _, field := range [...]string{itself, program} {
		_, value, ok := text.Cut(line, field)
		if !ok {
			continue
		}
		name, _, ok := text.CutByte(value[:min(len(value), 80)], '"')
		if !ok || len(p.programs.of(name)) > 0 || bytes.IndexByte(name, '\\') >= 0 {
			return true
		}
		if field == program {
			return false
		}
	}
	return text.Contains(line, `MESSAGE"`) // without names, or written with blanks
}

// author returns the name of the program that wrote the entry, and who reads it. Any program
// may call itself what it likes in SYSLOG_IDENTIFIER, and any user may name a program
// sshd. So an entry is believed that is root's, or that of a system unit which is named
// after the program; and sshd's only if it was sshd, where journald has recorded that.
func (p *journaldParser) author() (name []byte, found readers) {
	if string(p.first(fieldTransport)) == "kernel" {
		return []byte("kernel"), p.programs["kernel"]
	}
	name, comm := p.first(fieldIdentifier), p.first(fieldComm)
	if len(name) == 0 || text.IsProgram(name, sshd) || text.IsProgram(comm, sshd) {
		if len(comm) > 0 {
			name = comm
		}
	}
	found = p.programs.of(name)
	uid := p.first(fieldUID)
	if len(found) == 0 || len(uid) == 0 || string(uid) == "0" {
		return name, found
	}
	unit := p.first(fieldUnit)
	if base, _, ok := bytes.Cut(unit, []byte("@")); ok {
		unit = base
	} else {
		unit = bytes.TrimSuffix(bytes.TrimSuffix(unit, []byte(".service")), []byte(".socket"))
	}
	kind, _, _ := bytes.Cut(unit, []byte("-")) // "openvpn-server"
	for _, r := range found {
		if text.IsProgram(unit, r.names) || text.IsProgram(kind, r.names) || r.format == "sshd" && string(unit) == "ssh" {
			return name, found
		}
	}
	return name, nil
}

var sshd = []string{"sshd", "sshd-"}

// microseconds since 1970 is when the program wrote the message, or else when journald got it.
func (p *journaldParser) microseconds() (int64, error) {
	stamp := p.first(fieldSource)
	if len(stamp) == 0 {
		stamp = p.first(fieldReceived)
	}
	us, ok := text.Value(stamp).Int()
	if !ok || us < 0 || us > 1<<53 {
		return 0, fmt.Errorf("__REALTIME_TIMESTAMP %q: want microseconds since 1970", stamp)
	}
	return us, nil
}

// stampWriter writes timestamps as RFC 3339 has them, and keeps the minute.
type stampWriter struct {
	minute int64
	text   []byte
}

func (w *stampWriter) append(b []byte, us int64) []byte {
	const perMinute = 60 * 1e6
	if minute := us / perMinute; minute != w.minute || w.text == nil {
		w.minute, w.text = minute, time.UnixMicro(us).UTC().AppendFormat(w.text[:0], "2006-01-02T15:04:")
	}
	us %= perMinute
	digits := [...]byte{'0' + byte(us/1e7), '0' + byte(us/1e6%10), '.', 0, 0, 0, 0, 0, 0, 'Z'}
	for i := 8; i > 2; i-- {
		digits[i] = '0' + byte(us%10)
		us /= 10
	}
	return append(append(b, w.text...), digits[:]...)
}

// first returns a field's first value, or nothing.
func (p *journaldParser) first(field int) (value []byte) {
	if s, ok := p.fields[field].Text(&p.texts); ok {
		return s
	}
	_ = p.values(p.fields[field], func(v []byte) bool {
		value = v
		return false
	})
	return value
}

var errJournalValue = errors.New("want a string or an array of bytes")

// values calls yield with each value of a field, until it returns false. journalctl writes a
// string; an array of bytes where that is not UTF-8 or not printable; null where it is too
// large; an array of those where the field occurs several times.
func (p *journaldParser) values(field text.Value, yield func([]byte) bool) (err error) {
	one := func(v text.Value) (more bool) {
		if len(v) == 0 || string(v) == "null" {
			return true
		}
		s, ok := p.value(v)
		if !ok {
			err = fmt.Errorf("%s: %w", text.Beginning(v), errJournalValue)
			return false
		}
		return yield(s)
	}
	if len(field) < 2 || field[0] != '[' || isByteArray(field) {
		one(field)
		return err
	}
	return errors.Join(field.Elements(one), err)
}

// value reads a string or an array of bytes.
func (p *journaldParser) value(v text.Value) (s []byte, ok bool) {
	if v[0] != '[' {
		return v.Text(&p.texts)
	}
	start := len(p.texts)
	err := v.Elements(func(v text.Value) bool {
		var n int64
		n, ok = v.Int()
		ok = ok && n >= 0 && n <= 255
		p.texts = append(p.texts, byte(n))
		return ok
	})
	return p.texts[start:], ok && err == nil
}

func isByteArray(v text.Value) bool {
	inner := bytes.TrimLeft(v[1:], " \t")
	return len(inner) > 0 && inner[0] >= '0' && inner[0] <= '9'
}

// Package zeek reads the logs of the Zeek network monitor: conn.log, notice.log, ssh.log and
// ftp.log, as tab-separated values and as JSON.
package zeek

import (
	"bytes"
	"errors"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// Formats lists the formats of this package.
func Formats() []text.Format {
	return []text.Format{{
		Name:      "zeek",
		Aliases:   []string{"bro"},
		About:     "Zeek's conn.log, notice.log, ssh.log and ftp.log, tab-separated or JSON",
		New:       func(c text.Clock) text.Parser { return &parser{clock: c} },
		Recognise: recognise,
	}}
}

func recognise(sample []byte) int {
	fields := false
	return text.EachLine(func(line []byte) bool {
		if len(line) == 0 {
			return false
		}
		switch line[0] {
		case '#':
			_, is := text.CutPrefix(line, "#fields\tts\tuid\t")
			fields = fields || is
			return fields || bytes.HasPrefix(line, []byte("#separator ")) || bytes.HasPrefix(line, []byte("#path\t"))
		case '{':
			return bytes.Contains(line, []byte(`"ts":`)) &&
				(bytes.Contains(line, []byte(`"uid":"`)) || bytes.Contains(line, []byte(`"note":"`)))
		}
		return fields
	})(sample)
}

// The fields that matter, of all logs.
const (
	ts = iota
	origHost
	origPort
	respHost
	respPort
	proto
	connState
	localOrig
	note
	msg
	sub
	src
	dst
	port
	authSuccess
	authAttempts
	direction
	user
	command
	replyCode
	wanted
)

var names = []string{
	"ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "conn_state", "local_orig",
	"note", "msg", "sub", "src", "dst", "p", "auth_success", "auth_attempts", "direction", "user", "command", "reply_code",
}

type parser struct {
	clock  text.Clock
	table  table
	values [wanted]text.Value // of a JSON record
	buffer []byte
}

// record has the fields of a line, nil where they are not set.
type record [wanted][]byte

// Begin reads the fields' names from how a file begins, where reading goes on behind it.
func (p *parser) Begin(head []byte) {
	for line := range bytes.Lines(head) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 && line[0] == '#' {
			p.table.header(line)
		}
	}
}

var errFields = errors.New("no #fields line before it: which field is which?")

func (p *parser) Parse(line text.Line) (ev event.Event, ok bool, err error) {
	b := bytes.TrimSuffix(line.Bytes, []byte("\r"))
	if len(b) == 0 {
		return ev, false, nil
	}
	var r record
	switch {
	case b[0] == '#':
		p.table.header(b)
		return ev, false, nil
	case b[0] == '{':
		if err := p.json(b, &r); err != nil {
			return ev, false, text.Malformed("zeek", b, err)
		}
	case !p.table.known:
		if b[0] == '\t' { // no log of Zeek's begins so
			return ev, false, nil
		}
		return ev, false, text.Malformed("zeek", b, errFields)
	default:
		if err := p.table.row(b, &r); err != nil {
			return ev, false, text.Malformed("zeek", b, err)
		}
	}
	if ev, ok = r.event(); !ok {
		return event.Event{}, false, nil
	}
	if ev.Time, err = p.time(r[ts]); err != nil {
		return event.Event{}, false, text.Malformed("zeek", b, err)
	}
	ev.Severity, ev.Sensor, ev.File, ev.Line = ev.Kind.Severity(), "zeek", line.File, line.Number
	return ev, true, nil
}

// Flush has nothing to return: every record is one line.
func (p *parser) Flush() (ev event.Event, ok bool, err error) { return }

// json reads a record of a JSON log. Numbers and words come as they stand.
func (p *parser) json(b []byte, r *record) error {
	if err := text.Value(b).Fields(names, p.values[:]); err != nil {
		return err
	}
	p.buffer = p.buffer[:0]
	for i, v := range p.values {
		if s, ok := v.Text(&p.buffer); ok {
			r[i] = s
		} else if v != nil && v[0] != '"' && v[0] != '[' && v[0] != '{' && string(v) != "null" {
			r[i] = v
		}
	}
	return nil
}

// time reads seconds since 1970 with decimals, or the ISO 8601 that Zeek can write into
// JSON.
func (p *parser) time(b []byte) (time.Time, error) {
	if len(b) > 10 && b[4] == '-' {
		return p.clock.ISO(b)
	}
	whole, decimals := text.Digits(b)
	if len(whole) == 0 || len(whole) > 12 {
		return time.Time{}, text.ErrTimestamp
	}
	var seconds, nanoseconds int64
	for _, c := range whole {
		seconds = seconds*10 + int64(c-'0')
	}
	if len(decimals) > 0 {
		if decimals[0] != '.' {
			return time.Time{}, text.ErrTimestamp
		}
		digits, rest := text.Digits(decimals[1:])
		if len(rest) > 0 {
			return time.Time{}, text.ErrTimestamp
		}
		for i := range 9 {
			nanoseconds *= 10
			if i < len(digits) {
				nanoseconds += int64(digits[i] - '0')
			}
		}
	}
	return time.Unix(seconds, nanoseconds).UTC(), nil
}

package probe

import (
	"bytes"
	"errors"
	"time"
)

var errNoHeader = errors.New("no syslog header: is this where the line begins?")

// syslogHeader is what stands before a message in a syslog file: RFC 3164 (the
// traditional file format), the same with an RFC 3339 timestamp (rsyslog's
// default today), or RFC 5424.
type syslogHeader struct {
	stamp []byte
	iso   bool
	// process is the name in the tag, which the logging program chose for
	// itself; the message can never set it.
	process []byte
	pid     []byte
	message []byte
}

// split splits a line into its header and message, without reading the
// timestamp: most lines are not evidence, and theirs never matters.
func (h *syslogHeader) split(line []byte) (ok bool) {
	if len(line) > 0 && line[0] == '<' { // the priority, as sent over the network
		end := bytes.IndexByte(line[:min(len(line), 5)], '>')
		if end < 2 {
			return false
		}
		line = line[end+1:]
		if rest, ok := bytes.CutPrefix(line, []byte("1 ")); ok {
			return h.splitRFC5424(rest)
		}
	}
	if len(line) < 20 {
		return false
	}
	end := 0
	switch {
	case line[3] == ' ' && line[15] == ' ':
		end = 15
	case line[3] == ' ' && line[14] == ' ': // "Nov 2 15:40:14": the day is not padded
		end = 14
	case line[4] == '-' && line[10] == 'T':
		end, h.iso = bytes.IndexByte(line[:min(len(line), 40)], ' '), true
	}
	if end <= 0 {
		return false
	}
	h.stamp = line[:end]
	return h.splitTag(line[end+1:])
}

// splitTag reads "HOST TAG: message". The host can be missing, and BSD and
// BusyBox write the priority by name before or behind it.
func (h *syslogHeader) splitTag(b []byte) bool {
	for host := false; ; {
		end := bytes.IndexByte(b, ' ')
		if end <= 0 {
			return false
		}
		token := b[:end]
		b = b[end+1:]
		switch {
		case token[end-1] == ':':
			h.process = token[:end-1]
			if bracket := bytes.LastIndexByte(token, '['); bracket > 0 && token[end-2] == ']' {
				h.process, h.pid = token[:bracket], token[bracket+1:end-2]
			}
			h.message = trimBlanks(b)
			return true
		case token[0] == '<' && token[end-1] == '>':
		case !host:
			host = true
		case !namesPriority(token):
			return false // a second word that is no tag: kernel notes, "last message repeated"
		}
	}
}

// namesPriority tells whether a word is a priority like "auth.info".
func namesPriority(word []byte) bool {
	facility, severity, ok := bytes.Cut(word, []byte("."))
	if !ok {
		return false
	}
	switch string(facility) {
	case "auth", "authpriv", "security", "daemon", "user", "syslog":
	default:
		return false
	}
	switch string(severity) {
	case "debug", "info", "notice", "warn", "warning", "err", "error", "crit", "alert", "emerg":
		return true
	}
	return false
}

// splitRFC5424 reads what follows "<PRI>1 ": STAMP HOST APP PID MSGID DATA MESSAGE.
func (h *syslogHeader) splitRFC5424(b []byte) (ok bool) {
	var fields [5][]byte
	for i := range fields {
		end := bytes.IndexByte(b[:min(len(b), 300)], ' ')
		if end < 1 {
			return false
		}
		fields[i], b = b[:end], b[end+1:]
	}
	h.stamp, h.iso, h.process = fields[0], true, fields[2]
	if string(fields[3]) != "-" {
		h.pid = fields[3]
	}
	if b, ok = skipStructuredData(b); !ok {
		return false
	}
	h.message = trimBlanks(bytes.TrimPrefix(trimBlanks(b), []byte("\xEF\xBB\xBF")))
	return true
}

// skipStructuredData skips "-" or "[id name="value" …][…]"; values escape '"',
// '\' and ']' with a backslash (RFC 5424, 6.3.3).
func skipStructuredData(b []byte) (rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '-' {
		return b[1:], true
	}
	quoted, inside := false, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case inside && c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' && !inside:
			inside = true
		case c == ']' && inside:
			inside = false
		case !inside:
			return b[i:], i > 0 && c == ' '
		}
	}
	return nil, len(b) > 0 && !inside
}

// syslogClock reads the timestamps of syslog headers. Neighbouring lines mostly
// share theirs up to the seconds, so the last minute is kept: zones change their
// clocks on the minute.
type syslogClock struct {
	Clock
	minute []byte // what stands before the seconds, and
	offset []byte // behind them
	start  time.Time
}

func (c *syslogClock) read(h *syslogHeader) (t time.Time, err error) {
	at := len(h.stamp) - len("05")
	if h.iso {
		at = len("2006-01-02T15:04:")
	}
	if len(h.stamp) > at && string(h.stamp[:at]) == string(c.minute) {
		if d, rest, ok := seconds(h.stamp[at:]); ok && d < time.Minute && string(rest) == string(c.offset) {
			return c.start.Add(d), nil
		}
	}
	if h.iso {
		t, err = c.iso(h.stamp)
	} else {
		t, err = c.traditional(h.stamp)
	}
	if err != nil {
		return t, err
	}
	if d, rest, ok := seconds(h.stamp[at:]); ok && d < time.Minute { // a leap second is the next minute's
		c.minute, c.offset, c.start = append(c.minute[:0], h.stamp[:at]...), append(c.offset[:0], rest...), t.Add(-d)
	}
	return t, nil
}

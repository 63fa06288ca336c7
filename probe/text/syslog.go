package text

import (
	"bytes"
	"errors"
	"time"
)

var ErrNoHeader = errors.New("no syslog header: is this where the line begins?")

// Header is what stands before a message in a syslog file: RFC 3164 (the
// traditional file format), the same with an RFC 3339 timestamp (rsyslog's
// default today), or RFC 5424.
type Header struct {
	Stamp []byte
	ISO   bool
	// Process is the name in the tag, which the logging program chose for
	// itself; the message can never set it.
	Process []byte
	PID     []byte
	Message []byte
	// Tagged is the message with its tag, where the header has one.
	Tagged []byte
}

// Split splits a line into its header and message, without reading the
// timestamp: most lines are not evidence, and theirs never matters.
func (h *Header) Split(line []byte) (ok bool) {
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
		end, h.ISO = bytes.IndexByte(line[:min(len(line), 40)], ' '), true
	}
	if end <= 0 {
		return false
	}
	h.Stamp = line[:end]
	return h.splitTag(line[end+1:])
}

// splitTag reads "HOST TAG: message". The host can be missing, and BSD and
// BusyBox write the priority by name before or behind it.
func (h *Header) splitTag(b []byte) bool {
	for host := false; ; {
		end := bytes.IndexByte(b, ' ')
		if end <= 0 {
			return false
		}
		token, tagged := b[:end], b
		b = b[end+1:]
		switch {
		case token[end-1] == ':':
			h.Tagged = tagged
			h.Process = token[:end-1]
			if bracket := bytes.LastIndexByte(token, '['); bracket > 0 && token[end-2] == ']' {
				h.Process, h.PID = token[:bracket], token[bracket+1:end-2]
			}
			h.Message = TrimBlanks(b)
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
func (h *Header) splitRFC5424(b []byte) (ok bool) {
	var fields [5][]byte
	for i := range fields {
		end := bytes.IndexByte(b[:min(len(b), 300)], ' ')
		if end < 1 {
			return false
		}
		fields[i], b = b[:end], b[end+1:]
	}
	h.Stamp, h.ISO, h.Process = fields[0], true, fields[2]
	if string(fields[3]) != "-" {
		h.PID = fields[3]
	}
	if b, ok = skipStructuredData(b); !ok {
		return false
	}
	h.Message = TrimBlanks(bytes.TrimPrefix(TrimBlanks(b), []byte("\xEF\xBB\xBF")))
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

// HeaderClock reads the timestamps of syslog headers. Neighbouring lines mostly
// share theirs up to the seconds, so the last minute is kept: zones change their
// clocks on the minute.
type HeaderClock struct {
	Clock
	minute []byte // what stands before the seconds, and
	offset []byte // behind them
	start  time.Time
}

func (c *HeaderClock) Read(h *Header) (t time.Time, err error) {
	at := len(h.Stamp) - len("05")
	if h.ISO {
		at = len("2006-01-02T15:04:")
	}
	if at < 0 {
		return t, ErrTimestamp
	}
	if len(h.Stamp) > at && string(h.Stamp[:at]) == string(c.minute) {
		if d, rest, ok := Seconds(h.Stamp[at:]); ok && d < time.Minute && string(rest) == string(c.offset) {
			return c.start.Add(d), nil
		}
	}
	if h.ISO {
		t, err = c.ISO(h.Stamp)
	} else {
		t, err = c.Traditional(h.Stamp)
	}
	if err != nil {
		return t, err
	}
	if d, rest, ok := Seconds(h.Stamp[at:]); ok && d < time.Minute { // a leap second is the next minute's
		c.minute, c.offset, c.start = append(c.minute[:0], h.Stamp[:at]...), append(c.offset[:0], rest...), t.Add(-d)
	}
	return t, nil
}

// Repetitions strips what syslog daemons wrap around a message: rsyslog's
// "message repeated 2 times: [ … ]" and the message number of Solaris.
func Repetitions(message []byte) (count int, _ []byte) {
	count, message = 1, TrimEnd(message)
	if len(message) == 0 || message[0] != 'm' && message[0] != '[' {
		return count, message
	}
	if rest, ok := CutPrefix(message, "message repeated "); ok {
		times, inner, ok := bytes.Cut(rest, []byte(" times: ["))
		n, isNumber := Number(times)
		if inner, closed := CutSuffix(inner, "]"); ok && isNumber && n > 0 && closed {
			count, message = n, bytes.Trim(inner, " ")
		}
	}
	if bytes.HasPrefix(message, []byte("[ID ")) {
		if i := bytes.Index(message, []byte("] ")); i > 0 && i < 40 {
			message = message[i+2:]
		}
	}
	return count, message
}

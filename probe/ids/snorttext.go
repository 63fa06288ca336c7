package ids

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// What the text formats of Snort and Suricata share.

// snortClock reads the timestamps of Snort and Suricata. Neighbouring alerts mostly share theirs up to
// the seconds, so the last minute is kept: zones change their clocks on the minute.
type snortClock struct {
	text.Clock
	minute []byte // what stands before the seconds
	snort3 bool
	start  time.Time
}

func (c *snortClock) read(b []byte, snort3 bool) (time.Time, error) {
	at := bytes.LastIndexByte(b, ':') + 1
	second, rest, ok := text.Seconds(b[at:])
	kept := ok && len(rest) == 0 && second < time.Minute // a leap second is the next minute's
	if kept && at > 0 && snort3 == c.snort3 && string(b[:at]) == string(c.minute) {
		return c.start.Add(second), nil
	}
	t, err := snortStamp(c.Clock, b, snort3)
	if err == nil && kept {
		c.minute, c.snort3, c.start = append(c.minute[:0], b[:at]...), snort3, t.Add(-second)
	}
	return t, err
}

// snortStamp reads the timestamps of Snort and Suricata:
// "MM/DD-15:04:05.000000", with -y "MM/DD/YY-…" (Snort 2) or "YY/MM/DD-…" (Snort
// 3), and "MM/DD/YYYY-…" (Suricata). Snort writes the year as its distance from
// 2000, so 1970, where captures without a clock begin, is -30.
func snortStamp(c text.Clock, b []byte, snort3 bool) (time.Time, error) {
	i := bytes.LastIndexByte(b, '-')
	if i < 0 {
		return time.Time{}, text.ErrTimestamp
	}
	var w text.WallClock
	if rest, ok := w.ReadTime(b[i+1:]); !ok || len(rest) > 0 {
		return time.Time{}, text.ErrTimestamp
	}
	first, rest, ok := bytes.Cut(b[:i], []byte("/"))
	second, third, hasYear := bytes.Cut(rest, []byte("/"))
	if !ok {
		return time.Time{}, text.ErrTimestamp
	}
	if hasYear && snort3 && len(third) != 4 {
		first, second, third = second, third, first
	}
	var ok1, ok2 bool
	w.Month, ok1 = text.Number(first)
	w.Day, ok2 = text.Number(second)
	if !ok1 || !ok2 {
		return time.Time{}, text.ErrTimestamp
	}
	var t time.Time
	if hasYear {
		year, before := bytes.CutPrefix(third, []byte("-"))
		if w.Year, ok = text.Number(year); !ok {
			return t, text.ErrTimestamp
		}
		if before {
			w.Year = -w.Year
		}
		if len(third) != 4 {
			w.Year += 2000
		}
		t, ok = w.In(c.Location())
	} else {
		t, ok = c.Nearest(w)
	}
	if !ok {
		return time.Time{}, text.ErrTimestamp
	}
	return t, nil
}

// addresses reads "A[:P]" and "B[:Q]". Suricata writes ports always; Snort for TCP
// and UDP, but not for their fragments.
func (a *idsAlert) addresses(from, to []byte, suricata bool) bool {
	var ok1, ok2 bool
	if suricata || a.protocol == "tcp" || a.protocol == "udp" {
		a.source, ok1 = addrPort(from)
		a.target, ok2 = addrPort(to)
	}
	if !suricata && !(ok1 && ok2) {
		a.source, a.target = event.Endpoint{}, event.Endpoint{}
		a.source.Addr, ok1 = text.AnyAddress(from)
		a.target.Addr, ok2 = text.AnyAddress(to)
	}
	a.hidePorts()
	return ok1 && ok2
}

// labels reads "[Classification: C] [Priority: N]" wherever they stand in b; the first of
// each counts.
func (a *idsAlert) labels(b []byte) {
	var class, priority []byte
	for i := bytes.IndexByte(b, '['); i >= 0; i = bytes.IndexByte(b, '[') {
		b = b[i+1:]
		if value, is := text.CutPrefix(b, "Classification: "); is && class == nil {
			class = label(value)
		} else if value, is := text.CutPrefix(b, "Priority: "); is && priority == nil {
			priority = label(value)
		}
	}
	if class != nil {
		a.class = class
	}
	if priority != nil {
		a.priority, _ = text.Number(priority)
	}
}

// label returns what stands before the bracket that closes a label; nil where none does.
func label(b []byte) []byte {
	value, _, ok := text.CutByte(b, ']')
	if !ok {
		return nil
	}
	return value
}

// title reads "[GID:SID:REV] MESSAGE" between the two "[**]" of an alert. Snort 2
// can put the interface before the message, as "<eth0> "; Snort 3 puts the
// message in double quotes.
func (a *idsAlert) title(b []byte) (snort3, ok bool) {
	id, message, ok := text.CutByte(b, ']')
	if !ok || len(id) == 0 || id[0] != '[' || !a.ruleID(id[1:]) {
		return false, false
	}
	message = text.TrimBlanks(text.TrimEnd(message))
	if len(message) > 0 && message[0] == '<' {
		if end := bytes.Index(message, []byte("> ")); end > 0 {
			message = bytes.TrimLeft(message[end+2:], " ")
		}
	}
	if n := len(message); n >= 2 && message[0] == '"' && message[n-1] == '"' {
		message, snort3 = message[1:n-1], true
	}
	a.message = message
	return snort3, true
}

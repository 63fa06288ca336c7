package probe

import (
	"bytes"
	"time"

	"github.com/komondor/komondor/event"
)

// What the text formats of Snort and Suricata share.

// snortStamp reads the timestamps of Snort and Suricata:
// "MM/DD-15:04:05.000000", with -y "MM/DD/YY-…" (Snort 2) or "YY/MM/DD-…" (Snort
// 3), and "MM/DD/YYYY-…" (Suricata). Snort writes the year as its distance from
// 2000, so 1970, where captures without a clock begin, is -30.
func (c Clock) snortStamp(b []byte, snort3 bool) (time.Time, error) {
	i := bytes.LastIndexByte(b, '-')
	if i < 0 {
		return time.Time{}, errTimestamp
	}
	var w wallClock
	if rest, ok := w.clockTime(b[i+1:]); !ok || len(rest) > 0 {
		return time.Time{}, errTimestamp
	}
	first, rest, ok := bytes.Cut(b[:i], []byte("/"))
	second, third, hasYear := bytes.Cut(rest, []byte("/"))
	if !ok {
		return time.Time{}, errTimestamp
	}
	if hasYear && snort3 && len(third) != 4 {
		first, second, third = second, third, first
	}
	var ok1, ok2 bool
	w.month, ok1 = number(first)
	w.day, ok2 = number(second)
	if !ok1 || !ok2 {
		return time.Time{}, errTimestamp
	}
	var t time.Time
	if hasYear {
		year, before := bytes.CutPrefix(third, []byte("-"))
		if w.year, ok = number(year); !ok {
			return t, errTimestamp
		}
		if before {
			w.year = -w.year
		}
		if len(third) != 4 {
			w.year += 2000
		}
		t, ok = w.in(c.zone())
	} else {
		t, ok = c.nearest(w)
	}
	if !ok {
		return time.Time{}, errTimestamp
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
		a.source.Addr, ok1 = anyAddress(from)
		a.target.Addr, ok2 = anyAddress(to)
	}
	a.hidePorts()
	return ok1 && ok2
}

// labels reads "[Classification: C] [Priority: N]" wherever they stand in b.
func (a *idsAlert) labels(b []byte) {
	if class, ok := label(b, "[Classification: "); ok {
		a.class = class
	}
	if priority, ok := label(b, "[Priority: "); ok {
		a.priority, _ = number(priority)
	}
}

func label(b []byte, name string) ([]byte, bool) {
	i := bytes.Index(b, []byte(name))
	if i < 0 {
		return nil, false
	}
	value, _, ok := bytes.Cut(b[i+len(name):], []byte("]"))
	return value, ok
}

// title reads "[GID:SID:REV] MESSAGE" between the two "[**]" of an alert. Snort 2
// can put the interface before the message, as "<eth0> "; Snort 3 puts the
// message in double quotes.
func (a *idsAlert) title(b []byte) (snort3, ok bool) {
	id, message, ok := bytes.Cut(b, []byte("]"))
	if !ok || len(id) == 0 || id[0] != '[' || !a.ruleID(id[1:]) {
		return false, false
	}
	message = bytes.TrimSpace(message)
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

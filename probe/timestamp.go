package probe

import (
	"bytes"
	"errors"
	"strings"
	"time"
)

var errTimestamp = errors.New("malformed timestamp")

func (c Clock) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c Clock) zone() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}

// wallClock is a timestamp as written, perhaps without a year.
type wallClock struct {
	year, month, day     int
	hour, minute, second int
	nanosecond           int
}

// in returns the time in a zone, in UTC; ok is false for a date or time of day
// that does not exist. A leap second is the next minute's first.
func (w wallClock) in(zone *time.Location) (t time.Time, ok bool) {
	if w.month < 1 || w.month > 12 || w.day < 1 || w.hour > 23 || w.minute > 59 || w.second > 60 {
		return t, false
	}
	if last := time.Date(w.year, time.Month(w.month)+1, 0, 0, 0, 0, 0, time.UTC); w.day > last.Day() {
		return t, false
	}
	return time.Date(w.year, time.Month(w.month), w.day, w.hour, w.minute, w.second, w.nanosecond, zone).UTC(), true
}

// nearest gives a timestamp without a year the nearest one: the latest in which
// it exists and lies at most a day ahead of now, so that both a log read after
// New Year and a clock slightly ahead come out right.
func (c Clock) nearest(w wallClock) (t time.Time, ok bool) {
	limit := c.now().Add(24 * time.Hour).In(c.zone())
	for w.year = limit.Year(); w.year >= limit.Year()-9; w.year-- { // 29 Feb can be eight years ago
		if t, ok = w.in(c.zone()); ok && !t.After(limit) {
			return t, true
		}
	}
	return time.Time{}, false
}

// clockTime reads "15:04:05" with any number of decimals and returns what follows.
func (w *wallClock) clockTime(b []byte) (rest []byte, ok bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return nil, false
	}
	var ok1, ok2, ok3 bool
	w.hour, ok1 = number(b[0:2])
	w.minute, ok2 = number(b[3:5])
	d, rest, ok3 := seconds(b[6:])
	w.second, w.nanosecond = int(d/time.Second), int(d%time.Second)
	return rest, ok1 && ok2 && ok3
}

// seconds reads "05" with any number of decimals (after '.' or ',') and returns
// what follows.
func seconds(b []byte) (d time.Duration, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, false
	}
	n, ok := number(b[:2])
	d, b = time.Duration(n)*time.Second, b[2:]
	if len(b) > 0 && (b[0] == '.' || b[0] == ',') {
		b = b[1:]
		for scale := 100 * time.Millisecond; len(b) > 0 && b[0] >= '0' && b[0] <= '9'; scale /= 10 {
			d += time.Duration(b[0]-'0') * scale
			b = b[1:]
		}
	}
	return d, b, ok
}

// traditional reads "Jan _2 15:04:05" of RFC 3164; the day may be unpadded.
func (c Clock) traditional(b []byte) (time.Time, error) {
	var w wallClock
	if len(b) < 14 {
		return time.Time{}, errTimestamp
	}
	day, ok := number(bytes.TrimLeft(b[4:len(b)-9], " "))
	if !ok {
		return time.Time{}, errTimestamp
	}
	w.month, w.day = monthOf(b[:3]), day
	if rest, ok := w.clockTime(b[len(b)-8:]); !ok || len(rest) > 0 {
		return time.Time{}, errTimestamp
	}
	t, ok := c.nearest(w)
	if !ok {
		return time.Time{}, errTimestamp
	}
	return t, nil
}

// monthOf reads "Jan" and so on as 1 to 12; 0, which exists in no year, is none.
func monthOf(name []byte) int {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	i := strings.Index(months, string(name))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}

// iso reads "2006-01-02T15:04:05" with decimals and a zone ("Z", "+01:00",
// "+0100") or without.
func (c Clock) iso(b []byte) (time.Time, error) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' {
		return time.Time{}, errTimestamp
	}
	var w wallClock
	var ok1, ok2, ok3 bool
	w.year, ok1 = number(b[0:4])
	w.month, ok2 = number(b[5:7])
	w.day, ok3 = number(b[8:10])
	zone, ok := w.clockTime(b[11:])
	if !ok || !ok1 || !ok2 || !ok3 {
		return time.Time{}, errTimestamp
	}
	if len(zone) == 0 {
		t, ok := w.in(c.zone())
		if !ok {
			return t, errTimestamp
		}
		return t, nil
	}
	t, ok := w.in(time.UTC)
	offset, ok2 := zoneOffset(zone)
	if !ok || !ok2 {
		return time.Time{}, errTimestamp
	}
	return t.Add(-offset), nil
}

// zoneOffset reads "Z", "+01:00" or "+0100".
func zoneOffset(b []byte) (time.Duration, bool) {
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	if len(b) == 6 && b[3] == ':' {
		b = []byte{b[0], b[1], b[2], b[4], b[5]}
	}
	if len(b) != 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hours, ok1 := number(b[1:3])
	minutes, ok2 := number(b[3:5])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if b[0] == '-' {
		d = -d
	}
	return d, true
}

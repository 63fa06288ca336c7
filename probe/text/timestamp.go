package text

import (
	"bytes"
	"errors"
	"strings"
	"time"
)

var ErrTimestamp = errors.New("malformed timestamp")

func (c Clock) Time() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c Clock) Location() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}

// WallClock is a timestamp as written, perhaps without a year.
type WallClock struct {
	Year, Month, Day     int
	Hour, Minute, Second int
	Nanosecond           int
}

// In returns the time in a zone, in UTC; ok is false for a date or time of day
// that does not exist. A leap second is the next minute's first.
func (w WallClock) In(zone *time.Location) (t time.Time, ok bool) {
	if w.Month < 1 || w.Month > 12 || w.Day < 1 || w.Hour > 23 || w.Minute > 59 || w.Second > 60 {
		return t, false
	}
	if w.Day > 28 && w.Day > time.Date(w.Year, time.Month(w.Month)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		return t, false
	}
	return time.Date(w.Year, time.Month(w.Month), w.Day, w.Hour, w.Minute, w.Second, w.Nanosecond, zone).UTC(), true
}

// Nearest gives a timestamp without a year the nearest one: the latest in which
// it exists and lies at most a day ahead of now, so that both a log read after
// New Year and a clock slightly ahead come out right.
func (c Clock) Nearest(w WallClock) (t time.Time, ok bool) {
	limit := c.Time().Add(24 * time.Hour).In(c.Location())
	for w.Year = limit.Year(); w.Year >= limit.Year()-9; w.Year-- { // 29 Feb can be eight years ago
		if t, ok = w.In(c.Location()); ok && !t.After(limit) {
			return t, true
		}
	}
	return time.Time{}, false
}

// ReadTime reads "15:04:05" with any number of decimals and returns what follows. The
// hour may be padded with a blank.
func (w *WallClock) ReadTime(b []byte) (rest []byte, ok bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return nil, false
	}
	var ok1, ok2, ok3 bool
	w.Hour, ok1 = Number(TrimBlanks(b[0:2]))
	w.Minute, ok2 = Number(b[3:5])
	d, rest, ok3 := Seconds(b[6:])
	w.Second, w.Nanosecond = int(d/time.Second), int(d%time.Second)
	return rest, ok1 && ok2 && ok3
}

// Seconds reads "05" with any number of decimals (after '.' or ',') and returns
// what follows.
func Seconds(b []byte) (d time.Duration, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, false
	}
	n, ok := Number(b[:2])
	d, b = time.Duration(n)*time.Second, b[2:]
	if len(b) > 0 && (b[0] == '.' || b[0] == ',') {
		var decimals []byte
		decimals, b = Digits(b[1:])
		decimals = decimals[:min(len(decimals), 9)]
		n, _ := Number(decimals)
		d += time.Duration(n) * units[len(decimals)]
	}
	return d, b, ok
}

// units are what the last of so many decimals of a second counts.
var units = [...]time.Duration{1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 100, 10, 1}

// Traditional reads "Jan _2 15:04:05" of RFC 3164; the day may be unpadded.
func (c Clock) Traditional(b []byte) (time.Time, error) {
	var w WallClock
	if len(b) < 14 {
		return time.Time{}, ErrTimestamp
	}
	day, ok := Number(bytes.TrimLeft(b[4:len(b)-9], " "))
	if !ok {
		return time.Time{}, ErrTimestamp
	}
	w.Month, w.Day = MonthOf(b[:3]), day
	if rest, ok := w.ReadTime(b[len(b)-8:]); !ok || len(rest) > 0 {
		return time.Time{}, ErrTimestamp
	}
	t, ok := c.Nearest(w)
	if !ok {
		return time.Time{}, ErrTimestamp
	}
	return t, nil
}

// MonthOf reads "Jan" and so on as 1 to 12; 0, which exists in no year, is none.
func MonthOf(name []byte) int {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	i := strings.Index(months, string(name))
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}

// ISO reads "2006-01-02T15:04:05" with decimals and a zone ("Z", "+01:00",
// "+0100") or without.
func (c Clock) ISO(b []byte) (time.Time, error) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' {
		return time.Time{}, ErrTimestamp
	}
	var w WallClock
	var ok1, ok2, ok3 bool
	w.Year, ok1 = Number(b[0:4])
	w.Month, ok2 = Number(b[5:7])
	w.Day, ok3 = Number(b[8:10])
	zone, ok := w.ReadTime(b[11:])
	if !ok || !ok1 || !ok2 || !ok3 {
		return time.Time{}, ErrTimestamp
	}
	if len(zone) == 0 {
		t, ok := w.In(c.Location())
		if !ok {
			return t, ErrTimestamp
		}
		return t, nil
	}
	t, ok := w.In(time.UTC)
	offset, ok2 := ZoneOffset(zone)
	if !ok || !ok2 {
		return time.Time{}, ErrTimestamp
	}
	return t.Add(-offset), nil
}

// ZoneOffset reads "Z", "+01:00" or "+0100".
func ZoneOffset(b []byte) (time.Duration, bool) {
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	if len(b) == 6 && b[3] == ':' {
		b = []byte{b[0], b[1], b[2], b[4], b[5]}
	}
	if len(b) != 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hours, ok1 := Number(b[1:3])
	minutes, ok2 := Number(b[3:5])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if b[0] == '-' {
		d = -d
	}
	return d, true
}

package custom

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/komondor/komondor/probe/text"
)

// timeForm is how a log writes its times: one of the names, or a layout of Go's.
type timeForm string

const (
	rfc3339    timeForm = "rfc3339" // 2006-01-02T15:04:05.999+01:00; a blank for the T, and no zone, are taken as well
	clf        timeForm = "clf"     // 02/Jan/2006:15:04:05 -0700
	syslog     timeForm = "syslog"  // Jan _2 15:04:05
	unix       timeForm = "unix"    // seconds since 1970, with any number of decimals
	unixMillis timeForm = "unix-ms" // milliseconds since 1970
)

func parseTimeForm(s string) (timeForm, error) {
	switch f := timeForm(s); {
	case s == "":
		return rfc3339, nil
	case f == rfc3339, f == clf, f == syslog, f == unix, f == unixMillis:
		return f, nil
	case strings.Contains(s, "04"): // the minutes; a layout has them
		return f, nil
	}
	return "", fmt.Errorf("%q: want rfc3339, clf, syslog, unix, unix-ms, or how the log would write Monday the 2nd of January 2006 at 15:04:05, for instance 02.01.2006 15:04:05", s)
}

// read reads a timestamp; where it names no zone, in the clock's.
func (f timeForm) read(clock text.Clock, b []byte) (time.Time, error) {
	switch f {
	case rfc3339:
		if len(b) > 10 && b[10] == ' ' {
			b = append(append(bytes.Clone(b[:10]), 'T'), b[11:]...)
		}
		return clock.ISO(b)
	case syslog:
		return clock.Traditional(b)
	case unix, unixMillis:
		return sinceEpoch(b, f == unixMillis)
	case clf:
		return time.Parse("02/Jan/2006:15:04:05 -0700", string(b))
	}
	t, err := time.ParseInLocation(string(f), string(b), clock.Location())
	return t.UTC(), err
}

// sinceEpoch reads a decimal number of seconds, or of milliseconds.
func sinceEpoch(b []byte, millis bool) (time.Time, error) {
	whole, decimals, _ := bytes.Cut(b, []byte("."))
	if len(whole) == 0 || len(whole) > 13 || len(decimals) > 9 {
		return time.Time{}, text.ErrTimestamp
	}
	var n, fraction int64
	for _, c := range whole {
		if c < '0' || c > '9' {
			return time.Time{}, text.ErrTimestamp
		}
		n = n*10 + int64(c-'0')
	}
	scale := int64(time.Second)
	for _, c := range decimals {
		if c < '0' || c > '9' {
			return time.Time{}, text.ErrTimestamp
		}
		scale /= 10
		fraction += int64(c-'0') * scale
	}
	if millis {
		return time.UnixMilli(n).Add(time.Duration(fraction / 1000)).UTC(), nil
	}
	return time.Unix(n, fraction).UTC(), nil
}

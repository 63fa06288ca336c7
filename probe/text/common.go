package text

import "time"

// CommonClock reads "02/Jan/2006:15:04:05 -0700", the timestamp of the common log format.
// Neighbouring lines mostly share the minute, so the last one is kept.
type CommonClock struct {
	minute, offset [17]byte // as written, the offset filled up with zeros
	start          time.Time
}

// Read fails for a date or time of day that does not exist.
func (c *CommonClock) Read(b []byte) (time.Time, error) {
	const minute = len("02/Jan/2006:15:04")
	if len(b) != len("02/Jan/2006:15:04:05 -0700") || b[minute] != ':' || b[minute+3] != ' ' {
		return time.Time{}, ErrTimestamp
	}
	second, ok := Number(b[minute+1 : minute+3])
	if !ok || second > 60 {
		return time.Time{}, ErrTimestamp
	}
	if string(b[:minute]) != string(c.minute[:]) || string(b[minute+4:]) != string(c.offset[:5]) {
		start, err := time.Parse("02/Jan/2006:15:04 -0700", string(b[:minute])+string(b[minute+3:]))
		if err != nil {
			return time.Time{}, ErrTimestamp
		}
		copy(c.minute[:], b)
		copy(c.offset[:], b[minute+4:])
		c.start = start.UTC()
	}
	return c.start.Add(time.Duration(second) * time.Second), nil
}

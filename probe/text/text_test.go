package text

import (
	"strings"
	"testing"
	"time"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// TestNearestYear: a timestamp without a year is in the nearest one, at most a day ahead.
func TestNearestYear(t *testing.T) {
	for _, c := range []struct{ now, stamp, want string }{
		{"2026-11-22T12:00:00Z", "Nov 22 11:59:59", "2026-11-22T11:59:59Z"},
		{"2026-11-22T12:00:00Z", "Nov 23 11:59:59", "2026-11-23T11:59:59Z"}, // a clock ahead
		{"2026-11-22T12:00:00Z", "Nov 23 12:00:01", "2025-11-23T12:00:01Z"},
		{"2026-11-22T12:00:00Z", "Jan  1 00:00:00", "2026-01-01T00:00:00Z"},
		{"2027-01-01T00:00:01Z", "Dec 31 23:59:59", "2026-12-31T23:59:59Z"}, // read after New Year
		{"2026-12-31T23:59:59Z", "Jan  1 00:00:01", "2027-01-01T00:00:01Z"}, // written after New Year
		{"2026-12-31T23:59:59Z", "Jan 1 00:00:01", "2027-01-01T00:00:01Z"},
		{"2026-03-01T00:00:00Z", "Feb 29 10:00:00", "2024-02-29T10:00:00Z"},
		{"2028-02-28T12:00:00Z", "Feb 29 10:00:00", "2028-02-29T10:00:00Z"},
		{"2028-02-28T09:00:00Z", "Feb 29 10:00:00", "2024-02-29T10:00:00Z"},
		{"2103-03-01T00:00:00Z", "Feb 29 10:00:00", "2096-02-29T10:00:00Z"}, // 2100 has none
		{"2026-11-22T12:00:00Z", "Jun 30 23:59:60", "2026-07-01T00:00:00Z"}, // leap second
		{"2026-11-22T12:00:00Z", "Nov 31 10:00:00", ""},
		{"2026-11-22T12:00:00Z", "Nov  0 10:00:00", ""},
		{"2026-11-22T12:00:00Z", "Nov 22 24:00:00", ""},
		{"2026-11-22T12:00:00Z", "Nov 22 1x:00:00", ""},
		{"2026-11-22T12:00:00Z", "anF 22 10:00:00", ""},
		{"2026-11-22T12:00:00Z", "Nov", ""},
	} {
		clock := Clock{Now: func() time.Time { return at(c.now) }, Zone: time.UTC}
		got, err := clock.Traditional([]byte(c.stamp))
		if c.want == "" {
			if err == nil {
				t.Errorf("%q is taken for %v", c.stamp, got)
			}
			continue
		}
		if err != nil || !got.Equal(at(c.want)) {
			t.Errorf("%q at %s: got %v, %v, want %s", c.stamp, c.now, got, err, c.want)
		}
	}
}

func TestZones(t *testing.T) {
	zone := time.FixedZone("test", 2*3600)
	clock := Clock{Now: func() time.Time { return at("2026-11-22T12:00:00Z") }, Zone: zone}
	for stamp, want := range map[string]string{
		"2026-11-22T03:15:07.759246+00:00": "2026-11-22T03:15:07.759246Z",
		"2026-11-22T03:15:07.759246+01:30": "2026-11-22T01:45:07.759246Z",
		"2026-11-22T03:15:07-0700":         "2026-11-22T10:15:07Z",
		"2026-11-22T03:15:07Z":             "2026-11-22T03:15:07Z",
		"2026-11-22T03:15:07,5Z":           "2026-11-22T03:15:07.5Z",
		"2026-11-22T03:15:07":              "2026-11-22T01:15:07Z",
		"2026-11-22T03:15:07.1234567890Z":  "2026-11-22T03:15:07.123456789Z",
		"2026-02-29T03:15:07Z":             "",
		"2026-11-22T03:15:07+25:00":        "",
		"2026-11-22T03:15:07 UTC":          "",
		"2026-11-22":                       "",
	} {
		got, err := clock.ISO([]byte(stamp))
		if (err == nil) != (want != "") || err == nil && !got.Equal(at(want)) {
			t.Errorf("%s: got %v, %v, want %q", stamp, got, err, want)
		}
	}
	if got, err := clock.Traditional([]byte("Nov 22 03:15:07")); err != nil || !got.Equal(at("2026-11-22T01:15:07Z")) {
		t.Errorf("local time: got %v, %v", got, err)
	}
}

// TestSyslogClock: what the clock keeps of one timestamp must not show in the next.
func TestSyslogClock(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	stamps := []string{
		"Nov 22 03:15:07", "Nov 22 03:15:59", "Nov 22 03:15:60", "Nov 22 03:16:00", "Nov 22 03:16:6x", "Nov 22 03:16:61", "Nov 22 03:16:09",
		"Nov  2 03:16:09", "Nov 2 03:16:09", "Nov 22 03:16:08", "Nov 12 03:16:08", "Jun 30 23:59:60", "Jun 30 23:59:01",
		"2026-11-22T03:15:07Z", "2026-11-22T03:15:07.5Z", "2026-11-22T03:15:08,25Z", "2026-11-22T03:15:08.25+01:30", "2026-11-22T03:15:09+01:30",
		"2026-11-22T03:15:09", "2026-11-22T03:15:10", "2026-11-22T03:15:60", "2026-11-22T03:15:11x", "2026-11-22T03:15", "2026-11-22T03:15:1", "-", "0",
		"2026-03-29T01:59:59", "2026-03-29T02:00:01", "2026-03-29T02:59:59", "2026-03-29T03:00:01", "2026-10-25T02:00:01", "2026-10-25T02:59:59", "2026-10-25T03:00:01",
	}
	clock := Clock{Now: func() time.Time { return at("2026-11-22T12:00:00Z") }, Zone: zone}
	for _, before := range stamps {
		for _, stamp := range stamps {
			kept, fresh := &HeaderClock{Clock: clock}, &HeaderClock{Clock: clock}
			header := func(s string) *Header {
				return &Header{Stamp: []byte(s), ISO: s[0] != 'N' && s[0] != 'J'}
			}
			_, _ = kept.Read(header(before))
			got, err := kept.Read(header(stamp))
			want, wantErr := fresh.Read(header(stamp))
			if got != want || (err == nil) != (wantErr == nil) {
				t.Errorf("%q after %q: got %v, %v, want %v, %v", stamp, before, got, err, want, wantErr)
			}
		}
	}
}

// TestTexts: a text is the same whether it was kept or not.
func TestTexts(t *testing.T) {
	var kept Recent
	long := strings.Repeat("x", 2*MaxString)
	for range 2 {
		for _, s := range []string{"", "root", "rrrt", "r\xffot", "r\xfeot", "7", "é", long, long[1:], "root"} {
			if got, want := kept.String([]byte(s)), String([]byte(s)); got != want {
				t.Errorf("%q: got %q, want %q", s, got, want)
			}
		}
	}
}

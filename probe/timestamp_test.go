package probe

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
		got, err := clock.traditional([]byte(c.stamp))
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
		got, err := clock.iso([]byte(stamp))
		if (err == nil) != (want != "") || err == nil && !got.Equal(at(want)) {
			t.Errorf("%s: got %v, %v, want %q", stamp, got, err, want)
		}
	}
	if got, err := clock.traditional([]byte("Nov 22 03:15:07")); err != nil || !got.Equal(at("2026-11-22T01:15:07Z")) {
		t.Errorf("local time: got %v, %v", got, err)
	}
}

func TestSnortStamp(t *testing.T) {
	for _, c := range []struct {
		stamp  string
		snort3 bool
		want   string
	}{
		{"08/28-12:09:00.123456", false, "2026-08-28T12:09:00.123456Z"},
		{"12/31-23:59:59.000000", false, "2025-12-31T23:59:59Z"},
		{"11/21/23-22:13:20.036", false, "2023-11-21T22:13:20.036Z"},
		{"23/11/21-22:13:20.036", true, "2023-11-21T22:13:20.036Z"},
		{"07/11/2022-10:29:01.860293", false, "2022-07-11T10:29:01.860293Z"},
		{"07/11/2022-10:29:01.860293", true, "2022-07-11T10:29:01.860293Z"},
		{"01/01/-30-00:00:09.5", false, "1970-01-01T00:00:09.5Z"},
		{"23/11/21-22:13:20.036", false, ""},
		{"08/28", false, ""},
		{"08/28-12:09", false, ""},
		{"-12:09:00.0", false, ""},
	} {
		got, err := testClock.snortStamp([]byte(c.stamp), c.snort3)
		if (err == nil) != (c.want != "") || err == nil && !got.Equal(at(c.want)) {
			t.Errorf("%s: got %v, %v, want %q", c.stamp, got, err, c.want)
		}
	}
}

func TestFindCVE(t *testing.T) {
	for text, want := range map[string]string{
		"ET EXPLOIT (CVE-2021-41773) M2":                              "CVE-2021-41773",
		`["cve,2017-9791","CVE-2018-1"]`:                              "CVE-2017-9791",
		`{"tag":["cve_2021_44228"]}`:                                  "CVE-2021-44228",
		"http://cve.mitre.org/cgi-bin/cvename.cgi?name=2002-0013]":    "CVE-2002-0013",
		"http://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-1999-0517": "CVE-1999-0517",
		"CVE 2014-6271":     "CVE-2014-6271",
		"CVE-20021-0013":    "",
		"CVE-1998-0013":     "",
		"CVE-2021-123":      "",
		"CVE-2021-12345678": "",
		"receive 2021-4444": "",
		"ccvcvecve-2021-":   "",
	} {
		if got := findCVE([]byte(text)); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestFormats(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Builtin() {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if seen[name] {
				t.Errorf("two formats are named %s", name)
			}
			seen[name] = true
			if got, err := Lookup(strings.ToUpper(name)); err != nil || got.Name != f.Name {
				t.Errorf("Lookup(%s) gives %q, %v", name, got.Name, err)
			}
		}
		if f.About == "" || f.Recognise(nil) > 0 {
			t.Errorf("format %s: no description, or it recognises an empty log", f.Name)
		}
	}
	if _, err := Lookup("gopher"); err == nil || !strings.Contains(err.Error(), "sshd, journald") {
		t.Errorf("Lookup of an unknown format gives %v", err)
	}
	for _, sample := range []string{"", "\n\n", "hello\nworld\n", "#Fields: date time c-ip cs-method\n", "\x1f\x8b\x08\x00"} {
		if f, err := Detect([]byte(sample)); err == nil || !strings.Contains(err.Error(), "--format") {
			t.Errorf("Detect(%q) gives %q, %v", sample, f.Name, err)
		}
	}
}

// TestCRLF: line endings of Windows do no harm.
func TestCRLF(t *testing.T) {
	f, _ := Lookup("sshd")
	got := parseAll(t, f, testClock, "auth.log", []byte("Nov 22 05:00:00 gate sshd[7]: Invalid user a from 203.0.113.9 port 1\r\nNov 22 05:00:00 gate sshd[7]: Connection closed by invalid user a 203.0.113.9 port 1 [preauth]\r\n"))
	if len(got) != 2 || got[0].User != "a" || got[1].Attempt != "7" {
		t.Errorf("CRLF: %+v", got)
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
		"2026-11-22T03:15:09", "2026-11-22T03:15:10", "2026-11-22T03:15:60", "2026-11-22T03:15:11x", "2026-11-22T03:15", "2026-11-22T03:15:1", "-",
		"2026-03-29T01:59:59", "2026-03-29T02:00:01", "2026-03-29T02:59:59", "2026-03-29T03:00:01", "2026-10-25T02:00:01", "2026-10-25T02:59:59", "2026-10-25T03:00:01",
	}
	clock := Clock{Now: func() time.Time { return at("2026-11-22T12:00:00Z") }, Zone: zone}
	for _, before := range stamps {
		for _, stamp := range stamps {
			kept, fresh := &syslogClock{Clock: clock}, &syslogClock{Clock: clock}
			header := func(s string) *syslogHeader {
				return &syslogHeader{stamp: []byte(s), iso: s[0] != 'N' && s[0] != 'J'}
			}
			_, _ = kept.read(header(before))
			got, err := kept.read(header(stamp))
			want, wantErr := fresh.read(header(stamp))
			if got != want || (err == nil) != (wantErr == nil) {
				t.Errorf("%q after %q: got %v, %v, want %v, %v", stamp, before, got, err, want, wantErr)
			}
		}
	}
}

// TestTexts: a text is the same whether it was kept or not.
func TestTexts(t *testing.T) {
	var kept texts
	long := strings.Repeat("x", 2*maxText)
	for range 2 {
		for _, s := range []string{"", "root", "rrrt", "r\xffot", "r\xfeot", "7", "é", long, long[1:], "root"} {
			if got, want := kept.text([]byte(s)), text([]byte(s)); got != want {
				t.Errorf("%q: got %q, want %q", s, got, want)
			}
		}
	}
}

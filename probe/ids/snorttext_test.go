package ids

import (
	"testing"
	"time"

	"github.com/komondor/komondor/probe/text"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestSnortStamp(t *testing.T) {
	clock := text.Clock{Now: func() time.Time { return at("2026-11-22T12:00:00Z") }, Zone: time.UTC}
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
		var kept snortClock
		kept.Clock = clock
		_, _ = kept.read([]byte(c.stamp), c.snort3)
		got, err := kept.read([]byte(c.stamp), c.snort3) // now of the minute that is kept
		if (err == nil) != (c.want != "") || err == nil && !got.Equal(at(c.want)) {
			t.Errorf("%s: got %v, %v, want %q", c.stamp, got, err, c.want)
		}
	}
}

// A minute that is kept is another one's in the other program's order, and has no second 61.
func TestSnortClock(t *testing.T) {
	clock := snortClock{Clock: text.Clock{Zone: time.UTC}}
	for _, c := range []struct {
		stamp  string
		snort3 bool
		want   string
	}{
		{"11/12/13-22:13:20.036", false, "2013-11-12T22:13:20.036Z"},
		{"11/12/13-22:13:59.5", false, "2013-11-12T22:13:59.5Z"},
		{"11/12/13-22:13:59.5", true, "2011-12-13T22:13:59.5Z"},
		{"11/12/13-22:13:60.5", true, "2011-12-13T22:14:00.5Z"},
		{"11/12/13-22:13:01", true, "2011-12-13T22:13:01Z"},
		{"11/12/13-22:13:61", true, ""},
		{"11/12/13-22:13:01x", true, ""},
	} {
		got, err := clock.read([]byte(c.stamp), c.snort3)
		if (err == nil) != (c.want != "") || err == nil && !got.Equal(at(c.want)) {
			t.Errorf("%s: got %v, %v, want %q", c.stamp, got, err, c.want)
		}
	}
}

func TestFindCVE(t *testing.T) {
	for message, want := range map[string]string{
		"ET EXPLOIT (CVE-2021-41773) M2":                              "CVE-2021-41773",
		`["cve,2017-9791","CVE-2018-1"]`:                              "CVE-2017-9791",
		`{"tag":["cve_2021_44228"]}`:                                  "CVE-2021-44228",
		"http://cve.mitre.org/cgi-bin/cvename.cgi?name=2002-0013]":    "CVE-2002-0013",
		"http://cve.mitre.org/cgi-bin/cvename.cgi?name=CVE-1999-0517": "CVE-1999-0517",
		"CVE 2014-6271":     "CVE-2014-6271",
		"CVE-20021-0013":    "",
		"CVE-02021-1234567": "",
		"CVE-1998-0013":     "",
		"CVE-2021-123":      "",
		"CVE-2021-12345678": "",
		"receive 2021-4444": "",
		"ccvcvecve-2021-":   "",
	} {
		var id cve
		id.find([]byte(message))
		if got := string(id.name()); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

package text

import (
	"net/netip"
	"testing"
	"time"
)

func TestOwnStamp(t *testing.T) {
	clock := Clock{Now: func() time.Time { return at("2026-11-26T12:00:00Z") }, Zone: time.UTC}
	for line, want := range map[string]string{
		"2026-11-25 17:00:01 x":         "2026-11-25T17:00:01Z",
		"2026-11-25  7:00:01 x":         "2026-11-25T07:00:01Z",
		"2026-11-25 17:00:01.25 x":      "2026-11-25T17:00:01.25Z",
		"2026-11-25 17:00:01,250 x":     "2026-11-25T17:00:01.25Z",
		"2026-11-25 17:00:01.250 UTC x": "2026-11-25T17:00:01.25Z",
		"2026-11-25 17:00:01 +0130 x":   "2026-11-25T15:30:01Z",
		"2026-11-25 17:00:01.5 -0700 x": "2026-11-26T00:00:01.5Z",
		"2026-11-25T17:00:01.5Z x":      "2026-11-25T17:00:01.5Z",
		"2026-11-25T17:00:01+01:00 x":   "2026-11-25T16:00:01Z",
		"2026/11/25 17:00:01 x":         "2026-11-25T17:00:01Z",
		"25-Nov-2026 17:00:01.372 x":    "2026-11-25T17:00:01.372Z",
		"Nov 25 17:00:01 x":             "2026-11-25T17:00:01Z",
		"Nov  5 17:00:01 x":             "2026-11-05T17:00:01Z",
		"@4000000069270c5a077a9e94 x":   "2025-11-26T14:18:56.125476Z",
		"25-Nop-2026 17:00:01.372 x":    "",
		"@5000000069270c5a077a9e94 x":   "",
		"@400000006927zc5a077a9e94 x":   "",
		"2026-11-25":                    "", "x": "", "xx y": "",
		"": "",
		"2026-11-25 17:00:01.99999999999999999999999999999999999999999999 x": "2026-11-25T17:00:01.999999999Z",
	} {
		var m Message
		rest, ok := m.OwnStamp([]byte(line))
		if ok != (want != "") {
			t.Errorf("%q: %v", line, ok)
			continue
		}
		if !ok {
			continue
		}
		got, err := (&HeaderClock{Clock: clock}).Read(&m.Header)
		if err != nil || !got.Equal(at(want)) || string(TrimBlanks(rest)) != "x" {
			t.Errorf("%q: %v, %v, rest %q; want %s", line, got, err, rest, want)
		}
	}
}

// TestShortStamps: what is too short for a timestamp is an error.
func TestShortStamps(t *testing.T) {
	for _, stamp := range []string{"", "0", "Nov", "Nov 25 17:00"} {
		for _, iso := range []bool{false, true} {
			if got, err := (&HeaderClock{}).Read(&Header{Stamp: []byte(stamp), ISO: iso}); err == nil {
				t.Errorf("%q is taken for %v", stamp, got)
			}
		}
	}
}

func TestIsProgram(t *testing.T) {
	programs := []string{"postfix", "ovpn-", "vsftpd"}
	for tag, want := range map[string]bool{
		"postfix": true, "postfix/smtpd": true, "ovpn-office": true, "vsftpd(pam_unix)": true,
		"": false, "postfi": false, "postfixed": false, "postfix-script": false, "ovpn": false, "x/postfix": false,
	} {
		if got := IsProgram([]byte(tag), programs); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
}

func TestPeers(t *testing.T) {
	for s, want := range map[string]string{
		"h.example[203.0.113.9]: x": "203.0.113.9:0 : x", "h.example [203.0.113.9]:5 x": "203.0.113.9:5  x", "[2001:db8::9]:5": "[2001:db8::9]:5 ",
		"a b[203.0.113.9]": "", "h(x)[203.0.113.9]": "", "[h.example]": "", "[203.0.113.9": "", "[203.0.113.9]:99999": "", "": "",
	} {
		e, rest, ok := Named([]byte(s))
		got := ""
		if ok {
			got = netip.AddrPortFrom(e.Addr, e.Port).String() + " " + string(rest)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	for s, want := range map[string]string{
		"203.0.113.9:5": "203.0.113.9:5", "203.0.113.9": "203.0.113.9:0", "[2001:db8::9]:5": "[2001:db8::9]:5", "2001:db8::9:5": "[2001:db8::9]:5",
		"::ffff:203.0.113.9:5": "203.0.113.9:5", "h:5": "", "203.0.113.9:x": "", ":5": "", "": "",
	} {
		e, ok := HostPort([]byte(s))
		got := ""
		if ok {
			got = netip.AddrPortFrom(e.Addr, e.Port).String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

package event

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

func full() Event {
	return Event{
		Time: time.Date(2026, 11, 22, 2, 0, 0, 5e8, time.UTC), Kind: SSHLoginFailed,
		Source:   Endpoint{netip.MustParseAddr("203.0.113.9"), 40022},
		Target:   Endpoint{netip.MustParseAddr("2001:db8::1"), 22},
		Severity: 2, Count: 1, Proof: Handshake, Protocol: "tcp", Vulnerability: "CVE-2002-0013", User: "root",
		Attempt: "4711", Detail: "said so", Sensor: "sshd", File: "/var/log/auth.log", Line: 7,
	}
}

// Scripts read these names.
func TestEventJSON(t *testing.T) {
	full := full()
	for _, c := range []struct {
		name string
		ev   Event
		want string
	}{
		{"full", full, `{"time":"2026-11-22T02:00:00.5Z","kind":"ssh.login.failed",` +
			`"source":{"addr":"203.0.113.9","port":40022},"target":{"addr":"2001:db8::1","port":22},` +
			`"severity":2,"count":1,"proof":"handshake","protocol":"tcp","vulnerability":"CVE-2002-0013","user":"root",` +
			`"attempt":"4711","detail":"said so","sensor":"sshd","file":"/var/log/auth.log","line":7}`},
		{"what is unknown is left out", Event{Time: full.Time, Kind: ScanPort, Source: Endpoint{Addr: full.Source.Addr}, Severity: 2, Count: 1},
			`{"time":"2026-11-22T02:00:00.5Z","kind":"scan.port","source":{"addr":"203.0.113.9"},"severity":2,"count":1,"proof":"spoofable"}`},
		{"what happens on a host has no source", Event{Time: full.Time, Kind: ProcessExec, Severity: 5, Count: 1, User: "www-data"},
			`{"time":"2026-11-22T02:00:00.5Z","kind":"process.exec","source":{},"severity":5,"count":1,"proof":"spoofable","user":"www-data"}`},
	} {
		got, err := json.Marshal(c.ev)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, c.want)
		}
		var back Event
		if err := json.Unmarshal(got, &back); err != nil || back != c.ev {
			t.Errorf("%s comes back as %+v (%v)", c.name, back, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"proof":"sworn"}`), new(Event)); err == nil {
		t.Error("a proof of unknown strength was accepted")
	}
}

func TestEventEncoding(t *testing.T) {
	for _, want := range []Event{full(), {Time: full().Time, Kind: ScanPort, Count: 1}} {
		body, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := Decode(body, &got); err != nil || !got.Time.Equal(want.Time) {
			t.Fatalf("%v, time %s", err, got.Time)
		}
		if got.Time = want.Time; !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind    Kind
		pattern string
		want    bool
	}{
		{SSHLoginFailed, "ssh.login.failed", true},
		{SSHLoginFailed, "ssh.*", true},
		{SSHLoginFailed, "ssh.login.*", true},
		{SSHLoginFailed, "ssh.login", false},
		{SSHLoginFailed, "ids.*", false},
		{"ssh", "ssh.*", false},
		{"sshd.odd", "ssh.*", false},
		{"sshd.odd", "ssh*", false}, // only a whole level can be left open
		{SSHLoginFailed, "", false},
	} {
		if got := c.kind.Matches(c.pattern); got != c.want {
			t.Errorf("%s matches %q: %v", c.kind, c.pattern, got)
		}
	}
	for kind, want := range map[Kind]int{ // DESIGN, section 4
		SSHLoginFailed: 2, SSHUserInvalid: 3, SSHPenalty: 3, SSHPreauthClosed: 1, SSHLoginAccepted: -5, "never.heard.of": 0,
	} {
		if got := kind.Severity(); got != want {
			t.Errorf("%s weighs %d points, want %d", kind, got, want)
		}
		if listed := slices.Contains(Kinds(), kind); listed != (want != 0) {
			t.Errorf("%s is on the list: %v", kind, listed)
		}
	}
}

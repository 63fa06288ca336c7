package probe

import (
	"net/netip"
	"os"
	"testing"

	"github.com/komondor/komondor/probe/text"
)

// trusting is a format whose parsers know a proxy of one's own.
func trusting(t *testing.T, name, proxies string) text.Format {
	t.Helper()
	f, err := Builtin().Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	fresh := f.New
	f.New = func(c text.Clock) text.Parser {
		p := fresh(c)
		p.(text.Proxied).Trust([]netip.Prefix{netip.MustParsePrefix(proxies)})
		return p
	}
	return f
}

// TestProxies looks into the log of an nginx behind an HAProxy. The clients sent
// X-Forwarded-For and agents of their own, so that 203.0.113.99 would be blamed.
func TestProxies(t *testing.T) {
	log, err := os.ReadFile("testdata/web-access/nginx-proxied.log")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range parseAll(t, trusting(t, "web-access", "198.51.100.2/32"), testClock, "access.log", log) {
		got[r.Source.Addr.String()]++
	}
	// One request of .30's came past the proxy, whose X-Forwarded-For nobody asked for.
	if len(got) != 2 || got["198.51.100.30"] != 4 || got["198.51.100.31"] != 2 {
		t.Errorf("blamed %v", got)
	}
}

// TestForwarded: whom a proxy's line is held against.
func TestForwarded(t *testing.T) {
	f := trusting(t, "web-access", "192.0.2.0/24")
	const head = `192.0.2.1 - - [21/Nov/2026:05:00:01 +0000] "GET /.env HTTP/1.1" 404 153 `
	for rest, want := range map[string]string{
		`"-" "x" "203.0.113.9"`:                          "203.0.113.9",
		`"-" "x" "198.51.100.9, 203.0.113.9"`:            "203.0.113.9",
		`"-" "x" "198.51.100.9, 203.0.113.9, 192.0.2.2"`: "203.0.113.9",
		`"-" "x" "2001:db8::9"`:                          "2001:db8::9",
		`"-" "\" \"198.51.100.9" "203.0.113.9"`:          "203.0.113.9",
		`"-" "x" "-"`:                                    "", // the proxy said nothing
		`"-" "x" "198.51.100.9, unknown"`:                "",
		`"-" "x" "198.51.100.9, 203.0.113.9:4242"`:       "",
		`"-" "x" "192.0.2.3, 192.0.2.2"`:                 "", // the proxies' own
		`"-" "x" "192.0.2.3,"`:                           "",
		`"-" "198.51.100.9"`:                             "", // combined: an agent's name
		`"-" "x" "198.51.100.9" "203.0.113.9"`:           "", // one more: which is it?
		`"-" "x" "203.0.113.9" 0.004`:                    "",
		``:                                               "",
	} {
		got := ""
		for _, r := range parseAll(t, f, testClock, "access.log", []byte(head+rest)) {
			got = r.Source.Addr.String()
		}
		if got != want {
			t.Errorf("%s: blamed %q, want %q", rest, got, want)
		}
	}
}

// TestForwardedToTraefik: Traefik writes X-Forwarded-For, as it came, in the client's place.
func TestForwardedToTraefik(t *testing.T) {
	f := trusting(t, "traefik", "192.0.2.0/24")
	for peers, want := range map[string]string{
		`"ClientAddr":"203.0.113.9:4000","ClientHost":"203.0.113.9"`:                       "203.0.113.9:4000 handshake",
		`"ClientAddr":"[2001:db8::9]:4000","ClientHost":"2001:db8::9"`:                     "[2001:db8::9]:4000 handshake",
		`"ClientAddr":"203.0.113.9:4000","ClientHost":"198.51.100.9"`:                      "198.51.100.9:0 spoofable", // anybody may have written it
		`"ClientAddr":"203.0.113.9:4000","ClientHost":"198.51.100.9, 198.51.100.8"`:        "",
		`"ClientHost":"203.0.113.9"`:                                                       "203.0.113.9:0 spoofable",
		`"ClientAddr":"192.0.2.1:4000","ClientHost":"203.0.113.9"`:                         "203.0.113.9:0 handshake",
		`"ClientAddr":"192.0.2.1:4000","ClientHost":"198.51.100.9, 203.0.113.9,192.0.2.2"`: "203.0.113.9:0 handshake",
		`"ClientAddr":"192.0.2.1:4000","ClientHost":"192.0.2.1"`:                           "", // the proxy said nothing
	} {
		line := `{` + peers + `,"ClientUsername":"-","RequestMethod":"GET","RequestPath":"/.env","RequestProtocol":"HTTP/1.1","DownstreamStatus":404,"StartUTC":"2026-11-21T05:00:01Z"}`
		got := ""
		for _, r := range parseAll(t, f, testClock, "access.json", []byte(line)) {
			got = netip.AddrPortFrom(r.Source.Addr, r.Source.Port).String() + " " + r.Proof.String()
		}
		if got != want {
			t.Errorf("%s: blamed %q, want %q", peers, got, want)
		}
	}
}

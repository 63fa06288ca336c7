package node

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/komondor/komondor/block"
	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

// What comes from one's own networks is archived, before a restart and after it, and never
// held against anybody.
func TestOwnNetworksAreNotAccused(t *testing.T) {
	s, m := newStore(t, t.TempDir()), newMember(t)
	synctest.Test(t, func(t *testing.T) {
		own := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")}
		w := newWatch(t, s, m, true, own...)
		for line, from := range []string{"198.51.100.7", "2001:db8::7", "198.51.100.8"} {
			e := failed(time.Now(), int64(line+1))
			e.Source.Addr = netip.MustParseAddr(from)
			w.sees(e)
		}
		time.Sleep(2 * time.Second)
		w.stop()
		again := newWatch(t, s, m, true, own...)
		again.sees(failed(time.Now(), 4)) // somebody else
		time.Sleep(2 * time.Second)
		again.stop()
		if w.judged > 0 || len(w.sent) > 0 {
			t.Errorf("%d judgements and %d reports on own hosts", w.judged, len(w.sent))
		}
		if again.judged == 0 || len(again.sent) != 1 || total(again.sent[0]) != 1 {
			t.Errorf("beside them: %d judgements, %d reports, want one on one line", again.judged, len(again.sent))
		}
		archived := 0
		if err := s.Events(t.Context(), time.Now().Add(-time.Hour), time.Now(), func(event.Event) error { archived++; return nil }); err != nil || archived != 4 {
			t.Errorf("%d events in the archive, want 4 (%v)", archived, err)
		}
	})
}

// Nor are they ever blocked, whoever says so.
func TestOwnNetworksAreNeverBlocked(t *testing.T) {
	c := Config{Data: t.TempDir(), Block: "observe", Open: true, Home: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	for range 2 {
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	never, err := block.NewNever(block.NeverOptions{Allow: c.Allow})
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Refresh(t.Context(), time.Now()); err != nil {
		t.Log(err)
	}
	if why, is := never.Check(netip.MustParsePrefix("198.51.100.7/32")); !is || len(c.Allow) != 1 {
		t.Errorf("an own host can be blocked (%q); the allow-list is %q", why, c.Allow)
	}
}

// A parser that must see how its file begins does so where reading goes on behind that; and
// one that knows of proxies blames their clients.
func TestParsersAreToldWhatTheyNeed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conn.log")
	row := "1795237201.5\t203.0.113.9\t4242\t198.51.100.2\t22\ttcp\tS0\n"
	log := "#separator \\x09\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\n" + row
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source Source
		line   string
	}{
		{Source{Format: "zeek", Path: path}, row},
		{Source{Format: "web-access", Path: "-", Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
			`192.0.2.1 - - [21/Nov/2026:05:00:01 +0000] "GET /.env HTTP/1.1" 404 153 "-" "x" "198.51.100.9, 203.0.113.9, 192.0.2.2"`},
	} {
		parser, err := newSource(c.source, slog.New(slog.DiscardHandler), nil).choose([]byte(c.line))
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := parser.Parse(text.Line{Number: 9, Bytes: bytes.TrimRight([]byte(c.line), "\n")})
		if !ok || err != nil || got.Source.Addr.String() != "203.0.113.9" {
			t.Errorf("%s: %v %v %v", c.source.Format, got, ok, err)
		}
	}
}

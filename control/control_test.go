package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake answers as a node would.
type fake struct {
	alerts chan Alert
	taken  chan []byte // documents and invitations
}

func (fake) Status() Status           { return Status{Version: "test", Peers: 6} }
func (fake) Alerts() ([]Alert, error) { return nil, nil }
func (fake) MarkFalse(_ context.Context, id, reason string) (Alert, error) {
	return Alert{ID: id, Opinions: []Opinion{{Reason: reason}}}, nil
}
func (fake) MarkTrue(_ context.Context, id string) (Alert, error) {
	return Alert{}, errors.New(id + " is not marked")
}
func (f fake) Follow(ctx context.Context, fn func(Alert) error) error {
	for {
		select {
		case a := <-f.alerts:
			if err := fn(a); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
func (fake) Blocks() ([]Block, error) {
	return []Block{{Prefix: netip.MustParsePrefix("203.0.113.9/32")}}, nil
}
func (fake) Block(_ context.Context, p netip.Prefix, d time.Duration, reason string) (Block, error) {
	if p.Addr().IsLoopback() {
		return Block{}, fmt.Errorf("%s not blocked: never-block set: loopback", p)
	}
	return Block{Prefix: p, Until: time.Unix(0, 0).Add(d), Reason: reason}, nil
}
func (fake) Unblock(context.Context, netip.Prefix) error       { return nil }
func (fake) FlushBlocks(context.Context) (int, error)          { return 3, nil }
func (fake) Allowed() ([]Allowed, error)                       { return nil, nil }
func (fake) Allow(_ context.Context, entry, note string) error { return nil }
func (fake) Disallow(_ context.Context, entry string) error {
	return errors.New(entry + " is not on the list")
}
func (fake) Explain(_ context.Context, a netip.Addr) (Explanation, error) {
	return Explanation{Address: a, Verdict: "not blocked"}, nil
}

func (fake) Approve(_ context.Context, prefixes []netip.Prefix) ([]Block, error) {
	var approved []Block
	for _, p := range prefixes {
		approved = append(approved, Block{Prefix: p})
	}
	return approved, nil
}
func (fake) Reject(_ context.Context, prefixes []netip.Prefix) (int, error) {
	return len(prefixes), nil
}
func (fake) Scenarios() (Scenarios, error) {
	return Scenarios{Alerts: []ScenarioAlert{{Type: LocalAlert}}}, nil
}
func (fake) Flows() ([]Flow, error)         { return nil, nil }
func (fake) Responses() ([]Response, error) { return []Response{{ID: "1a2b3c4d"}}, nil }
func (fake) Respond(_ context.Context, a Action) (Response, error) {
	return Response{ID: "1a2b3c4d", Action: a}, nil
}
func (fake) ApproveResponse(_ context.Context, id string) (Response, error) {
	return Response{ID: id, State: "done"}, nil
}
func (fake) RejectResponse(_ context.Context, id string) (Response, error) {
	return Response{ID: id, State: "refused"}, nil
}
func (fake) UndoResponse(_ context.Context, id string) (Response, error) {
	return Response{}, errors.New("response " + id + " cannot be undone")
}
func (fake) Members() ([]Member, error)                        { return []Member{{ID: "one"}}, nil }
func (fake) Policy() (json.RawMessage, error)                  { return json.RawMessage(`{"version":7}`), nil }
func (fake) Revocations() (json.RawMessage, error)             { return json.RawMessage(`[]`), nil }
func (fake) Organisation(name string) (json.RawMessage, error) { return json.Marshal(name) }
func (f fake) Submit(_ context.Context, document []byte) error {
	f.taken <- document
	return nil
}
func (f fake) Deposit(offer []byte) error {
	f.taken <- offer
	return errors.New("no room")
}

func serve(t *testing.T) (*Client, fake) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d", "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	f := fake{make(chan Alert), make(chan []byte, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, Local(f)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return Dial(path), f
}

func TestClientAndServerAgree(t *testing.T) {
	c, f := serve(t)
	ctx := t.Context()
	if s, err := c.Status(ctx); err != nil || s.Peers != 6 {
		t.Errorf("status %+v, %v", s, err)
	}
	if b, err := c.Blocks(ctx); err != nil || len(b) != 1 {
		t.Errorf("blocks %v, %v", b, err)
	}
	b, err := c.Block(ctx, netip.MustParsePrefix("2001:db8::/64"), time.Hour, "by hand & eye")
	if err != nil || b.Reason != "by hand & eye" || b.Until.Unix() != 3600 {
		t.Errorf("block %+v, %v", b, err)
	}
	if _, err := c.Block(ctx, netip.MustParsePrefix("127.0.0.1/32"), 0, ""); err == nil || !strings.Contains(err.Error(), "never-block set") {
		t.Errorf("a refusal does not come through: %v", err)
	}
	if n, err := c.FlushBlocks(ctx); n != 3 || err != nil {
		t.Errorf("flush %d, %v", n, err)
	}
	if a, err := c.MarkFalse(ctx, "0a1b2c", "our scanner & theirs"); err != nil || a.ID != "0a1b2c" || a.Opinions[0].Reason != "our scanner & theirs" {
		t.Errorf("marked %+v, %v", a, err)
	}
	if _, err := c.MarkTrue(ctx, "0a/1b"); err == nil || err.Error() != "0a/1b is not marked" {
		t.Errorf("taken back: %v", err)
	}
	if err := c.Unblock(ctx, netip.MustParsePrefix("203.0.113.9/32")); err != nil {
		t.Error(err)
	}
	if err := c.Allow(ctx, "admin.example.net", "a note; with signs=&"); err != nil {
		t.Error(err)
	}
	if err := c.Disallow(ctx, "x"); err == nil || err.Error() != "x is not on the list" {
		t.Errorf("disallow: %v", err)
	}
	if x, err := c.Explain(ctx, netip.MustParseAddr("2001:db8::1")); err != nil || x.Address.String() != "2001:db8::1" {
		t.Errorf("explain %+v, %v", x, err)
	}
	if a, err := c.Alerts(ctx); err != nil || a == nil {
		t.Errorf("alerts %v, %v: no alerts are an empty list", a, err)
	}

	both := []netip.Prefix{netip.MustParsePrefix("203.0.113.9/32"), netip.MustParsePrefix("2001:db8::/64")}
	if b, err := c.Approve(ctx, both...); err != nil || len(b) != 2 || b[1].Prefix != both[1] {
		t.Errorf("approved %v, %v", b, err)
	}
	if b, err := c.Approve(ctx); err != nil || b == nil || len(b) != 0 {
		t.Errorf("approved %v, %v: no prefix stands for all, and nothing approved is an empty list", b, err)
	}
	if n, err := c.Reject(ctx, both[0]); err != nil || n != 1 {
		t.Errorf("rejected %d, %v", n, err)
	}
	if f, err := c.Flows(ctx); err != nil || f == nil {
		t.Errorf("flows %v, %v", f, err)
	}
	if r, err := c.Responses(ctx); err != nil || len(r) != 1 {
		t.Errorf("responses %v, %v", r, err)
	}
	asked := Action{Action: "block-flow", Source: netip.MustParseAddr("192.0.2.53"), Target: netip.MustParseAddr("198.51.100.7"), Protocol: "udp", Port: 53, Reason: "forged replies"}
	if r, err := c.Respond(ctx, asked); err != nil || r.Action != asked {
		t.Errorf("response %+v, %v", r, err)
	}
	if r, err := c.DecideResponse(ctx, "1a2b3c4d", "approve"); err != nil || r.ID != "1a2b3c4d" || r.State != "done" {
		t.Errorf("approved %+v, %v", r, err)
	}
	if r, err := c.DecideResponse(ctx, "1a2b3c4d", "reject"); err != nil || r.State != "refused" {
		t.Errorf("rejected %+v, %v", r, err)
	}
	if _, err := c.DecideResponse(ctx, "1a2b3c4d", "undo"); err == nil || err.Error() != "response 1a2b3c4d cannot be undone" {
		t.Errorf("undone: %v", err)
	}
	if m, err := c.Members(ctx); err != nil || len(m) != 1 || m[0].ID != "one" {
		t.Errorf("members %v, %v", m, err)
	}
	var policy struct{ Version int }
	if err := c.Policy(ctx, &policy); err != nil || policy.Version != 7 {
		t.Errorf("policy %+v, %v", policy, err)
	}
	var name string
	if err := c.Organisation(ctx, "a/../b c", &name); err != nil || name != "a/../b c" {
		t.Errorf("organisation %q, %v: a name must not be read as a path", name, err)
	}
	document := []byte{0xa2, 0, '\r', '\n', 0xff}
	if err := c.Submit(ctx, document); err != nil || !bytes.Equal(<-f.taken, document) {
		t.Errorf("the document came as another, or not at all: %v", err)
	}
	if err := c.Deposit(ctx, document); err == nil || err.Error() != "no room" || !bytes.Equal(<-f.taken, document) {
		t.Errorf("deposit: %v", err)
	}
	if err := c.Submit(ctx, make([]byte, maxBody+1)); err == nil || len(f.taken) != 0 {
		t.Errorf("a document of %d bytes: %v", maxBody+1, err)
	}

	following, stop := context.WithCancel(ctx)
	got := make(chan Alert, 1)
	ended := make(chan error)
	go func() { ended <- c.Follow(following, func(a Alert) error { got <- a; return nil }) }()
	f.alerts <- Alert{ID: "one"}
	if a := <-got; a.ID != "one" {
		t.Errorf("followed %+v", a)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("follow ended with %v", err)
	}
}

func TestSocketIsTheUsersAlone(t *testing.T) {
	c, _ := serve(t)
	info, err := os.Stat(c.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen(c.socket); err == nil || !strings.Contains(err.Error(), "another node answers") {
		t.Errorf("a second node took the socket: %v", err)
	}
	stale := filepath.Join(t.TempDir(), "stale")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	l, err = Listen(stale)
	if err != nil {
		t.Fatalf("a dead node's socket: %v", err)
	}
	l.Close()
	if _, err := Dial(filepath.Join(t.TempDir(), "none")).Status(t.Context()); !errors.Is(err, ErrNoNode) {
		t.Errorf("no node: %v", err)
	}
}

func TestWhatIsNoStaleSocketStays(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a file":          func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"an empty folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":          func(path string) error { return os.Symlink("nowhere", path) },
		"another's socket": func(path string) error {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			if err == nil {
				t.Cleanup(func() { c.Close() })
			}
			return err
		},
	} {
		path := filepath.Join(t.TempDir(), "there")
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := Listen(path); err == nil || !strings.Contains(err.Error(), "choose another --control") {
			t.Errorf("%s: %v, %v", name, l, err)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}

// What a web page could make a browser send to the local address.
func TestPublicIsReadOnlyAndNotRebindable(t *testing.T) {
	s := httptest.NewServer(Public(fake{}))
	defer s.Close()
	for _, c := range []struct {
		method, path, host string
		want               int
	}{
		{"GET", "/status", "", 200},
		{"GET", "/blocks", "localhost:4080", 200},
		{"GET", "/blocks", "[::1]:4080", 200},
		{"GET", "/blocks", "attacker.example", 403},
		{"GET", "/blocks", "attacker.example:4080", 403},
		{"POST", "/blocks", "", 405},
		{"DELETE", "/blocks", "", 405},
		{"POST", "/allowed?entry=203.0.113.9", "", 405},
		{"GET", "/explain?address=nonsense", "", 400},
		{"GET", "/secrets", "", 404},
		{"GET", "/policy", "", 404}, // it holds the seed that members alone know
		{"GET", "/revocations", "", 404},
		{"POST", "/waiting", "", 404},
		{"POST", "/documents", "", 404},
		{"POST", "/invitations", "", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.host != "" {
			req.Host = c.host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s %s as %q: %d, want %d", c.method, c.path, c.host, resp.StatusCode, c.want)
		}
	}
}

func FuzzLocal(f *testing.F) {
	f.Add("POST", "/blocks", `{"prefix":"203.0.113.9/32"}`)
	f.Add("DELETE", "/blocks?prefix=nonsense", "")
	f.Add("POST", "/allowed?entry=%zz", "{")
	f.Add("POST", "/waiting", `["203.0.113.9/32"]`)
	f.Add("POST", "/documents", "not CBOR")
	f.Fuzz(func(t *testing.T, method, path, body string) {
		req, err := http.NewRequest(method, "http://node"+path, strings.NewReader(body))
		if err != nil || strings.Contains(path, "follow") {
			return
		}
		w := httptest.NewRecorder()
		h := Local(fake{make(chan Alert), make(chan []byte, 1)})
		h.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%s %q: %d", method, path, w.Code)
		}
	})
}

// What a source counts has names that scripts rely on, over the socket as over --http.
func TestNamesOfASource(t *testing.T) {
	got, err := json.Marshal(Source{Format: "live", Path: "eth0", State: Silent, Lines: 1, Events: 2, LastEvent: time.Unix(1e9, 0).UTC(), Malformed: 3, Truncated: 4, Dropped: 5,
		Lost: 6, Unread: 7, Forgotten: 8, Withheld: 9, Unscanned: 10, GivenUp: 11, Examples: []string{"one"}, Notice: "it is back", ClockOffset: 12, SilentSince: time.Unix(1e9, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"format":"live","path":"eth0","state":"silent","lines":1,"events":2,"last_event":"2001-09-09T01:46:40Z","malformed":3,"truncated":4,"dropped":5,` +
		`"lost":6,"unread":7,"forgotten":8,"withheld":9,"unscanned":10,"given_up":11,"examples":["one"],"notice":"it is back","clock_offset":12,"silent_since":"2001-09-09T01:46:40Z"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

package custom

import (
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/komondor/komondor/probe/text"
)

const example = `
- name: forge
  about: the forge's own log
  service: tcp/3000
  proof: handshake
  time: 2006/01/02 15:04:05
  match:
    - kind: http.login.failed
      pattern: '^(?P<time>\S+ \S+) .* Failed authentication attempt for (?P<user>.*) from (?P<source>[^ ]+): '
- name: door
  program: doord
  match:
    - kind: http.login.failed
      pattern: 'wrong card (?P<user>\w+) at (?P<source>\S+)$'
    - kind: http.refused
      pattern: 'barred: (?P<source>\S+)$'
- name: gate
  program: gated
  match:
    - kind: http.refused
      pattern: 'refused (?P<source>\S+)'
- name: shop
  service: tcp/443
  proof: handshake
  time: unix
  json: {time: ts, source: http.client, user: account.0.name, detail: why}
  match:
    - kind: http.login.failed
      where: {event: login, ok: false}
    - kind: http.scan
      where: {event: [probe, crawl]}
- name: flat
  json: {time: "@timestamp", source: client.ip}
  match:
    - kind: http.refused
      where: {event.outcome: failure}
`

var clock = text.Clock{
	Now:  func() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) },
	Zone: time.FixedZone("", 3600),
}

func formats(t testing.TB, config string) []text.Format {
	t.Helper()
	list, err := parse(config)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func parse(config string) ([]text.Format, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(config), &document); err != nil || len(document.Content) == 0 {
		return nil, err
	}
	return Formats(document.Content[0])
}

func TestParse(t *testing.T) {
	list := formats(t, example)
	for _, c := range []struct {
		format     int
		line, want string // KIND SOURCE USER PORT TIME PROOF; empty: no evidence
	}{
		{0, `2026/11/25 10:00:00 HTTP [W] Failed authentication attempt for root from 203.0.113.9: user does not exist`,
			"http.login.failed 203.0.113.9 root 3000 09:00:00 handshake"},
		{0, `2026/11/25 10:00:00 HTTP [I] Completed GET / 200 OK for 203.0.113.9`, ""},
		// Its user has a name with which to blame somebody else: the line can be read in two ways.
		{0, `2026/11/25 10:00:00 HTTP [W] Failed authentication attempt for x from 192.0.2.53:  from 203.0.113.9: no`, ""},
		{0, `2026/11/25 10:00:00 HTTP [W] Failed authentication attempt for root from host.example: no`, ""},
		{0, `2026/13/25 10:00:00 HTTP [W] Failed authentication attempt for root from 203.0.113.9: no`, "error"},
		{1, `Nov 25 10:00:01 gate doord[7]: wrong card 4711 at 203.0.113.9`, "http.login.failed 203.0.113.9 4711 0 09:00:01 spoofable"},
		{1, `2026-11-25T10:00:01Z gate doord[7]: barred: 2001:db8::9`, "http.refused 2001:db8::9  0 10:00:01 spoofable"},
		{1, `Nov 25 10:00:01 gate other[7]: wrong card 4711 at 203.0.113.9`, ""},
		{1, `Nov 25 10:00:01 gate other[7]: doord[7]: wrong card 4711 at 203.0.113.9`, ""},
		{2, `Nov 25 10:00:01 gate gated[7]: GET / by curl: refused 203.0.113.9`, "http.refused 203.0.113.9  0 09:00:01 spoofable"},
		// What the client calls itself stands before what the program says.
		{2, `Nov 25 10:00:01 gate gated[7]: GET / by refused 192.0.2.53: refused 203.0.113.9`, ""},
		{3, `{"ts":1764064800.5,"event":"login","ok":false,"account":[{"name":"ann"}],"http":{"client":"203.0.113.9"},"why":"pw"}`,
			"http.login.failed 203.0.113.9 ann 443 10:00:00.5 handshake"},
		{3, `{"ts":1764064800,"event":"crawl","http":{"client":"203.0.113.9"}}`, "http.scan 203.0.113.9  443 10:00:00 handshake"},
		{3, `{"ts":1764064800,"event":"login","ok":true,"http":{"client":"203.0.113.9"}}`, ""},
		{3, `{"ts":1764064800,"event":"buy","note":"event login ok false","http":{"client":"203.0.113.9"}}`, ""},
		{3, `{"ts":"soon","event":"crawl","http":{"client":"203.0.113.9"}}`, "error"},
		{3, `{"ts":1764064800,"event":"crawl","http":{"client":"203.0.113.9"`, "error"},
		{3, `no object`, "error"},
		// Who may write into the object must not name somebody else.
		{3, `{"ts":1764064800,"event":"crawl","http":{"client":"203.0.113.9","client":"192.0.2.53"}}`, "error"},
		{3, `{"ts":1764064800,"event":"crawl","http":{"client":"203.0.113.9"},"http":{"client":"192.0.2.53"}}`, "error"},
		{3, `{"ts":1764064800,"event":"crawl","http":{"client":"192.0.2.53"}} ,"http":{"client":"203.0.113.9"}}`, "error"},
		{3, `{"ts":1764064800,"event":"crawl","http":{"client":["203.0.113.9"]}}`, ""},
		{3, `{"ts":1764064800,"event":"crawl","http":"client"}`, ""},
		{3, `{"ts":1764064800,"event":null,"ok":false,"http":{"client":"203.0.113.9"}}`, ""},
		{4, `{"@timestamp":"2026-11-25T10:00:00Z","event.outcome":"failure","client":{"ip":"203.0.113.9"}}`, "http.refused 203.0.113.9  0 10:00:00 spoofable"},
		{4, `{"@timestamp":"2026-11-25 11:00:00","event":{"outcome":"failure"},"client.ip":"203.0.113.9"}`, "http.refused 203.0.113.9  0 10:00:00 spoofable"},
	} {
		ev, ok, err := list[c.format].New(clock).Parse(text.Line{File: "x.log", Number: 3, Bytes: []byte(c.line)})
		got := ""
		switch {
		case err != nil:
			got = "error"
		case ok:
			got = strings.Join([]string{string(ev.Kind), ev.Source.Addr.String(), ev.User, itoa(ev.Target.Port), ev.Time.Format("15:04:05.999"), ev.Proof.String()}, " ")
		}
		if got != c.want {
			t.Errorf("%s\n got %s (%v)\nwant %s", c.line, got, err, c.want)
		}
	}
}

func itoa(n uint16) string {
	text, _ := yaml.Marshal(n)
	return strings.TrimSpace(string(text))
}

// TestErrors: what is wrong in the file is said with its line and what to write instead.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"probes", "line 1: probes: want a list"},
		{"- name: x\n  match: []", `line 1: name: "x": want 2 to 31`},
		{"- name: Shop\n  match: []", `line 1: name: "Shop": want 2 to 31 lower-case letters, digits and hyphens, a letter first`},
		{"- name: shop\n  nmae: x", `line 2: there is no setting "nmae" here; there are name, about`},
		{"- name: shop\n  service: 443", `line 2: service: "443": want the protocol and port`},
		{"- name: shop\n  proof: sure", "line 2: proof"},
		{"- name: shop\n  time: soon", `line 2: time: "soon": want rfc3339`},
		{"- name: shop\n  json: {source: a}", "want the paths of time and source"},
		{"- name: shop\n  match:\n  - kind: evil\n    pattern: x", `line 3: kind: there is no "evil"`},
		{"- name: shop\n  match:\n  - kind: http.scan\n    pattern: '('", "line 3: pattern: "},
		{"- name: shop\n  match:\n  - kind: http.scan\n    pattern: '(?P<who>x)'", `there is no group "who"`},
		{"- name: shop\n  match:\n  - kind: http.scan\n    pattern: 'abcd'", "nothing says who it was"},
		{"- name: shop\n  match:\n  - kind: http.scan\n    pattern: 'abcd (?P<source>.*)'", "the time comes from the group"},
		{"- name: shop\n  program: shopd\n  match:\n  - kind: http.scan\n    pattern: '(?P<time>.*) abcd (?P<source>.*)'", "the time comes from the group"},
		{"- name: shop\n  program: shopd\n  match:\n  - kind: http.scan\n    pattern: '[a-z]+ (?P<source>.*)'", "want a literal text"},
		{"- name: shop\n  json: {source: a, time: b}\n  match:\n  - kind: http.scan", "where: want paths"},
	} {
		if _, err := parse(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.config, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	list := formats(f, example)
	for i, line := range []string{
		`2026/11/25 10:00:00 HTTP [W] Failed authentication attempt for root from 203.0.113.9: user does not exist`,
		`Nov 25 10:00:01 gate doord[7]: wrong card 4711 at 203.0.113.9`,
		`{"ts":1764064800.5,"event":"login","ok":false,"account":[{"name":"ann"}],"http":{"client":"203.0.113.9"}}`,
		`{"@timestamp":"2026-11-25T10:00:00Z","event.outcome":"failure","client":{"ip":"203.0.113.9"}}`,
	} {
		f.Add(i, []byte(line))
	}
	f.Fuzz(func(t *testing.T, i int, line []byte) {
		format := list[uint(i)%uint(len(list))]
		format.Recognise(line)
		e, ok, _ := format.New(clock).Parse(text.Line{File: "x", Number: 1, Bytes: line})
		if ok && (!e.Source.Addr.IsValid() || e.Time.IsZero() || e.Kind == "") {
			t.Errorf("%q gives %+v", line, e)
		}
	})
}

// TestNoAllocations: what is no evidence costs nothing but the look for the literal.
func TestNoAllocations(t *testing.T) {
	list := formats(t, example)
	for i, quiet := range []string{"2026/11/25 10:00:00 HTTP [I] Completed", "Nov 25 10:00:01 gate other[7]: wrong card", "Nov 25 10:00:01 gate gated[7]: passed", `{"a":1}`, `{"a":1}`} {
		p := list[i].New(clock)
		line := text.Line{File: "x", Number: 1, Bytes: []byte(quiet)}
		if n := testing.AllocsPerRun(100, func() { _, _, _ = p.Parse(line) }); n > 0 {
			t.Errorf("%v allocations for %q", n, quiet)
		}
	}
}

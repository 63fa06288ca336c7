package probe

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/komondor/komondor/event"
	"github.com/komondor/komondor/probe/text"
)

var update = flag.Bool("update", false, "write the expected events of testdata anew")

// testClock makes the events of a log the same whenever and wherever they are parsed.
var testClock = text.Clock{
	Now:  func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) },
	Zone: time.UTC,
}

// parsed is one result of parsing: an event or an error.
type parsed struct {
	event.Event
	Error string `json:"error,omitempty"`
}

// parseAll runs a new parser over a log, as a source would: without line
// endings, in a buffer that is overwritten afterwards.
func parseAll(t testing.TB, f text.Format, clock text.Clock, file string, log []byte) (results []parsed) {
	t.Helper()
	p := f.New(clock)
	keep := func(ev event.Event, ok bool, err error) {
		if ok {
			checkEvent(t, ev)
			results = append(results, parsed{Event: ev})
		}
		if err != nil {
			results = append(results, parsed{Error: err.Error()})
		}
	}
	var buffer []byte
	number := int64(0)
	for line := range bytes.Lines(log) {
		number++
		buffer = append(buffer[:0], bytes.TrimSuffix(line, []byte("\n"))...)
		keep(p.Parse(text.Line{File: file, Number: number, Bytes: buffer}))
		for i := range buffer {
			buffer[i] = 'X'
		}
	}
	keep(p.Flush())
	return results
}

// checkEvent fails for what no event may be.
func checkEvent(t testing.TB, ev event.Event) {
	t.Helper()
	ofHost := ev.Kind.Matches("process.*") // which has no source
	if ev.Source.Addr.IsValid() == ofHost || ev.Source.Addr.Zone() != "" || ev.Source.Addr.Is4In6() || !ofHost && ev.Source.Addr.IsUnspecified() {
		t.Errorf("source %q of %+v", ev.Source.Addr, ev)
	}
	if ev.Count < 1 || ev.Kind == "" || ev.Time.IsZero() || ev.Sensor == "" || ev.Line < 1 || ev.Severity != ev.Kind.Severity() {
		t.Errorf("incomplete event %+v", ev)
	}
	for _, s := range []string{ev.User, ev.Detail, ev.Attempt, ev.Vulnerability} {
		if strings.ToValidUTF8(s, "") != s || len(s) > 4*text.MaxString {
			t.Errorf("text %q of %+v", s, ev)
		}
	}
}

func TestGolden(t *testing.T) {
	for _, f := range Builtin() {
		logs, _ := filepath.Glob(filepath.Join("testdata", f.Name, "*.log"))
		if len(logs) == 0 {
			t.Errorf("format %s has no case in testdata", f.Name)
		}
		for _, path := range logs {
			t.Run(f.Name+"/"+strings.TrimSuffix(filepath.Base(path), ".log"), func(t *testing.T) {
				log, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if detected, err := Builtin().Detect(log); err != nil || detected.Name != f.Name {
					t.Errorf("Detect gives %q, %v", detected.Name, err)
				}
				var got bytes.Buffer
				enc := json.NewEncoder(&got)
				enc.SetEscapeHTML(false)
				for _, r := range parseAll(t, f, testClock, filepath.Base(path), log) {
					if r.Error != "" {
						err = enc.Encode(map[string]string{"error": r.Error})
					} else {
						err = enc.Encode(r.Event)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				golden := strings.TrimSuffix(path, ".log") + ".json"
				if *update {
					if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				diffLines(t, got.String(), string(want))
			})
		}
	}
}

func diffLines(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Fatalf("result %d:\n got %s\nwant %s", i+1, a, b)
		}
	}
}

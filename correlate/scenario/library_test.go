package scenario

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/komondor/komondor/event"
)

var update = flag.Bool("update", false, "write the expected alerts anew")

// TestLibrary replays the cases of each scenario that ships: NAME/CASE.events, whose file names a cell and
// its host's address, CELL@ADDRESS; and NAME/CASE.alerts, the sequence of alerts that comes.
func TestLibrary(t *testing.T) {
	for _, s := range Builtin() {
		for _, w := range s.Warnings {
			t.Errorf("a warning of what ships: %s", w)
		}
		cases, err := filepath.Glob(filepath.Join("library", s.Name, "*.events"))
		if err != nil || len(cases) < 2 {
			t.Errorf("%s has %d cases, want one that is caught and one that is not", s.Name, len(cases))
		}
		library, err := NewLibrary(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range cases {
			t.Run(strings.TrimSuffix(path[len("library/"):], ".events"), func(t *testing.T) {
				var got bytes.Buffer
				lines := json.NewEncoder(&got)
				lines.SetEscapeHTML(false)
				for _, a := range Replay(library, Limits{}, cells(t, path)) {
					if err := lines.Encode(a); err != nil {
						t.Fatal(err)
					}
				}
				golden(t, strings.TrimSuffix(path, ".events")+".alerts", got.Bytes())
			})
		}
	}
}

// golden compares with a file.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got:\n%s\nwant:\n%s", path, got, want)
	}
}

// cells reads a case's events, by cell.
func cells(t *testing.T, path string) (cells []Cell) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for line := range bytes.Lines(text) {
		if line[0] == '#' {
			continue
		}
		e := event.Event{Count: 1}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v: %s", path, err, line)
		}
		name, host, _ := strings.Cut(e.File, "@")
		i, ok := at[name]
		if !ok {
			i = len(cells)
			at[name], cells = i, append(cells, Cell{Name: name})
		}
		cells[i].Seen = append(cells[i].Seen, FromEvent(e, name, netip.MustParseAddr(host), nil))
	}
	return cells
}

func TestLibraryNames(t *testing.T) {
	all := Builtin()
	if len(all) != 5 {
		t.Errorf("%d scenarios ship", len(all))
	}
	if _, err := NewLibrary(append(all, all[0])...); err == nil || !strings.Contains(err.Error(), "there are two of this name") {
		t.Errorf("twice the same: %v", err)
	}
	library, err := NewLibrary(all...)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range library.All() {
		if named, ok := library.Named(s.Name); !ok || named != s {
			t.Errorf("%s is not found", s.Name)
		}
		if Files()["library/"+s.Name+Extension] == nil {
			t.Errorf("%s is not in a file of its name", s.Name)
		}
	}
	if _, ok := library.Named("nothing"); ok {
		t.Error("what is not there was found")
	}
}

func TestExecutable(t *testing.T) {
	for detail, want := range map[string]string{
		"a reverse shell: /usr/bin/bash: bash -i, by /usr/sbin/nginx": "/usr/bin/bash",
		"a program whose file has no name: /memfd, by /usr/bin/x":     "/memfd",
		"a rule: /tmp/x":      "/tmp/x",
		"a rule: relative: x": "",
		"":                    "",
		"a program in a directory that anybody can write to: /tmp/a: /tmp/a": "/tmp/a",
	} {
		if got := executable(detail); got != want {
			t.Errorf("%q: got %q, want %q", detail, got, want)
		}
	}
}

// FuzzObserve finds that nothing that somebody tells stops an engine, or makes it forget its bounds.
func FuzzObserve(f *testing.F) {
	f.Add([]byte(`{"id":"a","time":"2026-11-25T03:00:00Z","kind":"flood.syn","source":{"addr":"192.0.2.1"},"target":{"addr":"198.51.100.1"},"count":1}
{"id":"b","time":"2026-11-25T03:00:00Z","kind":"dns.flood.reply","source":{"addr":"198.51.100.1"},"target":{"addr":"fe80::1%x"},"own":true,"count":3}`))
	library, err := NewLibrary(Builtin()...)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		e := New(library, Limits{Steps: 16, Seen: 16})
		for line := range bytes.Lines(lines) {
			var o Observation
			if json.Unmarshal(line, &o) != nil {
				continue
			}
			e.Observe(o.Time, o)
			e.Observe(start, o)
			if s := e.Stats(); s.Steps > 17 || s.Steps < 0 {
				t.Fatalf("%+v", s)
			}
		}
		kept := 0
		for _, g := range e.gatherings {
			kept += len(g.sightings)
			if len(g.filled) > 0 || g.equal.mark() > 0 || len(g.skipped) > 0 {
				t.Fatal("something is left of the last partial scenario")
			}
		}
		if kept != e.Stats().Steps {
			t.Fatalf("%d steps are kept, and %d counted", kept, e.Stats().Steps)
		}
	})
}

package draw

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/komondor/komondor/correlate/scenario"
)

var update = flag.Bool("update", false, "write the expected drawings anew")

// TestFigure4a holds the drawings of paper 000's scenario against those that a person has looked at.
func TestFigure4a(t *testing.T) {
	for _, format := range Formats() {
		got, err := Graph(named(t, "bind-birthday"), format)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "bind-birthday."+format)
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
			t.Errorf("%s:\n%s", path, got)
		}
	}
	if _, err := Graph(named(t, "bind-birthday"), "png"); err == nil {
		t.Error("a format that there is not was written")
	}
}

func named(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	for _, s := range scenario.Builtin() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// TestDrawings: all that ships, and what has cycles and marks in its texts, is XML in which no box
// lies on another one or outside.
func TestDrawings(t *testing.T) {
	odd, err := scenario.Parse("odd", []byte(`scenario odd "<&>\""
action a(A, B) { pre: p(B) post: q(A, "<x>") }
action b(A) { pre: q(A, "<x>"), p(A) post: p(A), not(r(A)) }
action c(A) { pre: r(A) post: r(A) }
objective o(A) { state: r(A), p(A) }
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(scenario.Builtin(), odd...) {
		all := arrows(s)
		boxes, width, height := place(s, all)
		for i, b := range boxes {
			if b.x < 0 || b.y < 0 || b.right() > width {
				t.Errorf("%s: %s lies outside: %+v of %d, %d", s.Name, s.Models[i].Name, b, width, height)
			}
			for j, c := range boxes[:i] {
				if b.x < c.right() && c.x < b.right() && b.y < c.y+high && c.y < b.y+high {
					t.Errorf("%s: %s lies on %s", s.Name, s.Models[i].Name, s.Models[j].Name)
				}
			}
		}
		drawn, err := Graph(s, "svg")
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(drawn)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
		}
		again, err := Graph(s, "svg")
		if err != nil || !bytes.Equal(drawn, again) {
			t.Errorf("%s: drawn twice, it is not the same: %v", s.Name, err)
		}
	}
}

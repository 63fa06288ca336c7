package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestHilbertIsOneContinuousLine(t *testing.T) {
	// The upper 16 bits alone, so that all cells of the coarse curve are seen.
	seen := make(map[[2]uint16]bool)
	var lastColumn, lastRow uint16
	for d := range uint32(1 << 16) {
		column, row := Hilbert(d << 16)
		column, row = column>>8, row>>8
		if seen[[2]uint16{column, row}] {
			t.Fatalf("step %d comes to (%d, %d) again", d, column, row)
		}
		seen[[2]uint16{column, row}] = true
		if step := math.Abs(float64(column)-float64(lastColumn)) + math.Abs(float64(row)-float64(lastRow)); d > 0 && step != 1 {
			t.Fatalf("step %d goes %v cells far", d, step)
		}
		lastColumn, lastRow = column, row
	}
	// And at full depth, wherever chance looks.
	chance := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		d := chance.Uint32N(math.MaxUint32)
		a, b := Hilbert(d)
		c, e := Hilbert(d + 1)
		if math.Abs(float64(a)-float64(c))+math.Abs(float64(b)-float64(e)) != 1 {
			t.Fatalf("%d is at (%d, %d) and the next at (%d, %d)", d, a, b, c, e)
		}
	}
}

func TestThePapersQuarters(t *testing.T) {
	for octet := range uint32(256) {
		column, row := Hilbert(octet << 24)
		if left := column < 1<<15 && row < 1<<15; left != (octet < 64) {
			t.Errorf("%d/8 in the upper left quarter: %v", octet, left)
		}
		if left := column < 1<<14 && row < 1<<14; left != (octet < 16) {
			t.Errorf("%d/8 in the upper left sixteenth: %v", octet, left)
		}
	}
}

func figures(t *testing.T) map[string]Figure {
	t.Helper()
	made := make(map[string]Figure)
	keep := func(name string, f Figure, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		made[name] = f
	}
	many := Series{}
	for i := range 100 {
		many.X, many.Y = append(many.X, float64(i+1)), append(many.Y, float64(i*i+1))
	}
	f, err := Lines(Axes{Title: "Hops", X: "nodes", Y: "hops", LogX: true}, Series{"chord", []float64{1, 1e6}, []float64{0.5, 10}})
	keep("lines", f, err)
	f, err = Lines(Axes{LogX: true, LogY: true}, many)
	keep("many", f, err)
	f, err = Points(Axes{Title: "Attacks", LogX: true, LogY: true}, Series{"one probe", []float64{1, 3600}, []float64{1, 50}}, Series{Name: "nobody"})
	keep("points", f, err)
	f, err = Bars(Axes{Title: "Load"}, []string{"one", "two"}, Series{Name: "a", Y: []float64{1, 2}}, Series{Name: "b", Y: []float64{3, 4}})
	keep("bars", f, err)
	f, err = Dots(Axes{X: "first octet"}, Dot{3, 4, 1}, Dot{200, 5, 80_000})
	keep("dots", f, err)
	f, err = Addresses("Attackers", Source{netip.MustParseAddr("203.0.113.9"), 7}, Source{netip.MustParseAddr("2001:db8::1"), 7})
	keep("addresses", f, err)
	f, err = Lines(Axes{LogX: true, LogY: true}, Series{"one point", []float64{1}, []float64{1000}}, Series{Name: "empty"})
	keep("one point", f, err)
	f, err = Lines(Axes{LogX: true, LogY: true})
	keep("no line", f.KeyBelow(), err)
	f, err = Dots(Axes{})
	keep("no dot", f, err)
	f, err = Addresses("None")
	keep("none", f, err)
	return made
}

func TestDrawingsAreXMLAndAlwaysTheSame(t *testing.T) {
	again := figures(t)
	for name, f := range figures(t) {
		svg, err := f.SVG()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for decoder := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		other, err := again[name].SVG()
		if err != nil || !bytes.Equal(svg, other) {
			t.Errorf("%s: drawn twice, two drawings (%v)", name, err)
		}
	}
}

func TestWhatIsDrawn(t *testing.T) {
	made := figures(t)
	for name, want := range map[string][]string{
		"lines":     {"Hops", "chord", "1,000,000"},
		"points":    {"Attacks", "one probe"},
		"bars":      {"Load", "one", "two"},
		"dots":      {"first octet", "10,000"},
		"addresses": {"Attackers", ">203<"},
	} {
		svg, err := made[name].SVG()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(svg), text) {
				t.Errorf("%s has no %q", name, text)
			}
		}
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	for name, err := range map[string]error{
		"uneven":        second(Lines(Axes{}, Series{X: []float64{1}, Y: []float64{1, 2}})),
		"log of zero":   second(Lines(Axes{LogY: true}, Series{X: []float64{1}, Y: []float64{0}})),
		"missing bar":   second(Bars(Axes{}, []string{"a", "b"}, Series{Y: []float64{1}})),
		"no bars":       second(Bars(Axes{}, nil)),
		"bars in logs":  second(Bars(Axes{LogY: true}, []string{"a"}, Series{Y: []float64{1}})),
		"dots in logs":  second(Dots(Axes{LogX: true}, Dot{1, 1, 1})),
		"worthless dot": second(Dots(Axes{}, Dot{1, 1, 0})),
		"endless dot":   second(Dots(Axes{}, Dot{1, 1, math.Inf(1)})),
		"no number":     second(Dots(Axes{}, Dot{1, 1, math.NaN()})),
		"nowhere":       second(Dots(Axes{}, Dot{math.NaN(), 1, 1})),
		"endless line":  second(Lines(Axes{}, Series{X: []float64{math.Inf(1)}, Y: []float64{1}})),
	} {
		if err == nil {
			t.Errorf("%s: drawn", name)
		}
	}
}

func second(_ Figure, err error) error { return err }

func TestRanked(t *testing.T) {
	s := Ranked("load", []float64{2, 0, 9, 4})
	if want := (Series{"load", []float64{1, 2, 3}, []float64{9, 4, 2}}); !reflect.DeepEqual(s, want) {
		t.Errorf("%v, want %v", s, want)
	}
	many := make([]float64, 1_000_000)
	for i := range many {
		many[i] = float64(i + 1)
	}
	s = Ranked("", many)
	if n := len(s.X); n > rankedPoints+1 || s.X[0] != 1 || s.Y[0] != 1e6 || s.X[n-1] != 1e6 || s.Y[n-1] != 1 {
		t.Errorf("%d points from (%v, %v) to (%v, %v)", n, s.X[0], s.Y[0], s.X[n-1], s.Y[n-1])
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 0.5: "0.5", 2e13: "2e+13"} {
		if got := Number(x); got != want {
			t.Errorf("%v is written %q, want %q", x, got, want)
		}
	}
}
